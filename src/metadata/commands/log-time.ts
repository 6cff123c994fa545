// The clock of a partition's log: milliseconds since 1970 in the upper 48 bits, a counter in the lower 16.
// It follows the wall clock but never goes back and never gives a time twice.
import { UID_BYTES, type Uid, uidBytes } from '../../kit/uid.ts'
import { packTime } from '../rows/answer-row.ts'
import { versionIdOf } from '../rows/version-id.ts'

const COUNTER_BITS = 16n
const ALL_ONES = (1n << 64n) - 1n

/** The time after `last`, when the wall clock says `nowMs`. */
export function nextTime(last: bigint, nowMs: number): bigint {
  const physical = BigInt(Math.floor(nowMs)) << COUNTER_BITS
  return physical > last ? physical : last + 1n
}

/** Milliseconds since 1970. */
export function timeMs(time: bigint): number {
  return Number(time >> COUNTER_BITS)
}

/**
 * Id of the version that a command commits at `time`: later ones sort first. The random half comes from the
 * command, so that deciding the same command at the same time gives the same rows. `at`: which of several that it makes,
 * of which later ones sort first as well.
 */
export function versionIdAt(time: bigint, commandId: Uid, at = 0): string {
  const random = uidBytes(commandId).subarray(UID_BYTES - 8)
  if (at > 0) random.writeBigUInt64BE((random.readBigUInt64BE() - BigInt(at)) & ALL_ONES)
  return versionIdOf(Buffer.concat([packTime(ALL_ONES - time), random]))
}
