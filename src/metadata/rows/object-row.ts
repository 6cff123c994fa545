// A version of an object as it lies in rows, and how listings read the rows of current ones.
import { uidBytes, uidFromBytes } from '../../kit/uid.ts'
import type { ObjectVersion } from '../records.ts'
import { type PackedEncryption, packEncryption, unpackEncryption } from './encryption-field.ts'
import {
  addAttributes,
  type PackedAttributes,
  type PackedBlob,
  type PackedChecksum,
  type PackedHex,
  packBlob,
  packChecksum,
  packHex,
  unpackAttributes,
  unpackBlob,
  unpackChecksum,
  unpackHex,
} from './fields.ts'
import { unpackRow } from './row-bytes.ts'

const FORMAT = 1

/** An object version with short names; completed-row.ts keeps one too. */
export interface PackedVersion extends PackedAttributes {
  i: string
  v?: true
  t: number
  b: number
  e: PackedHex
  k?: PackedChecksum
  o?: PackedBlob
  m?: [Uint8Array, number]
  x?: PackedEncryption
  a?: string
  j?: Uint8Array
  q?: true
}

/** The version in the row of a current object (head-row.ts). */
export function decodeObjectRow(bytes: Uint8Array): ObjectVersion {
  return unpackVersion(unpackRow<PackedVersion>(bytes, FORMAT, 'object'))
}

/** A version as it lies in a row. Its fields are set one by one, for the sake of those who write many (see below). */
export function packVersion(version: ObjectVersion): PackedVersion {
  const { checksum, blob, manifest, encryption, annotationsId, editId } = version
  const packed = { i: version.versionId } as PackedVersion
  if (version.versioned) packed.v = true
  packed.t = version.modifiedMs
  packed.b = version.bytes
  packed.e = packHex(version.etag)
  addAttributes(packed, version)
  if (checksum) packed.k = packChecksum(checksum)
  if (blob) packed.o = packBlob(blob)
  if (manifest) packed.m = [uidBytes(manifest.uid), manifest.partCount]
  if (encryption) packed.x = packEncryption(encryption)
  if (annotationsId !== undefined) packed.a = annotationsId
  if (editId) packed.j = uidBytes(editId)
  if (version.unconfirmed) packed.q = true
  return packed
}

/**
 * The version that packVersion() was given. Its fields are set one by one, always in this order: so versions have few
 * shapes. Put together by spreading each would have one of its own, and whatever looks at versions were slow.
 */
export function unpackVersion(packed: PackedVersion): ObjectVersion {
  const version = unpackAttributes(packed) as ObjectVersion
  version.versionId = packed.i
  version.modifiedMs = packed.t
  version.bytes = packed.b
  version.etag = unpackHex(packed.e)
  if (packed.v) version.versioned = true
  if (packed.k) version.checksum = unpackChecksum(packed.k)
  if (packed.o) version.blob = unpackBlob(packed.o)
  if (packed.m) version.manifest = { uid: uidFromBytes(packed.m[0]), partCount: packed.m[1] }
  if (packed.x) version.encryption = unpackEncryption(packed.x)
  if (packed.a !== undefined) version.annotationsId = packed.a
  if (packed.j) version.editId = uidFromBytes(packed.j)
  if (packed.q) version.unconfirmed = true
  return version
}
