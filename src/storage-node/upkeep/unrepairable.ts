// Blobs of which too few shards are left: a list that people can see. A later look that finds enough takes them off.
import type { Blob, BucketId } from '../../metadata/records.ts'
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

/** Entries kept: beyond them only the number grows. */
const LISTED_MAX = 1000

/** The list. */
export class UnrepairableList {
  readonly #blobs = new Map<string, UnrepairableBlob>()
  /** Found after the list was full, since the last pass began. */
  #unlisted = 0

  get count(): number {
    return this.#blobs.size + this.#unlisted
  }

  get blobs(): readonly UnrepairableBlob[] {
    return [...this.#blobs.values()]
  }

  /** Whether a blob is on it. */
  lists({ uid, part }: Blob): boolean {
    return this.#blobs.has(`${uid}.${part}`)
  }

  /** Enters what a look at a blob gave; returns true when it is new on the list. */
  note(
    { reference }: Pick<WalkedBlob, 'reference'>,
    outcome: Healed | { kind: 'error'; error: string },
    seenMs: number,
  ): boolean {
    const { blob, bucketId, key } = reference
    const { uid, part } = blob
    const name = `${uid}.${part}`
    const listed = this.#blobs.get(name)
    const isNew = listed === undefined
    // What was known stays known while drives are silent.
    if (listed !== undefined && outcome.kind === 'owing' && outcome.unknown) listed.seenMs = seenMs
    else if (outcome.kind !== 'unrepairable' && outcome.kind !== 'error') this.#blobs.delete(name)
    if (outcome.kind !== 'unrepairable' && outcome.kind !== 'error') return false
    if (isNew && this.#blobs.size === LISTED_MAX) {
      this.#unlisted += 1
      return true
    }
    const { kind: _kind, ...why } = outcome
    this.#blobs.set(name, { uid, part, bucketId, key, ...why, seenMs })
    return isNew
  }

  /** A whole pass that began at `startedMs` has ended: what it did not meet any more is deleted. */
  forgetUnseen(startedMs: number): void {
    this.#unlisted = 0
    for (const [name, { seenMs }] of this.#blobs) if (seenMs < startedMs) this.#blobs.delete(name)
  }
}
