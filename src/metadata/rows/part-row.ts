// The row of one uploaded part. One row a part: a list of all parts in one row would be rewritten with each.
import type { Part } from '../records.ts'
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
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

/** A part with short names; manifest-row.ts keeps many of them. */
export interface PackedPart {
  n: number
  b: number
  e: PackedHex
  t: number
  k?: PackedChecksum
  o?: PackedBlob
}

/** The bytes of the row of `part`. */
export function encodePartRow(part: Part): Buffer {
  return packRow(FORMAT, packPart(part))
}

/** The part in a row. */
export function decodePartRow(bytes: Uint8Array): Part {
  return unpackPart(unpackRow<PackedPart>(bytes, FORMAT, 'part'))
}

/** A part as it lies in a row. */
export function packPart(part: Part): PackedPart {
  return {
    n: part.number,
    b: part.bytes,
    e: packHex(part.etag),
    t: part.modifiedMs,
    ...(part.checksum ? { k: packChecksum(part.checksum) } : {}),
    ...(part.blob ? { o: packBlob(part.blob) } : {}),
  }
}

/** The part that packPart() was given. */
export function unpackPart(packed: PackedPart): Part {
  return {
    number: packed.n,
    bytes: packed.b,
    etag: unpackHex(packed.e),
    modifiedMs: packed.t,
    ...(packed.k ? { checksum: unpackChecksum(packed.k) } : {}),
    ...(packed.o ? { blob: unpackBlob(packed.o) } : {}),
  }
}
