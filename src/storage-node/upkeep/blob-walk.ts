// A pass over every blob that rows name, partition by partition.
import type { BlobReference, MetadataPartition, OwedBlob } from '../../metadata/contract.ts'
import type { Healed } from './heal-blob.ts'

/** What a pass is for: to find what is missing, or to read every byte. */
export type PassKind = 'check' | 'scrub'

/** A blob of the pass. */
export interface WalkedBlob {
  partition: MetadataPartition
  reference: BlobReference
}

/** What a pass has found so far. */
export interface PassCounts {
  blobs: number
  /** Of the blobs, without parity. */
  bytes: number
  mendedShards: number
  /** Blobs that owe shards for which there is no drive. */
  waiting: number
  /** Blobs that are worth trying again soon. */
  unsettled: number
  unrepairable: number
}

/** How a pass will go on, about; both are absent as long as nobody can tell. */
export interface PassForecast {
  /** Blobs that it will have seen in all. */
  blobsExpected?: number
  /** Until it has seen them: by the schedule of a pass that is spread over a time, else at the pace that it had so far. */
  leftMs?: number
}

/** Where a pass is, so that another process can go on with it. */
export interface WalkPosition {
  startedMs: number
  counts: PassCounts
  /** Which of the partitions. */
  at: number
  /** The row after which it goes on, in hex; absent at the beginning of the partition. */
  after?: string
  /** It walks this partition for the second time. */
  again?: true
}

/** Rows asked for at once, unless more blobs are wanted at once: a bound on memory. */
const PAGE_BLOBS = 64

/** Partitions are much alike once so many blobs were seen: then those that were walked tell of the others. */
const TELLING_BLOBS = 2_000

/** The pace of less than this says little. */
const TELLING_MS = 2_000

/** One pass. */
export class BlobWalk {
  readonly kind: PassKind
  readonly startedMs: number
  /** Another process began it. */
  readonly isResumed: boolean
  readonly counts: PassCounts = {
    blobs: 0,
    bytes: 0,
    mendedShards: 0,
    waiting: 0,
    unsettled: 0,
    unrepairable: 0,
  }
  readonly #partitions: readonly MetadataPartition[]
  #at = 0
  /** Blobs of the partitions that were walked to their ends. */
  #blobsBehind = 0
  #after: Uint8Array | undefined
  #page: WalkedBlob[] = []
  #pageEndsPartition = false
  /** How many versions of the partition had come up when it was begun; undefined where another process began it. */
  #promoted: number | undefined
  #isAgain = false
  /** What had been found, and where, when the page under way was read: all before it is done. */
  #settled: WalkPosition
  /** What another process had found. */
  readonly #before: PassCounts
  /** So many blobs had been seen when its pace began to count. */
  #paceFrom: number

  /** `from`: where another process was with the pass. */
  constructor(
    kind: PassKind,
    partitions: readonly MetadataPartition[],
    from: Pick<WalkPosition, 'startedMs'> & Partial<WalkPosition>,
  ) {
    const { startedMs, counts, at = 0, after, again } = from
    this.kind = kind
    this.startedMs = startedMs
    this.#partitions = partitions
    this.#at = at
    this.#after = after === undefined ? undefined : Buffer.from(after, 'hex')
    Object.assign(this.counts, counts)
    this.#blobsBehind = this.counts.blobs
    this.#before = { ...this.counts }
    this.#paceFrom = this.counts.blobs
    this.isResumed = at > 0 || after !== undefined
    this.#isAgain = again ?? false
    if (after === undefined) this.#notePromoted()
    this.#settled = this.#here()
  }

  /** `lastBlobs`: how many an earlier pass saw. `elapsedMs`: since this process began with the pass, or its pace was forgotten. */
  foretell(lastBlobs: number | undefined, elapsedMs: number): PassForecast {
    const { blobs } = this.counts
    const isTelling = this.#at > 0 && blobs >= TELLING_BLOBS
    const guess = isTelling ? (this.#blobsBehind * this.#partitions.length) / this.#at : lastBlobs
    if (guess === undefined) return {}
    const blobsExpected = Math.max(blobs, Math.round(guess))
    const seen = blobs - this.#paceFrom
    if (seen === 0 || elapsedMs < TELLING_MS) return { blobsExpected }
    return { blobsExpected, leftMs: Math.round(((blobsExpected - blobs) * elapsedMs) / seen) }
  }

  /** Its pace is told by what comes from now on. */
  forgetPace(): void {
    this.#paceFrom = this.counts.blobs
  }

  /** Everything before it was looked at, and is in its counts. */
  get position(): WalkPosition {
    return this.#settled
  }

  /** The next blobs, at most `limit`; none at the end. A page that can not be read now is asked for again by the next call. */
  async next(limit: number): Promise<WalkedBlob[]> {
    while (this.#page.length === 0) {
      if (this.#pageEndsPartition) this.#leavePartition()
      const partition = this.#partitions[this.#at]
      this.#settled = this.#here()
      if (partition === undefined) return []
      const { references, after, more } = await partition.scanBlobs(
        this.#after,
        Math.max(PAGE_BLOBS, limit),
      )
      const missed = more ? [] : await this.#findPromoted(partition)
      this.#page = [...references, ...missed].map((reference) => ({ partition, reference }))
      this.#after = after
      this.#pageEndsPartition = !more
    }
    return this.#page.splice(0, limit)
  }

  /** Enters what became of a blob; 'failed' when that is not known. */
  note({ reference }: WalkedBlob, outcome: Healed | 'failed'): void {
    const { counts } = this
    counts.blobs += 1
    counts.bytes += reference.blob.bytes
    if (outcome === 'failed') counts.unsettled += 1
    else if (outcome.kind === 'mended') counts.mendedShards += outcome.shards
    else if (outcome.kind === 'owing' && outcome.waiting) counts.waiting += 1
    // A row that changed while it was looked at may name the blob where the pass was already.
    else if (outcome.kind === 'owing' || outcome.kind === 'gone') counts.unsettled += 1
    else if (outcome.kind === 'unrepairable') counts.unrepairable += 1
  }

  /**
   * Whether every blob has all its shards. A check that made some again does not know: it only looked at the others.
   * A scrub read all that it left alone, and what it made again was read back.
   */
  get leftNothing(): boolean {
    if (troubleIn(this.counts) > 0) return false
    return this.kind === 'scrub' || this.counts.mendedShards === 0
  }

  /** The same of the blobs that this process looked at. */
  get leftNothingHere(): boolean {
    if (troubleIn(this.counts) > troubleIn(this.#before)) return false
    return this.kind === 'scrub' || this.counts.mendedShards === 0
  }

  #here(): WalkPosition {
    const after = this.#after && Buffer.from(this.#after).toString('hex')
    const { startedMs } = this
    return {
      ...{ startedMs, counts: { ...this.counts }, at: this.#at },
      ...(after ? { after } : {}),
      ...(this.#isAgain ? { again: true } : {}),
    }
  }

  /**
   * Blobs of versions that became the latest since the partition was begun: they may have gone back to where the walk had
   * been. All rows have been read by now, so what comes up from here on was seen where it was.
   */
  async #findPromoted(partition: MetadataPartition): Promise<BlobReference[]> {
    const promoted = this.#promotedSinceBegun(partition)
    const found = await Promise.all((promoted ?? []).map((owed) => partition.findBlob(owed)))
    return found.filter((reference) => reference !== undefined)
  }

  #promotedSinceBegun({ tally }: MetadataPartition): readonly OwedBlob[] | undefined {
    return this.#promoted === undefined ? undefined : tally.promotedSince(this.#promoted)
  }

  /** Where it is not known what came up meanwhile the partition is walked again, once; then the pass vouches for nothing. */
  #leavePartition(): void {
    const isSure = this.#promotedSinceBegun(this.#partitions[this.#at]!) !== undefined
    if (!isSure && this.#isAgain) this.counts.unsettled += 1
    const walksAgain = !isSure && !this.#isAgain
    if (!walksAgain) {
      this.#at += 1
      this.#blobsBehind = this.counts.blobs
    }
    this.#isAgain = walksAgain
    this.#after = undefined
    this.#pageEndsPartition = false
    this.#notePromoted()
  }

  #notePromoted(): void {
    this.#promoted = this.#partitions[this.#at]?.tally.promoted
  }
}

function troubleIn({ waiting, unsettled, unrepairable }: PassCounts): number {
  return waiting + unsettled + unrepairable
}
