// What the first shard header carries beside the key, so that a row could be rebuilt from shards alone.
import { encode } from 'cbor-x'
import type { Encryption, ObjectAttributes } from '../metadata/records.ts'

/** A shard header holds 64 KiB in all; attributes near that are left out, but never the key: without it the bytes are nothing. */
const RECOVERABLE_BYTES = 48 * 1024

/** Attributes and encryption of an object as CBOR; a part has only the latter. */
export function encodeAttributes(
  attributes: ObjectAttributes | undefined,
  encryption: Encryption | undefined,
): Uint8Array {
  if (!attributes && !encryption) return new Uint8Array(0)
  const bytes = encode({ ...attributes, ...(encryption ? { encryption } : {}) })
  return attributes && bytes.length > RECOVERABLE_BYTES
    ? encodeAttributes(undefined, encryption)
    : bytes
}

/** What tells the blob of an annotation from that of an object. */
export function encodeAnnotation(name: string, encryption: Encryption | undefined): Uint8Array {
  return encode({ annotation: name, ...(encryption ? { encryption } : {}) })
}
