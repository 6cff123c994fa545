// How many uploads are under way here: those that nobody ends would otherwise be seen by nobody.
import { uidTimeMs } from '../kit/uid.ts'
import type { UploadCensus } from './contract.ts'
import type { RowReader } from './log/contract.ts'
import { KeyKind, parseUploadKey, rangeOfKind } from './rows/keys.ts'
import { RowWalk } from './scan-walk.ts'

const ROWS_EXPECTED = 64

/** Uploads of all buckets; an id tells when its upload began. */
export async function countUploads(rows: RowReader): Promise<UploadCensus> {
  const walk = new RowWalk(rows, rangeOfKind(KeyKind.Upload), ROWS_EXPECTED)
  let count = 0
  let oldestMs: number | undefined
  try {
    for (let row = await walk.next(); row; row = await walk.next()) {
      const beganMs = uidTimeMs(parseUploadKey(row.key).uploadId)
      count += 1
      oldestMs = Math.min(beganMs, oldestMs ?? beganMs)
    }
  } finally {
    await walk.close()
  }
  return { count, oldestMs }
}
