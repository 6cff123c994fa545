// A version of a key by its name: an id, or `null`. Commands and queries look in the same way.
import type { RowReader } from '../log/contract.ts'
import type { AnyVersion } from '../records.ts'
import type { Head } from '../rows/head-row.ts'
import { versionKey } from '../rows/keys.ts'
import { versionIdBytes } from '../rows/version-id.ts'
import { decodeVersionRow } from '../rows/version-row.ts'
import { nullVersionIdOf, type Place } from './key-state.ts'

/** The version of that name, given the latest one. */
export async function findVersion(
  rows: Pick<RowReader, 'get'>,
  { bucketId, key }: Place,
  head: Head | undefined,
  name: string,
): Promise<AnyVersion | undefined> {
  if (!head) return undefined
  const versionId = name === 'null' ? nullVersionIdOf(head) : name
  if (versionId === head.version.versionId) return head.version
  if (!head.older || versionId === undefined || !versionIdBytes(versionId)) return undefined
  const row = await rows.get(versionKey(bucketId, key, versionId))
  return row && decodeVersionRow(row)
}
