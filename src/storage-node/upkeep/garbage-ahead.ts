// Garbage that seems to be due later than any can be: it came while the wall clock was ahead, or the clock is behind now.
// It waits by the monotonic clock instead, from when it was first seen here.
import type { Uid } from '../../kit/uid.ts'
import type { Clock } from '../../kit/world.ts'
import type {
  Garbage,
  GarbagePlace,
  MetadataPartition,
  MetaPartitionId,
} from '../../metadata/contract.ts'

/** Rows remembered in all: a bound on memory. The others wait for the next look. */
const REMEMBERED_MAX = 100_000

/** Rows read at once. */
const PAGE_ROWS = 500

/** What nobody came for so long after its time, as where another node leads by now, makes room. */
const KEPT_MS = 60 * 60_000

/** Above every uid. */
const LAST_UID = 'f'.repeat(32) as Uid

/** What a look at a partition found, and where it began. */
interface Look {
  after: GarbagePlace
  /** When each of them is due by its row. */
  dueMs: Map<Uid, number>
  /** By then all of them had been seen, on the monotonic clock. */
  seenMs: number
}

/** Which rows there were, and since when. */
export class GarbageAhead {
  readonly #delayMsMax: number
  readonly #max: number
  readonly #looks = new Map<MetaPartitionId, Look>()

  /** No garbage is rightly due later than `delayMsMax` after it came. `max`: rows that are remembered. */
  constructor(delayMsMax: number, max = REMEMBERED_MAX) {
    this.#delayMsMax = delayMsMax
    this.#max = max
  }

  /**
   * Rows that are due whatever the wall clock says, page by page: they were there that long ago. Else it looks which seem to
   * be due too late, and none comes. To be asked again and again.
   */
  async *outlived(
    partition: Pick<MetadataPartition, 'id' | 'garbageAfter'>,
    clock: Pick<Clock, 'now' | 'monotonicMs'>,
  ): AsyncGenerator<readonly Garbage[]> {
    const { id } = partition
    const look = this.#looks.get(id)
    if (look === undefined) {
      await this.#look(partition, clock)
      return
    }
    if (clock.monotonicMs() - look.seenMs < this.#delayMsMax) return
    let { after } = look
    let left = look.dueMs.size
    while (left > 0) {
      const page = await partition.garbageAfter(after, PAGE_ROWS)
      const known = page.filter(({ dueMs, blob }) => look.dueMs.get(blob.uid) === dueMs)
      left -= known.length
      if (known.length > 0) yield known
      const last = page.at(-1)
      if (last === undefined || page.length < PAGE_ROWS) break
      after = placeOf(last)
    }
    // Not before the end: where a page can not be read now, it is read by the next round. What is still there waits anew.
    this.#looks.delete(id)
  }

  async #look(
    partition: Pick<MetadataPartition, 'id' | 'garbageAfter'>,
    clock: Pick<Clock, 'now' | 'monotonicMs'>,
  ): Promise<void> {
    this.#forgetOld(clock.monotonicMs())
    const after = { dueMs: Math.floor(clock.now()) + this.#delayMsMax, uid: LAST_UID }
    const dueMs = new Map<Uid, number>()
    // At once, so that other partitions that are looked at meanwhile see what is taken.
    const look: Look = { after, dueMs, seenMs: Number.POSITIVE_INFINITY }
    this.#looks.set(partition.id, look)
    try {
      await this.#readInto(look, partition)
    } catch (error) {
      this.#looks.delete(partition.id)
      throw error
    }
    look.seenMs = clock.monotonicMs()
    if (dueMs.size === 0) this.#looks.delete(partition.id)
  }

  async #readInto(
    { after, dueMs }: Look,
    partition: Pick<MetadataPartition, 'garbageAfter'>,
  ): Promise<void> {
    let from = after
    for (;;) {
      const page = await partition.garbageAfter(from, PAGE_ROWS)
      const some = page.slice(0, Math.max(0, this.#max - this.#remembered))
      for (const { dueMs: rowDueMs, blob } of some) dueMs.set(blob.uid, rowDueMs)
      const last = page.at(-1)
      if (last === undefined || some.length < PAGE_ROWS) return
      from = placeOf(last)
    }
  }

  get #remembered(): number {
    let rows = 0
    for (const { dueMs } of this.#looks.values()) rows += dueMs.size
    return rows
  }

  #forgetOld(nowMs: number): void {
    for (const [id, { seenMs }] of this.#looks)
      if (nowMs - seenMs > this.#delayMsMax + KEPT_MS) this.#looks.delete(id)
  }
}

function placeOf({ dueMs, blob }: Garbage): GarbagePlace {
  return { dueMs, uid: blob.uid }
}
