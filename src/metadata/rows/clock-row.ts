// The last time that the log's clock gave: it never goes back, not even past a restart with a wrong wall clock.
import { packTime, unpackTime } from './answer-row.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

interface PackedClock {
  h: Uint8Array
}

/** The bytes of the row. */
export function encodeClockRow(time: bigint): Buffer {
  return packRow(FORMAT, { h: packTime(time) } satisfies PackedClock)
}

/** The time in a row. */
export function decodeClockRow(bytes: Uint8Array): bigint {
  return unpackTime(unpackRow<PackedClock>(bytes, FORMAT, 'clock').h)
}
