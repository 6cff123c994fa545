// When the partition was recovered from what was left of it: of commands and blobs of that time or earlier nobody knows any more
// whether they were done, or may be.
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

interface PackedRecovered {
  t: number
}

/** The bytes of the row. `recoveredMs`: whole milliseconds since 1970. */
export function encodeRecoveredRow(recoveredMs: number): Buffer {
  return packRow(FORMAT, { t: recoveredMs } satisfies PackedRecovered)
}

/** The time in a row. */
export function decodeRecoveredRow(bytes: Uint8Array): number {
  return unpackRow<PackedRecovered>(bytes, FORMAT, 'recovered').t
}
