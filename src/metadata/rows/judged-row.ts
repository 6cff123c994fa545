// Up to when blobs were judged: of those that no row names whose uid is of that time or earlier, shards may be deleted.
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

interface PackedJudged {
  t: number
}

/** The bytes of the row. `judgedMs`: whole milliseconds since 1970. */
export function encodeJudgedRow(judgedMs: number): Buffer {
  return packRow(FORMAT, { t: judgedMs } satisfies PackedJudged)
}

/** The time in a row. */
export function decodeJudgedRow(bytes: Uint8Array): number {
  return unpackRow<PackedJudged>(bytes, FORMAT, 'judged').t
}
