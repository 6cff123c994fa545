// Finds a version for a query. Rows may change between two looks, so what was not found is looked for again until
// nothing moved meanwhile.
import { findVersion } from './commands/find-version.ts'
import type { Place } from './commands/key-state.ts'
import type { RowReader } from './log/contract.ts'
import type { AnyVersion } from './records.ts'
import type { Head } from './rows/head-row.ts'
import { currentKey, markerKey } from './rows/keys.ts'
import { readHeadRow } from './rows/known-heads.ts'
import { MetadataUnavailable } from './unavailable.ts'

/** More writes of one key than can come between the looks of one query. */
const LOOKS_MAX = 100

/** The latest version of a key. */
export async function lookUpHead(
  rows: Pick<RowReader, 'get'>,
  { bucketId, key }: Place,
): Promise<Head | undefined> {
  // A marker may give way to an object after the first look.
  for (const keyOf of [currentKey, markerKey, currentKey]) {
    const row = await rows.get(keyOf(bucketId, key))
    if (row) return readHeadRow(row)
  }
  return undefined
}

/** The version of that name (an id, or `null`), or the latest one. */
export async function lookUpVersion(
  rows: Pick<RowReader, 'get'>,
  place: Place,
  name: string | undefined,
): Promise<AnyVersion | undefined> {
  let head = await lookUpHead(rows, place)
  if (name === undefined) return head?.version
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const found = await findVersion(rows, place, head, name)
    if (found) return found
    const again = await lookUpHead(rows, place)
    if (isSame(head, again)) return undefined
    head = again
  }
  throw new MetadataUnavailable('a key changes faster than it can be read')
}

/** Ids are never used again: while the latest version is the same, nothing came from below and nothing went there. */
function isSame(left: Head | undefined, right: Head | undefined): boolean {
  return (
    left?.version.versionId === right?.version.versionId &&
    left?.nullVersionId === right?.nullVersionId
  )
}
