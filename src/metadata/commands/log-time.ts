// The clock of a partition's log: milliseconds since 1970 in the upper 48 bits, a counter in the lower 16.
// It follows the wall clock but never goes back and never gives a time twice (storage.md 2).
import { UID_BYTES, type Uid, uidBytes } from '../../kit/uid.ts'
import { packTime } from '../rows/answer-row.ts'

const COUNTER_BITS = 16n
const ALL_ONES = (1n << 64n) - 1n
const BASE32_DIGITS = '0123456789abcdefghijklmnopqrstuv'

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
 * command, so that deciding the same command at the same time gives the same rows.
 */
export function versionIdAt(time: bigint, commandId: Uid): string {
  const random = uidBytes(commandId).subarray(UID_BYTES - 8)
  return base32(Buffer.concat([packTime(ALL_ONES - time), random]))
}

/** Five bits a digit, in digits whose order is that of the bytes; zero bits fill the last. */
function base32(bytes: Uint8Array): string {
  let text = ''
  let pending = 0
  let pendingBits = 0
  for (const byte of bytes) {
    pending = ((pending << 8) | byte) & 0xfff
    pendingBits += 8
    while (pendingBits >= 5) {
      pendingBits -= 5
      text += BASE32_DIGITS[(pending >> pendingBits) & 31]
    }
  }
  return pendingBits === 0 ? text : text + BASE32_DIGITS[(pending << (5 - pendingBits)) & 31]
}
