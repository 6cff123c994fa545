// How many uploads are under way here, and how much they hold: what nobody ends would otherwise be seen by nobody.
import { uidTimeMs } from '../kit/uid.ts'
import type { UploadCensus } from './contract.ts'
import type { RowReader } from './log/contract.ts'
import { KeyKind, parseUploadKey, rangeOfKind } from './rows/keys.ts'
import { decodePartRow } from './rows/part-row.ts'
import { walkRows } from './scan-blobs.ts'

const ROWS_EXPECTED = 64

/** Uploads of all buckets; an id tells when its upload began. Every part that has a row is of one of them. */
export async function countUploads(rows: RowReader): Promise<UploadCensus> {
  const census: UploadCensus = { count: 0, parts: 0, bytes: 0, oldestMs: undefined }
  for await (const { key } of walkRows(rows, rangeOfKind(KeyKind.Upload), ROWS_EXPECTED)) {
    const beganMs = uidTimeMs(parseUploadKey(key).uploadId)
    census.count += 1
    census.oldestMs = Math.min(beganMs, census.oldestMs ?? beganMs)
  }
  for await (const { value } of walkRows(rows, rangeOfKind(KeyKind.Part), ROWS_EXPECTED)) {
    census.parts += 1
    census.bytes += decodePartRow(value).bytes
  }
  return census
}
