// Work on rows of replicas here that other nodes asked for, and ask after until it is done: digests, and rows made anew.
import { Overloaded } from '../../kit/semaphore.ts'
import type { World } from '../../kit/world.ts'
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import type { ReplicaHost } from './replica-host.ts'
import type { DigestJob, DigestState } from './rows-digest.ts'

/** How rows that are made anew stand. */
export type RenewalState = 'running' | 'done' | 'failed'

/** The host that works; by `clock` it is known that nobody asks after something any more. */
export interface RowJobParts {
  host: Pick<ReplicaHost, 'startDigest' | 'renewRows'>
  world: Pick<World, 'clock'>
}

interface Digest {
  job: DigestJob
  ending: AbortController
  askedMs: number
}

interface Renewal {
  state: RenewalState
  /** When it began, or ended. */
  sinceMs: number
}

const DIGESTS_MAX = 128
const RENEWALS_MAX = 4

/** Who does not ask after a digest, or after what ended, for so long has gone. */
const IDLE_MS = 20_000

/** The work under way, bounded. */
export class RowJobs {
  readonly #parts: RowJobParts
  readonly #digests = new Map<string, Digest>()
  readonly #renewals = new Map<ReplicaId, Renewal>()

  constructor(parts: RowJobParts) {
    this.#parts = parts
  }

  /** How the digest of this name is; begins it when it is new. */
  digest(
    name: string,
    { replica, partition, sequence }: { replica: ReplicaId; partition: number; sequence: number },
  ): DigestState {
    const nowMs = this.#parts.world.clock.monotonicMs()
    this.#forgetIdle(nowMs)
    const known = this.#digests.get(name)
    if (known !== undefined) {
      known.askedMs = nowMs
      const { state } = known.job
      // What has ended is told once: who asks again begins anew.
      if (state.kind !== 'waiting' && state.kind !== 'reading') this.#end(name)
      return state
    }
    if (this.#digests.size >= DIGESTS_MAX) throw new Overloaded('too many digests of rows are made')
    const ending = new AbortController()
    const at = { sequence, signal: ending.signal }
    const job = this.#parts.host.startDigest(replica, partition, at)
    this.#digests.set(name, { job, ending, askedMs: nowMs })
    return job.state
  }

  /** How it is with the rows of a replica that are to be made anew; begins when that is not under way. What has ended is told once. */
  renew(replica: ReplicaId, partition: number, source: ReplicaId): RenewalState {
    const { clock } = this.#parts.world
    this.#forgetEnded(clock.monotonicMs())
    const known = this.#renewals.get(replica)?.state
    if (known === 'running') return known
    this.#renewals.delete(replica)
    if (known !== undefined) return known
    const running = [...this.#renewals.values()].filter(({ state }) => state === 'running')
    if (running.length >= RENEWALS_MAX) throw new Overloaded('too many rows are made anew')
    const note = (state: RenewalState): void =>
      void this.#renewals.set(replica, { state, sinceMs: clock.monotonicMs() })
    note('running')
    this.#parts.host.renewRows(replica, partition, source).then(
      () => note('done'),
      () => note('failed'),
    )
    return 'running'
  }

  /** Ends the digests. */
  close(): void {
    for (const name of [...this.#digests.keys()]) this.#end(name)
  }

  #forgetIdle(nowMs: number): void {
    for (const [name, { askedMs }] of this.#digests) if (nowMs - askedMs >= IDLE_MS) this.#end(name)
  }

  #forgetEnded(nowMs: number): void {
    for (const [replica, { state, sinceMs }] of this.#renewals) {
      if (state !== 'running' && nowMs - sinceMs >= IDLE_MS) this.#renewals.delete(replica)
    }
  }

  #end(name: string): void {
    this.#digests.get(name)?.ending.abort(new Error('nobody waits for the digest'))
    this.#digests.delete(name)
  }
}
