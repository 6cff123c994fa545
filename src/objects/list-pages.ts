// One ordered listing out of ordered scans of every metadata partition.
// Each partition is asked for its likely share first and again only when it has run dry.
import { compareAsUtf8 } from '../kit/utf8-order.ts'
import type { ScanEntry, ScanPage } from '../metadata/contract.ts'
import { BucketGone, type ListPage } from './object-store.ts'

/** Where a scan goes on. */
export interface ScanFrom {
  after: string
  /** `after` is a common prefix: everything below it is skipped. */
  afterPrefix: boolean
  /** For uploads and versions: greater ids of the key `after` are still to come. */
  afterId: string
  limit: number
}

/** Asks one partition for a page. */
export type ScanPartition<Record> = (from: ScanFrom) => Promise<ScanPage<Record> | 'bucket-gone'>

/** How records of one key follow one another: uploads and versions have ids, current objects do not. */
export type IdOf<Record> = (record: Record) => string

/** Merges the partitions' pages in byte order until `limit` entries are found or nothing is left. */
export async function mergeScans<Record>(
  partitions: readonly ScanPartition<Record>[],
  from: Omit<ScanFrom, 'limit'>,
  limit: number,
  idOf: IdOf<Record>,
): Promise<ListPage<Record>> {
  const share = shareOf(limit, partitions.length)
  const cursors = partitions.map(
    (scan) => new PartitionCursor(scan, { ...from, limit: share }, idOf),
  )
  await Promise.all(cursors.map((cursor) => cursor.fill()))
  const heap = new Heap(cursors.filter(({ head }) => head !== undefined))
  const entries: ScanEntry<Record>[] = []
  let last: PartitionCursor<Record>['head']
  for (let cursor = heap.first; cursor !== undefined; cursor = heap.first) {
    const head = cursor.head!
    // A common prefix may stand in every partition.
    if (last === undefined || compareHeads(head, last) !== 0) {
      if (entries.length === limit) return { entries, last: lastOf(entries) }
      entries.push(head.entry)
      last = head
    }
    if (cursor.advance()) await cursor.fill()
    heap.settleFirst()
  }
  return { entries, last: undefined }
}

/** A page's share of one partition, with slack so that most pages need one round. */
function shareOf(limit: number, partitionCount: number): number {
  const even = limit / partitionCount
  return Math.min(limit + 1, Math.ceil(even + 3 * Math.sqrt(even)) + 1)
}

function lastOf<Record>(entries: readonly ScanEntry<Record>[]): string | undefined {
  const last = entries.at(-1)
  return last && nameOf(last)
}

function nameOf(entry: ScanEntry<unknown>): string {
  return entry.kind === 'entry' ? entry.key : entry.prefix
}

interface Head<Record> {
  entry: ScanEntry<Record>
  name: string
  id: string
}

function compareHeads(left: Head<unknown>, right: Head<unknown>): number {
  const order = compareAsUtf8(left.name, right.name)
  if (order !== 0 || left.id === right.id) return order
  return left.id < right.id ? -1 : 1
}

/** Cursors that are not at their end, the one with the first head on top. */
class Heap<Record> {
  readonly #cursors: PartitionCursor<Record>[]

  constructor(cursors: PartitionCursor<Record>[]) {
    // Sorted is a heap too.
    this.#cursors = cursors.sort((left, right) => compareHeads(left.head!, right.head!))
  }

  get first(): PartitionCursor<Record> | undefined {
    return this.#cursors[0]
  }

  /** Puts the first cursor where it belongs now: it moved on, perhaps to its end. */
  settleFirst(): void {
    const cursors = this.#cursors
    if (cursors[0]?.head === undefined) {
      const last = cursors.pop()
      if (last === undefined || cursors.length === 0) return
      cursors[0] = last
    }
    const moved = cursors[0]!
    let at = 0
    for (;;) {
      let least = 2 * at + 1
      if (least >= cursors.length) break
      const right = cursors[least + 1]
      if (right && compareHeads(right.head!, cursors[least]!.head!) < 0) least += 1
      if (compareHeads(moved.head!, cursors[least]!.head!) <= 0) break
      cursors[at] = cursors[least]!
      at = least
    }
    cursors[at] = moved
  }
}

/** The entries of one partition, page by page. */
class PartitionCursor<Record> {
  head: Head<Record> | undefined
  readonly #scan: ScanPartition<Record>
  readonly #idOf: IdOf<Record>
  #from: ScanFrom
  #entries: ScanEntry<Record>[] = []
  #next = 0
  #more = true

  constructor(scan: ScanPartition<Record>, from: ScanFrom, idOf: IdOf<Record>) {
    this.#scan = scan
    this.#from = from
    this.#idOf = idOf
  }

  /** Fetches the next page if this one is used up. */
  async fill(): Promise<void> {
    while (this.#next === this.#entries.length && this.#more) {
      const page = await this.#scan(this.#from)
      if (page === 'bucket-gone') throw new BucketGone('the bucket was deleted while it was listed')
      this.#entries = page.entries
      this.#next = 0
      this.#more = page.more
      const last = page.entries.at(-1)
      if (last) this.#from = { ...this.#from, ...this.#continueAfter(last) }
    }
    this.#look()
  }

  /** Drops the head; true when the page is used up and fill() must fetch. */
  advance(): boolean {
    this.#next += 1
    this.#look()
    return this.head === undefined
  }

  #continueAfter(last: ScanEntry<Record>): Omit<ScanFrom, 'limit'> {
    if (last.kind === 'prefix') return { after: last.prefix, afterPrefix: true, afterId: '' }
    return { after: last.key, afterPrefix: false, afterId: this.#idOf(last.record) }
  }

  #look(): void {
    const entry = this.#entries[this.#next]
    this.head = entry && {
      entry,
      name: nameOf(entry),
      id: entry.kind === 'entry' ? this.#idOf(entry.record) : '',
    }
  }
}
