// What the first shard header carries beside the key, so that a row could be rebuilt from shards alone.
import { encode } from 'cbor-x'
import type { ObjectAttributes } from '../metadata/records.ts'

/** Attributes of an object as CBOR. */
export function encodeAttributes(attributes: ObjectAttributes): Uint8Array {
  return encode(attributes)
}
