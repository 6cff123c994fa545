// Keys of objects in front of something else in a row's key: 00 becomes 00 FF and 00 01 ends the key,
// so that rows sort by key first and no key can look like the beginning of another with its end.
import { assert } from '../../kit/assert.ts'

/** Ends an escaped key; smaller than an escaped zero, so that `a` sorts before `a\0`. */
export const KEY_END: Uint8Array = Uint8Array.of(0x00, 0x01)

/** `key` with every 00 written as 00 FF. */
export function escapeKey(key: Uint8Array): Uint8Array {
  if (!key.includes(0)) return key
  const escaped: number[] = []
  for (const byte of key) {
    escaped.push(byte)
    if (byte === 0) escaped.push(0xff)
  }
  return Uint8Array.from(escaped)
}

/** The key that escapeKey() was given. */
export function unescapeKey(escaped: Uint8Array): Buffer {
  const key = Buffer.alloc(escaped.length)
  let length = 0
  for (let index = 0; index < escaped.length; index += 1) {
    const byte = escaped[index]!
    key[length] = byte
    length += 1
    if (byte !== 0) continue
    index += 1
    assert(escaped[index] === 0xff, 'a zero inside an escaped key is followed by 0xff')
  }
  return key.subarray(0, length)
}
