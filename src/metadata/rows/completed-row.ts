// What a completed upload answered, so that a repeated Complete answers the same (pitfall 109).
// It names no blob, so blobs move without it: those of an object made of parts stand in its manifest.
import type { ObjectVersion } from '../records.ts'
import { type PackedVersion, packVersion, unpackVersion } from './object-row.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

/** `listing` is a digest of the parts as the client listed them. */
export interface CompletedUpload {
  version: ObjectVersion
  listing: Uint8Array
  /** Wall time of the partition, for forgetting the row. */
  completedMs: number
}

interface PackedCompleted {
  v: PackedVersion
  l: Uint8Array
  t: number
}

/** The bytes of the row. */
export function encodeCompletedRow({ version, listing, completedMs }: CompletedUpload): Buffer {
  const packed: PackedCompleted = { v: packVersion(version), l: listing, t: completedMs }
  return packRow(FORMAT, packed)
}

/** What a row remembers. */
export function decodeCompletedRow(bytes: Uint8Array): CompletedUpload {
  const packed = unpackRow<PackedCompleted>(bytes, FORMAT, 'completed')
  return { version: unpackVersion(packed.v), listing: packed.l, completedMs: packed.t }
}
