// Blobs that repair rows name, those that lack most first. One that can not be mended now is left alone for a while,
// so that it does not stand before the others; of a partition with many, those behind have their turn page by page.
import type { MetadataPartition, OwedBlob } from '../../metadata/contract.ts'
import { nameOfBlob } from './blob-name.ts'

/** An owed blob and the partition that knows it. */
export interface OwedOf {
  partition: MetadataPartition
  owed: OwedBlob
}

interface KnownOwed {
  item: OwedOf
  triedMs: number | undefined
}

/** Of a partition with more rows than one page: what is known of those behind it. */
interface Further {
  page: readonly KnownOwed[]
  readMs: number
  /** The last row of the page; undefined when it was the last of all. */
  last: OwedBlob | undefined
  /** How many rows there were in all, less those that are done since. */
  count: number
  countedMs: number
}

/** How often the partitions are asked when nothing was owed. */
const ASK_EVERY_MS = 5_000

/** Rows of each partition that are looked at, at its beginning and behind it. */
const ROWS_MAX = 256

/** How long a blob is left alone that was tried, and a page of which nothing could be mended. */
const AGAIN_AFTER_MS = 60_000

/** How often rows are counted, of one partition after the other. */
const COUNT_AGAIN_MS = 60_000

/** The rows as they were when they were last asked for. */
export class OwedBlobs {
  readonly #partitions: readonly MetadataPartition[]
  /** Every blob of the last answer that is not known to be whole, and when it was tried. */
  #known = new Map<string, KnownOwed>()
  /** Of partitions that have more than one page. */
  #further = new Map<MetadataPartition, Further>()
  /** How many each partition had left owing when it was asked. */
  #tallied: ReadonlyMap<MetadataPartition, number> = new Map()
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(partitions: readonly MetadataPartition[]) {
    this.#partitions = partitions
  }

  /** Whether no command has left a blob owing since all partitions were asked. */
  get isCurrent(): boolean {
    return this.#partitions.every(
      (partition) => this.#tallied.get(partition) === partition.tally.owed,
    )
  }

  /** Blobs that are known to be owed: of a partition with many as they were counted, which is not long ago. */
  get size(): number {
    let size = 0
    for (const { count } of this.#further.values()) size += count
    for (const { item } of this.#known.values()) if (!this.#further.has(item.partition)) size += 1
    return size
  }

  /** The next to try, at most `limit`. */
  async next(limit: number, nowMs: number): Promise<OwedOf[]> {
    if (nowMs - this.#askedMs >= ASK_EVERY_MS) await this.#ask(nowMs)
    const due = [...this.#known.values()].filter(
      ({ triedMs }) => triedMs === undefined || nowMs - triedMs >= AGAIN_AFTER_MS,
    )
    return due.slice(0, limit).map((entry) => {
      entry.triedMs = nowMs
      return entry.item
    })
  }

  /** It has all its shards, or is gone. */
  done(owed: OwedBlob): void {
    const name = nameOfBlob(owed.blob)
    const known = this.#known.get(name)
    if (known === undefined) return
    this.#known.delete(name)
    const further = this.#further.get(known.item.partition)
    if (further !== undefined) further.count = Math.max(0, further.count - 1)
  }

  /** A drive came or went: what could not be done may be possible now. */
  tryAllAgain(): void {
    this.#askedMs = Number.NEGATIVE_INFINITY
    for (const entry of this.#known.values()) entry.triedMs = undefined
    // From the beginning: those that lack most are behind the first page next.
    for (const further of this.#further.values()) Object.assign(further, NOT_READ)
  }

  async #ask(nowMs: number): Promise<void> {
    this.#askedMs = nowMs
    const found = new Map<string, KnownOwed>()
    const tallied = new Map<MetadataPartition, number>()
    // All at once: where each of them has to ask others first whether it still leads, these questions go together.
    const asked = this.#partitions.map(async (partition) => {
      // Before it is asked: what comes meanwhile may be missed.
      tallied.set(partition, partition.tally.owed)
      return { partition, blobs: await partition.owedBlobs(ROWS_MAX) }
    })
    const answers = await Promise.all(asked)
    const further = await this.#askFurther(answers, nowMs)
    for (const { partition, blobs } of answers) {
      for (const owed of blobs) {
        const name = nameOfBlob(owed.blob)
        found.set(name, { item: { partition, owed }, triedMs: this.#known.get(name)?.triedMs })
      }
    }
    for (const [partition, { page }] of further) {
      const isOld = this.#further.get(partition)?.page === page
      for (const entry of page) {
        const name = nameOfBlob(entry.item.owed.blob)
        const isDone = isOld && !this.#known.has(name)
        if (!isDone && !found.has(name)) found.set(name, entry)
      }
    }
    // Only now that all have answered: one that does not must not make it seem that nothing is owed.
    this.#known = found
    this.#further = further
    this.#tallied = tallied
  }

  /** What is behind the first page, where that is full. */
  async #askFurther(
    answers: readonly { partition: MetadataPartition; blobs: readonly OwedBlob[] }[],
    nowMs: number,
  ): Promise<Map<MetadataPartition, Further>> {
    const full = answers.filter(({ blobs }) => blobs.length === ROWS_MAX)
    const counted = this.#toCount(full, nowMs)
    const found = full.map(async ({ partition, blobs }): Promise<[MetadataPartition, Further]> => {
      const before = this.#further.get(partition)
      const page = await this.#readFurther(partition, blobs.at(-1)!, nowMs)
      if (before !== undefined && partition !== counted)
        return [partition, { ...page, count: before.count, countedMs: before.countedMs }]
      const count = Math.max(blobs.length, await partition.countOwed())
      return [partition, { ...page, count, countedMs: nowMs }]
    })
    return new Map(await Promise.all(found))
  }

  /** Of those that were counted before the one whose turn it is: a count reads all rows. */
  #toCount(
    full: readonly { partition: MetadataPartition }[],
    nowMs: number,
  ): MetadataPartition | undefined {
    const countedMs = (partition: MetadataPartition): number =>
      this.#further.get(partition)?.countedMs ?? nowMs
    const [oldest] = full
      .map(({ partition }) => partition)
      .sort((left, right) => countedMs(left) - countedMs(right))
    const isDue = oldest !== undefined && nowMs - countedMs(oldest) >= COUNT_AGAIN_MS
    return isDue ? oldest : undefined
  }

  /** The page that was read before until all of it was tried; then the next one, and after the last again the first. */
  async #readFurther(
    partition: MetadataPartition,
    lastOfFirst: OwedBlob,
    nowMs: number,
  ): Promise<Pick<Further, 'page' | 'readMs' | 'last'>> {
    const before = this.#further.get(partition)
    if (before !== undefined && !this.#isThrough(before, nowMs)) {
      const { page, readMs, last } = before
      return { page, readMs, last }
    }
    const owed = await partition.owedAfter(before?.last ?? lastOfFirst, ROWS_MAX)
    const last = owed.length === ROWS_MAX ? owed.at(-1) : undefined
    const page = owed.map((one) => {
      const triedMs = this.#known.get(nameOfBlob(one.blob))?.triedMs
      return { item: { partition, owed: one }, triedMs }
    })
    return { page, readMs: nowMs, last }
  }

  /** Where none could be mended the next ones wait as long as these: they may all be so, and passes want to go on, too. */
  #isThrough({ page, readMs }: Further, nowMs: number): boolean {
    // By now some may be on the first page: there they are tried.
    const left = page.flatMap(({ item }) => this.#known.get(nameOfBlob(item.owed.blob)) ?? [])
    const isTried = left.every(({ triedMs }) => triedMs !== undefined)
    const isWorthIt = left.length < page.length || nowMs - readMs >= AGAIN_AFTER_MS
    return isTried && isWorthIt
  }
}

/** Nothing was read behind the first page yet. */
const NOT_READ: Pick<Further, 'page' | 'readMs' | 'last'> = {
  page: [],
  readMs: Number.NEGATIVE_INFINITY,
  last: undefined,
}
