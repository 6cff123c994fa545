// Every blob that rows name, a page at a time: what has to be on the drives.
import { compareBytes } from '../kit/bytes.ts'
import { isInUse } from './commands/manifest-end.ts'
import type { BlobReference } from './contract.ts'
import type { RowRange, RowReader } from './log/contract.ts'
import { BLOB_RANGES, referencesIn } from './rows/blob-rows.ts'
import { keyAfter } from './rows/keys.ts'
import { RowWalk, type WalkedRow } from './scan-walk.ts'

/** Rows that one page looks at, when few of them name blobs. */
const ROWS_PER_PAGE_MAX = 1024

/** Some blobs that rows name, perhaps none. Where there is `more` the next page begins behind `after`. */
export interface BlobPage {
  references: BlobReference[]
  /** The last row that was looked at. */
  after: Uint8Array | undefined
  more: boolean
}

/** The blobs of the rows after `after`, until there are `limit`. */
export async function scanBlobs(
  rows: RowReader,
  after: Uint8Array | undefined,
  limit: number,
): Promise<BlobPage> {
  const page: BlobPage = { references: [], after, more: false }
  let room = ROWS_PER_PAGE_MAX
  for await (const row of walkFrom(rows, after ? keyAfter(after) : undefined, limit + 1)) {
    // One row more than the page tells that there is more, even if it names nothing.
    if (page.references.length >= limit || room === 0) return { ...page, more: true }
    if (await isInUse(rows, row.key)) page.references.push(...referencesIn(row))
    page.after = row.key
    room -= 1
  }
  return page
}

async function* walkFrom(
  rows: RowReader,
  from: Uint8Array | undefined,
  expected: number,
): AsyncGenerator<WalkedRow> {
  for (const range of BLOB_RANGES) {
    const rest = from && compareBytes(from, range.from) > 0 ? { from, to: range.to } : range
    if (compareBytes(rest.from, rest.to) < 0) yield* walkRows(rows, rest, expected)
  }
}

/** The rows of a range, one after the other. */
export async function* walkRows(
  rows: RowReader,
  range: RowRange,
  expected: number,
): AsyncGenerator<WalkedRow> {
  const walk = new RowWalk(rows, range, expected)
  try {
    for (let row = await walk.next(); row; row = await walk.next()) yield row
  } finally {
    await walk.close()
  }
}
