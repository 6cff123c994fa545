// The row of one annotation of a version. Its name is in the key of the row.
import type { Annotation } from '../records.ts'
import {
  type PackedBlob,
  type PackedChecksum,
  type PackedHex,
  packBlob,
  packChecksum,
  packHex,
  unpackBlob,
  unpackChecksum,
  unpackHex,
} from './fields.ts'
import { nameOfAnnotation } from './keys.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

interface PackedAnnotation {
  b: number
  e: PackedHex
  t: number
  k?: PackedChecksum
  o?: PackedBlob
}

/** The bytes of the row of `annotation`. */
export function encodeAnnotationRow(annotation: Annotation): Buffer {
  const { bytes, etag, modifiedMs, checksum, blob } = annotation
  const packed: PackedAnnotation = {
    b: bytes,
    e: packHex(etag),
    t: modifiedMs,
    ...(checksum ? { k: packChecksum(checksum) } : {}),
    ...(blob ? { o: packBlob(blob) } : {}),
  }
  return packRow(FORMAT, packed)
}

/** The annotation in a row. */
export function decodeAnnotationRow(rowKey: Uint8Array, bytes: Uint8Array): Annotation {
  const packed = unpackRow<PackedAnnotation>(bytes, FORMAT, 'annotation')
  return {
    name: nameOfAnnotation(rowKey),
    bytes: packed.b,
    etag: unpackHex(packed.e),
    modifiedMs: packed.t,
    ...(packed.k ? { checksum: unpackChecksum(packed.k) } : {}),
    ...(packed.o ? { blob: unpackBlob(packed.o) } : {}),
  }
}
