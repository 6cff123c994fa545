// The row of a multipart upload under way. Its id is in the key of the row.
import type { Uid } from '../../kit/uid.ts'
import type { ChecksumAlgorithm, ChecksumType, Upload } from '../records.ts'
import { type PackedEncryption, packEncryption, unpackEncryption } from './encryption-field.ts'
import { type PackedAttributes, packAttributes, unpackAttributes } from './fields.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

interface PackedUpload extends PackedAttributes {
  i: number
  k?: ChecksumAlgorithm
  y?: ChecksumType
  x?: PackedEncryption
}

/** The bytes of the row of `upload`. */
export function encodeUploadRow(upload: Upload): Buffer {
  const { checksumAlgorithm, checksumType, encryption } = upload
  const packed: PackedUpload = {
    i: upload.initiatedMs,
    ...packAttributes(upload),
    ...(checksumAlgorithm ? { k: checksumAlgorithm } : {}),
    ...(checksumType ? { y: checksumType } : {}),
    ...(encryption ? { x: packEncryption(encryption) } : {}),
  }
  return packRow(FORMAT, packed)
}

/** The upload in a row whose key says `uploadId`. */
export function decodeUploadRow(bytes: Uint8Array, uploadId: Uid): Upload {
  const packed = unpackRow<PackedUpload>(bytes, FORMAT, 'upload')
  return {
    ...unpackAttributes(packed),
    uploadId,
    initiatedMs: packed.i,
    ...(packed.k ? { checksumAlgorithm: packed.k } : {}),
    ...(packed.y ? { checksumType: packed.y } : {}),
    ...(packed.x ? { encryption: unpackEncryption(packed.x) } : {}),
  }
}
