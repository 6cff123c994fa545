// The parts of a completed multipart object, in chunks that stay small: ten thousand parts are 2 MB.
import { kibibytes } from '../../kit/bytes.ts'
import type { Part } from '../records.ts'
import { type PackedPart, packPart, unpackPart } from './part-row.ts'
import { packedBytes, packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

/** Largest value of a manifest row as it is written first. */
export const MANIFEST_CHUNK_BYTES = kibibytes(64)

/** Room for the format and the heads of map and list. */
const CHUNK_FRAME_BYTES = 16

interface PackedChunk {
  p: PackedPart[]
}

/** The values of the manifest rows of `parts`, chunk 0 first. */
export function encodeManifestRows(parts: readonly Part[]): Buffer[] {
  return cutChunks(parts.map(packPart)).map(packChunk)
}

/** The value of one manifest row, written anew with the same parts: longer by the drives of blobs that moved. */
export function encodeManifestRow(parts: readonly Part[]): Buffer {
  return packChunk(parts.map(packPart))
}

/** The parts in one chunk. */
export function decodeManifestRow(bytes: Uint8Array): Part[] {
  return unpackRow<PackedChunk>(bytes, FORMAT, 'manifest').p.map(unpackPart)
}

function packChunk(p: PackedPart[]): Buffer {
  return packRow(FORMAT, { p } satisfies PackedChunk)
}

function cutChunks(parts: PackedPart[]): PackedPart[][] {
  const chunks: PackedPart[][] = []
  let room = 0
  for (const part of parts) {
    const bytes = packedBytes(part)
    if (bytes > room) {
      chunks.push([])
      room = MANIFEST_CHUNK_BYTES - CHUNK_FRAME_BYTES
    }
    chunks.at(-1)!.push(part)
    room -= bytes
  }
  return chunks
}
