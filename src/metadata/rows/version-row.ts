// The row of a version that is not current: an object, or a delete marker.
// The rows of current objects and markers have the same fields and some more (head-row.ts), so they are read here too.
import { type AnyVersion, type DeleteMarker, isDeleteMarker } from '../records.ts'
import { type PackedVersion, packVersion, unpackVersion } from './object-row.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

/** A delete marker with short names. `d` tells it from an object. */
export interface PackedMarker {
  i: string
  t: number
  v?: true
  d: true
}

/** An object or a delete marker with short names, as it lies in a row. */
export type PackedAnyVersion = PackedVersion | PackedMarker

/** The bytes of the row of `version`. */
export function encodeVersionRow(version: AnyVersion): Buffer {
  return packRow(FORMAT, packAnyVersion(version))
}

/** The version in a row of any of the three kinds. */
export function decodeVersionRow(bytes: Uint8Array): AnyVersion {
  return unpackAnyVersion(unpackRow<PackedAnyVersion>(bytes, FORMAT, 'version'))
}

/** An object or a marker as it lies in a row. */
export function packAnyVersion(version: AnyVersion): PackedAnyVersion {
  return isDeleteMarker(version) ? packMarker(version) : packVersion(version)
}

/** What packAnyVersion() was given. */
export function unpackAnyVersion(packed: PackedAnyVersion): AnyVersion {
  return 'd' in packed ? unpackMarker(packed) : unpackVersion(packed)
}

function packMarker({ versionId, modifiedMs, versioned }: DeleteMarker): PackedMarker {
  return { i: versionId, t: modifiedMs, ...(versioned ? { v: true } : {}), d: true }
}

function unpackMarker({ i, t, v }: PackedMarker): DeleteMarker {
  return { versionId: i, ...(v ? { versioned: true } : {}), deleteMarker: true, modifiedMs: t }
}
