// Blobs with shards that were read and found rotten, and that could not be made again, whether or not anything else can be
// done for them: a mere look would find every shard in its place. Until they are whole they are read whole each time.
import type { Blob } from '../../metadata/records.ts'
import { nameOfBlob } from './blob-name.ts'
import type { Healed } from './heal-blob.ts'

/** A bound on memory: beyond it every blob counts as listed. */
const LISTED_MAX = 10_000

/** Names of blobs, and when each was last found rotten. */
export class KnownRot {
  readonly #max: number
  readonly #seenMs = new Map<string, number>()
  /** When there was last no room for one. */
  #fullMs: number | undefined

  /** `max`: how many names are kept. */
  constructor(max = LISTED_MAX) {
    this.#max = max
  }

  /** Whether a mere look at the blob would not do. */
  lists(blob: Pick<Blob, 'uid' | 'part'>): boolean {
    return this.#fullMs !== undefined || this.#seenMs.has(nameOfBlob(blob))
  }

  /** Enters what a look at a blob gave. */
  note(blob: Pick<Blob, 'uid' | 'part'>, outcome: Healed | { kind: 'error' }, nowMs: number): void {
    const name = nameOfBlob(blob)
    const { kind } = outcome
    if (kind === 'whole' || kind === 'mended' || kind === 'deleted') this.#seenMs.delete(name)
    // What can not be said now changes nothing of what is known.
    else this.keep(blob, nowMs)
    const isRotten = (kind === 'owing' || kind === 'unrepairable') && outcome.isRotten
    // Where something went wrong nobody knows what was read.
    if (!isRotten && kind !== 'error') return
    if (this.#seenMs.size < this.#max || this.#seenMs.has(name)) this.#seenMs.set(name, nowMs)
    else this.#fullMs = nowMs
  }

  /** It was met, and nothing can be said of it now. */
  keep(blob: Pick<Blob, 'uid' | 'part'>, nowMs: number): void {
    const name = nameOfBlob(blob)
    if (this.#seenMs.has(name)) this.#seenMs.set(name, nowMs)
  }

  /** A whole pass that began at `startedMs` has ended: what it did not find rotten any more is deleted, or whole. */
  forgetUnseen(startedMs: number): void {
    if (this.#fullMs !== undefined && this.#fullMs < startedMs) this.#fullMs = undefined
    for (const [name, seenMs] of this.#seenMs) if (seenMs < startedMs) this.#seenMs.delete(name)
  }
}
