// What the first shard header carries beside the key, so that a row could be rebuilt from shards alone.
import { encode } from 'cbor-x'
import type { ObjectAttributes } from '../metadata/records.ts'

/** A shard header holds 64 KiB in all; attributes near that are left out: recovery then has the bytes without them. */
const RECOVERABLE_BYTES = 48 * 1024

/** Attributes of an object as CBOR. */
export function encodeAttributes(attributes: ObjectAttributes): Uint8Array {
  const bytes = encode(attributes)
  return bytes.length <= RECOVERABLE_BYTES ? bytes : new Uint8Array(0)
}
