// How the encryption of a version or an upload lies in its row. The names are in docs/formats/rows.md.
import type { Encryption } from '../records.ts'

/** `k` is the kind without `SSE-`, `w` the wrapped key. */
export type PackedEncryption =
  | { k: 'S3'; w: Uint8Array }
  | { k: 'KMS'; w: Uint8Array; i: string; c?: string; b?: true }
  | { k: 'C'; w: Uint8Array; m: string }

/** An encryption as it lies in a row. */
export function packEncryption(encryption: Encryption): PackedEncryption {
  const { kind, wrappedKey: w } = encryption
  switch (kind) {
    case 'SSE-S3':
      return { k: 'S3', w }
    case 'SSE-KMS': {
      const { keyId: i, context: c, bucketKey: b } = encryption
      return { k: 'KMS', w, i, ...(c === undefined ? {} : { c }), ...(b ? { b } : {}) }
    }
    case 'SSE-C':
      return { k: 'C', w, m: encryption.keyMd5 }
  }
}

/** The encryption that packEncryption() was given. */
export function unpackEncryption(packed: PackedEncryption): Encryption {
  const wrappedKey = packed.w
  switch (packed.k) {
    case 'S3':
      return { kind: 'SSE-S3', wrappedKey }
    case 'KMS': {
      const { i: keyId, c: context, b: bucketKey } = packed
      const options = {
        ...(context === undefined ? {} : { context }),
        ...(bucketKey ? { bucketKey } : {}),
      }
      return { kind: 'SSE-KMS', wrappedKey, keyId, ...options }
    }
    case 'C':
      return { kind: 'SSE-C', wrappedKey, keyMd5: packed.m }
  }
}
