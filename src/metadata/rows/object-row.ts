// The row of the current version of an object: what HEAD, GET and LIST answer from.
import { uidBytes, uidFromBytes } from '../../kit/uid.ts'
import type { ObjectVersion } from '../records.ts'
import {
  type PackedAttributes,
  type PackedBlob,
  type PackedChecksum,
  type PackedHex,
  packAttributes,
  packBlob,
  packChecksum,
  packHex,
  unpackAttributes,
  unpackBlob,
  unpackChecksum,
  unpackHex,
} from './fields.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

/** An object version with short names; completed-row.ts keeps one too. */
export interface PackedVersion extends PackedAttributes {
  i: string
  t: number
  b: number
  e: PackedHex
  k?: PackedChecksum
  o?: PackedBlob
  m?: [Uint8Array, number]
}

/** The bytes of the row of `version`. */
export function encodeObjectRow(version: ObjectVersion): Buffer {
  return packRow(FORMAT, packVersion(version))
}

/** The version in a row. */
export function decodeObjectRow(bytes: Uint8Array): ObjectVersion {
  return unpackVersion(unpackRow<PackedVersion>(bytes, FORMAT, 'object'))
}

/** A version as it lies in a row. */
export function packVersion(version: ObjectVersion): PackedVersion {
  const { checksum, blob, manifest } = version
  return {
    i: version.versionId,
    t: version.modifiedMs,
    b: version.bytes,
    e: packHex(version.etag),
    ...packAttributes(version),
    ...(checksum ? { k: packChecksum(checksum) } : {}),
    ...(blob ? { o: packBlob(blob) } : {}),
    ...(manifest ? { m: [uidBytes(manifest.uid), manifest.partCount] } : {}),
  }
}

/** The version that packVersion() was given. */
export function unpackVersion(packed: PackedVersion): ObjectVersion {
  return {
    ...unpackAttributes(packed),
    versionId: packed.i,
    modifiedMs: packed.t,
    bytes: packed.b,
    etag: unpackHex(packed.e),
    ...(packed.k ? { checksum: unpackChecksum(packed.k) } : {}),
    ...(packed.o ? { blob: unpackBlob(packed.o) } : {}),
    ...(packed.m ? { manifest: { uid: uidFromBytes(packed.m[0]), partCount: packed.m[1] } } : {}),
  }
}
