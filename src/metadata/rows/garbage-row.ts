// A blob that no row references any more. Its due time is in the key, so that the oldest come first.
import type { Garbage } from '../contract.ts'
import type { BucketId } from '../records.ts'
import { type PackedBlob, packBlob, unpackBlob } from './fields.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

interface PackedGarbage {
  k: BucketId
  o: PackedBlob
}

/** The bytes of the row. */
export function encodeGarbageRow({ bucketId, blob }: Omit<Garbage, 'dueMs'>): Buffer {
  return packRow(FORMAT, { k: bucketId, o: packBlob(blob) } satisfies PackedGarbage)
}

/** The garbage in a row whose key says `dueMs`. */
export function decodeGarbageRow(bytes: Uint8Array, dueMs: number): Garbage {
  const packed = unpackRow<PackedGarbage>(bytes, FORMAT, 'garbage')
  return { dueMs, bucketId: packed.k, blob: unpackBlob(packed.o) }
}
