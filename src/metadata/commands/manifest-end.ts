// Whether the row of a manifest still is of an object. Commands and queries look in the same way.
// A manifest stays for a while when its object is gone: who repaired what it names would work on garbage.
import type { RowReader } from '../log/contract.ts'
import { KeyKind, manifestEndKey, uidOfParts } from '../rows/keys.ts'

/** Whether a row of a manifest is that of an object; always true for rows of other kinds. */
export async function isInUse(rows: Pick<RowReader, 'get'>, rowKey: Uint8Array): Promise<boolean> {
  if (rowKey[0] !== KeyKind.Manifest) return true
  if (await rows.get(manifestEndKey(uidOfParts(rowKey)))) return false
  // What says that it has ended goes together with it: a row that is still there now had not ended then.
  return (await rows.get(rowKey)) !== undefined
}
