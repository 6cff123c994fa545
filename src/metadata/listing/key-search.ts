// Where a key stands among entries in order of key.
import { compareBytes } from '../../kit/bytes.ts'

/** Index of the first entry whose key is at or after `key`, both as bytes of UTF-8. */
export function keyAtOrAfter(entries: readonly { key: string }[], key: Uint8Array): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareBytes(Buffer.from(entries[middle]!.key), key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
