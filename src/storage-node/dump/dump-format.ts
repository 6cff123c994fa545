// A dump of one metadata partition as a file: all its rows as of one position of its log, and the state of the coordinator
// then. Chunks have checksums of their own, so that what rotted in one copy is read from another. Layout: docs/formats/dump.md.
import { xxh64 } from '../../digest/xxh64.ts'
import { asBuffer, kibibytes } from '../../kit/bytes.ts'
import type { LogPosition, RowBatch } from '../../metadata/log/contract.ts'
import { decodeBatch, encodeBatch } from '../../metadata/log/entry.ts'
import type { ClusterState } from '../../placement/coordinator.ts'

/** What the first chunk says. */
export interface DumpHead {
  format: 1
  clusterId: string
  partition: number
  /** Milliseconds since 1970. */
  takenMs: number
  /** The rows follow from everything up to here. */
  position: LogPosition
  /** As it was when the dump was begun. It holds secrets. */
  state: ClusterState
}

/** A chunk whose checksum was right. */
export type DumpChunk =
  | { kind: 'head'; head: DumpHead }
  | { kind: 'rows'; rows: { key: Uint8Array; value: Uint8Array }[] }
  /** Nothing comes after it: the dump is whole. */
  | { kind: 'end'; rowCount: number }

/** A chunk on its way into a file. Rows are cut by who writes them. */
export type NewChunk =
  | { kind: 'head'; head: DumpHead }
  | { kind: 'rows'; rows: RowBatch }
  | { kind: 'end'; rowCount: number }

/** About so many bytes of rows make a chunk. */
export const CHUNK_BYTES = kibibytes(256)

/** Bytes before what a chunk says. */
export const CHUNK_HEADER_BYTES = 24

// "KGDP" read as a little-endian u32.
const MAGIC = 0x5044474b
const ChunkKind = { head: 1, rows: 2, end: 3 } as const
/** A chunk is one row longer than wanted at most, and a row is far below this. */
const BODY_BYTES_MAX = 64 * 1024 * 1024

/** The bytes of chunk `index` of a file. */
export function encodeChunk(chunk: NewChunk, index: number): Buffer {
  const body = encodeBody(chunk)
  const bytes = Buffer.alloc(CHUNK_HEADER_BYTES + body.length)
  bytes.writeUInt32LE(MAGIC, 8)
  bytes.writeUInt32LE(ChunkKind[chunk.kind], 12)
  bytes.writeUInt32LE(body.length, 16)
  bytes.writeUInt32LE(index, 20)
  bytes.set(body, CHUNK_HEADER_BYTES)
  bytes.writeBigUInt64LE(xxh64(bytes.subarray(8)), 0)
  return bytes
}

/** How long the chunk is whose first bytes these are; undefined when they are none of chunk `index`. */
export function chunkLength(header: Uint8Array, index: number): number | undefined {
  const bytes = asBuffer(header)
  if (bytes.length < CHUNK_HEADER_BYTES || bytes.readUInt32LE(8) !== MAGIC) return undefined
  const body = bytes.readUInt32LE(16)
  if (bytes.readUInt32LE(20) !== index || body > BODY_BYTES_MAX) return undefined
  return CHUNK_HEADER_BYTES + body
}

/** The chunk in these bytes; undefined when they are damaged. */
export function decodeChunk(source: Uint8Array): DumpChunk | undefined {
  const bytes = asBuffer(source)
  if (bytes.length < CHUNK_HEADER_BYTES) return undefined
  if (xxh64(bytes.subarray(8)) !== bytes.readBigUInt64LE(0)) return undefined
  const body = bytes.subarray(CHUNK_HEADER_BYTES)
  switch (bytes.readUInt32LE(12)) {
    case ChunkKind.head:
      return { kind: 'head', head: JSON.parse(body.toString('utf8')) as DumpHead }
    case ChunkKind.rows:
      return {
        kind: 'rows',
        rows: decodeBatch(body).flatMap(({ key, value }) => (value ? [{ key, value }] : [])),
      }
    case ChunkKind.end:
      return { kind: 'end', rowCount: Number(body.readBigUInt64LE(0)) }
    default:
      return undefined
  }
}

/** The name of a dump: the same on every drive that has a copy. */
export function dumpName(partition: number, takenMs: number): string {
  return `${`${partition}`.padStart(5, '0')}-${`${takenMs}`.padStart(14, '0')}.dump`
}

/** Partition and time in a name; undefined for other files. */
export function parseDumpName(name: string): { partition: number; takenMs: number } | undefined {
  const found = /^([0-9]{5})-([0-9]{14})\.dump$/.exec(name)
  return found === null ? undefined : { partition: Number(found[1]), takenMs: Number(found[2]) }
}

function encodeBody(chunk: NewChunk): Uint8Array {
  switch (chunk.kind) {
    case 'head':
      return Buffer.from(JSON.stringify(chunk.head))
    case 'rows':
      return encodeBatch(chunk.rows)
    case 'end': {
      const body = Buffer.alloc(8)
      body.writeBigUInt64LE(BigInt(chunk.rowCount), 0)
      return body
    }
  }
}
