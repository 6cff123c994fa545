// One ordered listing out of ordered scans of every metadata partition (storage.md 3).
// Each partition is asked for its likely share first and again only when it has run dry.
import { compareBytes } from '../kit/bytes.ts'
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
  const entries: ScanEntry<Record>[] = []
  for (;;) {
    const next = firstOf(cursors)
    if (!next) return { entries, last: undefined }
    if (entries.length === limit) return { entries, last: lastOf(entries) }
    entries.push(next.head!.entry)
    await dropHeads(cursors, next.head!)
  }
}

/** A page's share of one partition, with slack so that most pages need one round (measured in storage.md 3). */
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
  name: Buffer
  id: string
}

function compareHeads(left: Head<unknown>, right: Head<unknown>): number {
  const order = compareBytes(left.name, right.name)
  if (order !== 0 || left.id === right.id) return order
  return left.id < right.id ? -1 : 1
}

function firstOf<Record>(
  cursors: readonly PartitionCursor<Record>[],
): PartitionCursor<Record> | undefined {
  let first: PartitionCursor<Record> | undefined
  for (const cursor of cursors) {
    if (cursor.head && (!first || compareHeads(cursor.head, first.head!) < 0)) first = cursor
  }
  return first
}

/** Moves past `head` everywhere: a common prefix may stand in every partition. */
async function dropHeads<Record>(
  cursors: readonly PartitionCursor<Record>[],
  head: Head<Record>,
): Promise<void> {
  for (const cursor of cursors) {
    if (cursor.head && compareHeads(cursor.head, head) === 0 && cursor.advance())
      await cursor.fill()
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
      name: Buffer.from(nameOf(entry)),
      id: entry.kind === 'entry' ? this.#idOf(entry.record) : '',
    }
  }
}
