// A blob that was committed without all of its shards: what is owed, written in the batch that made it visible.
import { type Uid, uidBytes, uidFromBytes } from '../../kit/uid.ts'
import type { Blob, BucketId } from '../records.ts'
import { type PackedBlob, packBlob, unpackBlob } from './fields.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

/** Enough to find the row that references the blob. */
export interface Repair {
  bucketId: BucketId
  key: string
  blob: Blob
  /** The upload that the blob was a part of when it was written. */
  uploadId?: Uid
}

interface PackedRepair {
  k: BucketId
  n: string
  o: PackedBlob
  u?: Uint8Array
}

/** The bytes of the row. */
export function encodeRepairRow({ bucketId, key, blob, uploadId }: Repair): Buffer {
  const packed: PackedRepair = {
    k: bucketId,
    n: key,
    o: packBlob(blob),
    ...(uploadId ? { u: uidBytes(uploadId) } : {}),
  }
  return packRow(FORMAT, packed)
}

/** The repair in a row. */
export function decodeRepairRow(bytes: Uint8Array): Repair {
  const packed = unpackRow<PackedRepair>(bytes, FORMAT, 'repair')
  return {
    bucketId: packed.k,
    key: packed.n,
    blob: unpackBlob(packed.o),
    ...(packed.u ? { uploadId: uidFromBytes(packed.u) } : {}),
  }
}
