// Buckets that other processes change as well: whose change goes on, and what becomes of one that nobody goes on with.
// In one process there are no others, and nothing here waits or decides.
import type { Log } from '../kit/log.ts'
import type { Clock } from '../kit/world.ts'
import type { WaitingTime } from '../metadata/waiting-time.ts'
import { type Bucket, CoordinatorUnavailable } from '../placement/coordinator.ts'
import type { StoreParts } from './store-parts.ts'

/** A deletion by others is waited for so long: who asked is told to come again then. */
const OTHERS_MS = 10_000

/** Another process was quicker, or is in the way: the same request may do better in a moment. */
export function contended(name: string): CoordinatorUnavailable {
  const message = `another gateway changes bucket ${name} in this moment`
  return new CoordinatorUnavailable(message, { why: 'contended' })
}

/** What is to be minded of others. */
export class SharedBuckets {
  readonly #parts: Pick<StoreParts, 'coordinator' | 'world'>

  constructor(parts: Pick<StoreParts, 'coordinator' | 'world'>) {
    this.#parts = parts
  }

  /** Resolves when nobody else deletes the bucket, or not any more in a while: for one who begins a change, or meets one. */
  async othersEnded({ name }: Pick<Bucket, 'name'>, time?: WaitingTime): Promise<void> {
    if (!this.#isShared) return
    const begun = this.#find(name)
    if (begun?.state !== 'deleting' || begun.isEmpty) return
    const isOver = new AbortController()
    const unwatch = this.#parts.coordinator.watch(() => {
      if (this.#find(name)?.revision !== begun.revision) isOver.abort()
    })
    const { clock } = this.#parts.world
    const sinceMs = clock.monotonicMs()
    const ms = Math.min(OTHERS_MS, time?.leftMs ?? OTHERS_MS)
    // It ends early when the deletion does.
    await clock.sleep(ms, isOver.signal).catch(() => undefined)
    time?.lose(sinceMs)
    unwatch()
  }

  /** What a write that met a deletion is sent again with; undefined when the bucket is as good as gone. Rejects while nobody knows. */
  afterDeletion(bucket: Bucket | undefined): Bucket | undefined {
    if (!this.#isShared || bucket?.state !== 'deleting') return bucket
    if (bucket.isEmpty) return undefined
    throw contended(bucket.name)
  }

  /**
   * From here on the deletion is only gone on with: partitions forget a bucket for ever, and whoever undid the deletion
   * then would have a bucket that some of them refuse. Rejects where somebody else goes on with it.
   */
  async settleEmpty(deleting: Bucket): Promise<void> {
    if (!this.#isShared) return
    const { name, id, revision } = deleting
    const after = await this.#parts.coordinator.decide((before) => {
      const bucket = before.buckets[name]
      if (bucket?.id !== id || bucket.revision !== revision || bucket.isEmpty) return undefined
      return { ...before, buckets: { ...before.buckets, [name]: { ...bucket, isEmpty: true } } }
    })
    const settled = after.buckets[name]
    if (settled?.id !== id || settled.revision !== revision || !settled.isEmpty)
      throw contended(name)
  }

  get #isShared(): boolean {
    return this.#parts.coordinator.state.cluster !== undefined
  }

  #find(name: string): Bucket | undefined {
    const { buckets } = this.#parts.coordinator.state
    return Object.hasOwn(buckets, name) ? buckets[name] : undefined
  }
}

/** What deletions are ended with. */
export interface LeftDeletionParts {
  objects: {
    listBuckets(): Bucket[]
    deleteBucket(name: string): Promise<unknown>
  }
  clock: Pick<Clock, 'monotonicMs'>
  log: Log
}

/** A deletion in which nothing happened for so long was left by who began it. */
const LEFT_MS = 60_000

/** Ends deletions that a process left half done. Any process of a cluster may. */
export class LeftDeletions {
  readonly #parts: LeftDeletionParts
  readonly #seen = new Map<string, { revision: number; sinceMs: number }>()

  constructor(parts: LeftDeletionParts) {
    this.#parts = parts
  }

  /** Looks once: what it sees for a minute as it is, it goes on with. */
  async look(): Promise<void> {
    const { objects, clock, log } = this.#parts
    const deleting = objects.listBuckets().filter(({ state }) => state === 'deleting')
    for (const name of this.#seen.keys()) {
      if (!deleting.some((bucket) => bucket.name === name)) this.#seen.delete(name)
    }
    for (const { name, revision } of deleting) {
      const seen = this.#seen.get(name)
      if (seen?.revision !== revision)
        this.#seen.set(name, { revision, sinceMs: clock.monotonicMs() })
      else if (clock.monotonicMs() - seen.sinceMs >= LEFT_MS) {
        log.info({ bucket: name }, 'a deletion that was left half done goes on')
        await objects.deleteBucket(name)
      }
    }
  }
}
