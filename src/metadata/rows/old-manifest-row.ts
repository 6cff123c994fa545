// A manifest whose object was replaced or deleted: a reader that found the object before may still ask for its parts.
// When it is due and which manifest it is stands in the key. Another row says of the manifest that it has ended.
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

interface PackedOldManifest {
  c: number
}

/** The bytes of the row of a manifest that has `chunkCount` rows. */
export function encodeOldManifestRow(chunkCount: number): Buffer {
  return packRow(FORMAT, { c: chunkCount } satisfies PackedOldManifest)
}

/** How many rows the manifest has. */
export function decodeOldManifestRow(bytes: Uint8Array): number {
  return unpackRow<PackedOldManifest>(bytes, FORMAT, 'old manifest').c
}

/** The bytes of the row that says that a manifest has ended: its key says all. */
export function encodeManifestEndRow(): Buffer {
  return packRow(FORMAT, {})
}
