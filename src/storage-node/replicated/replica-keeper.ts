// Keeps the replicas of the partitions that are served here where they are wanted: looks now and then which are missing, lets them be
// made, and leaves the rest to the protocol, which changes one at a time.
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import { parseReplicaId } from '../../metadata/replication/replica-id.ts'
import type { Decisions, Reigning, ReplicasOfNode } from './contract.ts'

/** What says where replicas are and where they are wanted, and the host that makes what is missing. */
export interface ReplicaKeeperParts {
  world: Pick<World, 'clock'>
  log: Log
  decisions: Pick<Decisions, 'get'>
  host: Pick<ReplicasOfNode, 'make' | 'onReign'>
  /** The drives that are to hold a partition, by the map. */
  wantedDrives: (partition: number, current: readonly number[]) => readonly number[]
}

const ROUND_MS = 10_000

/** Looks after the partitions that this node serves. */
export class ReplicaKeeper {
  readonly #parts: ReplicaKeeperParts
  readonly #closing = new AbortController()
  readonly #reigns = new Map<number, Reigning>()
  readonly #stopListening: () => void
  #running: Promise<void> = Promise.resolve()

  constructor(parts: ReplicaKeeperParts) {
    this.#parts = parts
    this.#stopListening = parts.host.onReign((reign) => this.#reigns.set(reign.partition, reign))
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#stopListening()
    await this.#running
  }

  /** One look at every partition that is served here. */
  async round(): Promise<void> {
    for (const [partition, reign] of this.#reigns) {
      if (reign.ended.aborted) this.#reigns.delete(partition)
    }
    if (this.#closing.signal.aborted) return
    // All at once: questions to one node go together.
    await Promise.all([...this.#reigns.values()].map((reign) => this.#keep(reign)))
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      // Aborted: it is time to stop.
      await this.#parts.world.clock.sleep(ROUND_MS, signal).catch(() => undefined)
      await this.round()
    }
  }

  /** Whatever can not be asked now is left as it is: a set is made smaller only for one that is there. */
  async #keep(reign: Reigning): Promise<void> {
    const { partition } = reign
    const decision = this.#parts.decisions.get(partition)
    if (decision === undefined) return
    const current = decision.replicas.flatMap((id) => parseReplicaId(id)?.driveId ?? [])
    try {
      const drives = this.#parts.wantedDrives(partition, current)
      const wanted = await Promise.all(
        drives.map((driveId) => this.#replicaOn(driveId, partition, decision.replicas)),
      )
      reign.want(wanted)
    } catch (error) {
      const data = { partition, error: String(error) }
      this.#parts.log.info(data, 'the replicas of a metadata partition can not be made now')
    }
  }

  /** A node that has lost the replica that counts makes another one. One that is silent may have it still. */
  async #replicaOn(
    driveId: number,
    partition: number,
    known: readonly ReplicaId[],
  ): Promise<ReplicaId> {
    const here = known.find((id) => parseReplicaId(id)?.driveId === driveId)
    try {
      return await this.#parts.host.make(driveId, partition)
    } catch (error) {
      if (here === undefined) throw error
      return here
    }
  }
}
