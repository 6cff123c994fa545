// The replicas of a drive that lost something and do not answer: kept until surely nobody counts on them, then deleted.
import type { World } from '../../kit/world.ts'
import {
  type Decision,
  isNewer,
  type ReplicaId,
  votersOf,
} from '../../metadata/replication/decision.ts'
import { replicaIdOf } from '../../metadata/replication/replica-id.ts'
import { mayRetire } from '../../metadata/replication/replica-log.ts'
import type { DamagedReplica } from './open-drive.ts'
import type { ReplicaDrive } from './replica-drive.ts'
import { ReplicaJournal } from './replica-journal.ts'

/** The drive that they are on, and who hears that one could not be deleted: the next start tries again. */
export interface DamagedReplicasParts {
  host: ReplicaDrive
  clock: World['clock']
  onFailure: (error: unknown) => void
}

/** Damaged replicas of one drive. */
export class DamagedReplicas {
  readonly #parts: DamagedReplicasParts
  readonly #replicas = new Map<ReplicaId, DamagedReplica>()
  readonly #deleting = new Set<ReplicaId>()

  constructor(damaged: readonly DamagedReplica[], parts: DamagedReplicasParts) {
    this.#parts = parts
    const driveId = parts.host.drive.id
    for (const one of damaged) this.#replicas.set(replicaIdOf({ driveId, ...one }), one)
  }

  has(id: ReplicaId): boolean {
    return this.#replicas.has(id)
  }

  /** Up to which sequence something of it was seen once. */
  reachedBy(id: ReplicaId): number {
    return this.#replicas.get(id)?.reached ?? 0
  }

  /** Deletes those that no decision counts on. */
  release(decisionOf: (partition: number) => Decision | undefined): void {
    for (const [id, damaged] of this.#replicas) {
      const decision = decisionOf(damaged.partition)
      if (decision === undefined || this.#deleting.has(id)) continue
      if (!isUnneeded(id, damaged, decision)) continue
      this.#deleting.add(id)
      void this.#delete(id, damaged).catch(this.#parts.onFailure)
    }
  }

  /** First its log says that it is gone: its rows, and then its slot, may be those of another one at the next start. */
  async #delete(id: ReplicaId, damaged: DamagedReplica): Promise<void> {
    const { host, clock } = this.#parts
    const onFailure = (): void => undefined // keepEnd() rejects.
    await new ReplicaJournal(damaged, { log: host.log, clock, onFailure }).keepEnd()
    await host.release(damaged.incarnation)
    this.#replicas.delete(id)
    this.#deleting.delete(id)
  }
}

/** Not by an older decision than those that it took part in, or heard of: what is heard here may be old. */
function isUnneeded(
  id: ReplicaId,
  { promised, state }: Pick<DamagedReplica, 'promised' | 'state'>,
  decision: Decision,
): boolean {
  if (!mayRetire({ promised, id }, decision)) return false
  const own = state.decision
  return own === undefined || !votersOf(own).includes(id) || isNewer(decision, own)
}
