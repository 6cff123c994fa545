// Blobs of which too few shards are left: a list that people can see. A later look that finds enough takes them off.
import type { Blob, BucketId } from '../../metadata/records.ts'
import { nameOfBlob } from './blob-name.ts'
import type { WalkedBlob } from './blob-walk.ts'
import type { Healed } from './heal-blob.ts'

/** One blob that can not be made whole now. */
export interface UnrepairableBlob {
  uid: string
  part: number
  /** Undefined where the row does not say. */
  bucketId: BucketId | undefined
  key: string | undefined
  /** Shards, or cells of the worst stripe, that are good, and how many are needed. Undefined: why is in `error`. */
  good?: number
  needed?: number
  error?: string
  seenMs: number
}

/** Blobs of which more is kept than the name. */
const LISTED_MAX = 1000

/** A bound on memory: beyond it the last pass says how many there are. */
const NAMED_MAX = 100_000

/** The list. */
export class UnrepairableList {
  readonly #max: number
  readonly #blobs = new Map<string, UnrepairableBlob>()
  /** All that are known, those of `#blobs` too, and when each was last looked at. */
  readonly #seenMs = new Map<string, number>()
  /** When there was last no room for the name of one. */
  #fullMs: number | undefined
  /** How many the last whole pass found. */
  #lastPass = 0

  /** `max`: how many names are kept. */
  constructor(max = NAMED_MAX) {
    this.#max = max
  }

  /** How many there are: each once, however often it is looked at. */
  get count(): number {
    const named = this.#seenMs.size
    return this.#fullMs === undefined ? named : Math.max(named, this.#lastPass)
  }

  get blobs(): readonly UnrepairableBlob[] {
    return [...this.#blobs.values()]
  }

  /** Whether it is one of `blobs`. */
  lists(blob: Pick<Blob, 'uid' | 'part'>): boolean {
    return this.#blobs.has(nameOfBlob(blob))
  }

  /** Enters what a look at a blob gave; returns true when it is new on the list. */
  note(
    { reference }: Pick<WalkedBlob, 'reference'>,
    outcome: Healed | { kind: 'error'; error: string },
    seenMs: number,
  ): boolean {
    const { blob, bucketId, key } = reference
    const { uid, part } = blob
    if (outcome.kind !== 'unrepairable' && outcome.kind !== 'error') {
      // What was known stays known while drives are silent.
      if (outcome.kind === 'owing' && outcome.unknown) this.keep(blob, seenMs)
      else this.#forget(nameOfBlob(blob))
      return false
    }
    const name = nameOfBlob(blob)
    const isNew = !this.#seenMs.has(name)
    if (isNew && this.#seenMs.size >= this.#max) {
      this.#fullMs = seenMs
      return true
    }
    this.#seenMs.set(name, seenMs)
    if (this.#blobs.size < LISTED_MAX || this.#blobs.has(name)) {
      this.#blobs.set(name, { uid, part, bucketId, key, ...whyOf(outcome), seenMs })
    }
    return isNew
  }

  /** It was met, and nothing can be said of it now. */
  keep(blob: Pick<Blob, 'uid' | 'part'>, seenMs: number): void {
    const name = nameOfBlob(blob)
    if (this.#seenMs.has(name)) this.#seenMs.set(name, seenMs)
    const listed = this.#blobs.get(name)
    if (listed !== undefined) listed.seenMs = seenMs
  }

  /**
   * A whole pass that began at `startedMs` has ended: what it did not meet any more is deleted. `found`: how many it could
   * not mend. A check says as much as a scrub: what was found rotten is read by both.
   */
  forgetUnseen(startedMs: number, found: number): void {
    this.#lastPass = found
    if (this.#fullMs !== undefined && this.#fullMs < startedMs) this.#fullMs = undefined
    for (const [name, seenMs] of this.#seenMs) if (seenMs < startedMs) this.#forget(name)
  }

  #forget(name: string): void {
    this.#seenMs.delete(name)
    this.#blobs.delete(name)
  }
}

function whyOf(
  outcome: Extract<Healed, { kind: 'unrepairable' }> | { kind: 'error'; error: string },
): Pick<UnrepairableBlob, 'good' | 'needed' | 'error'> {
  if (outcome.kind === 'error') return { error: outcome.error }
  return { good: outcome.good, needed: outcome.needed }
}
