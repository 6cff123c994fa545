// A blob that was committed without all of its shards: what is owed, written in the batch that made it visible.
import { uidBytes, uidFromBytes } from '../../kit/uid.ts'
import type { OwedBlob } from '../contract.ts'
import type { BucketId } from '../records.ts'
import { type PackedBlob, packBlob, unpackBlob } from './fields.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

interface PackedRepair {
  k?: BucketId
  n?: string
  o: PackedBlob
  u?: Uint8Array
  r?: Uint8Array
}

/** The bytes of the row. */
export function encodeRepairRow({ bucketId, key, blob, uploadId, rowKey }: OwedBlob): Buffer {
  const packed: PackedRepair = {
    ...(bucketId === undefined ? {} : { k: bucketId }),
    ...(key === undefined ? {} : { n: key }),
    o: packBlob(blob),
    ...(uploadId ? { u: uidBytes(uploadId) } : {}),
    ...(rowKey ? { r: rowKey } : {}),
  }
  return packRow(FORMAT, packed)
}

/** What a row says is owed. */
export function decodeRepairRow(bytes: Uint8Array): OwedBlob {
  const packed = unpackRow<PackedRepair>(bytes, FORMAT, 'repair')
  return {
    ...(packed.k === undefined ? {} : { bucketId: packed.k }),
    ...(packed.n === undefined ? {} : { key: packed.n }),
    blob: unpackBlob(packed.o),
    ...(packed.u ? { uploadId: uidFromBytes(packed.u) } : {}),
    ...(packed.r ? { rowKey: packed.r } : {}),
  }
}
