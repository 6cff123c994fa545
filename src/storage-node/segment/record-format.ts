// The bytes of a shard at rest: header, cells with their trailers, tail. Layout: docs/formats/shard.md.
// One definition for writer, reader and recovery, in segments and in files of their own.
import { cellChecksum, shardSeed } from '../../digest/cell-checksum.ts'
import { xxh64 } from '../../digest/xxh64.ts'
import { assert } from '../../kit/assert.ts'
import { asBuffer, roundUp, writeCount } from '../../kit/bytes.ts'
import { CELL_BYTES, type MatrixId } from '../../kit/erasure-code.ts'
import { uidFromBytes, writeUid } from '../../kit/uid.ts'
import type { CopiesDescription, ShardDescription, ShardId } from '../contract.ts'

/** Records begin at multiples of this, so that recovery finds the next one after a damaged one. */
export const RECORD_ALIGNMENT = 64

/** Bytes after the data of every cell. */
export const TRAILER_BYTES = 16

/** No header is longer: key and metadata together stay below 64 KiB. */
export const MAX_HEADER_BYTES = 64 * 1024

/** First bytes of a record. */
export const HEADER_MAGIC = Buffer.from('S3SH')

const TAIL_MAGIC = Buffer.from('S3ST')
const TAIL_BYTES = 40
const RECORD_FORMAT = 1
const SLOT_AT = 38
const FIXED_BYTES = 88
const CHECK_BYTES = 8

/** Where the parts of a record lie, from its beginning. */
export interface RecordLayout {
  headerBytes: number
  cellBytes: number
  shardBytes: number
  cellCount: number
  tailOffset: number
  recordBytes: number
}

/** Where a record begins. Segments count from 1; a shard in a file of its own is at (0, 0). */
export interface RecordPlace {
  segment: number
  offset: number
}

/** The place of every shard that has a file of its own. */
export const OWN_FILE: RecordPlace = { segment: 0, offset: 0 }

/** A header that was found whole. `groupOffset`: where the write began that this record was a part of. */
export interface RecordHeader {
  description: ShardDescription
  layout: RecordLayout
  groupOffset: number
}

/** What the bytes at some place are. */
export type HeaderParsed =
  | { kind: 'header'; header: RecordHeader }
  | { kind: 'none' }
  /** It may be a header, but `bytes` bytes are needed to tell. */
  | { kind: 'more'; bytes: number }

/** Secret of the cluster that seeds header checksums: bytes of an object can not pose as a record. */
export function recordSecret(clusterId: string): bigint {
  return xxh64(Buffer.from(`kintsugi shard record of ${clusterId}`))
}

/** The layout of a record with such a header and such cells. */
export function layoutRecord(
  headerBytes: number,
  cellBytes: number,
  shardBytes: number,
): RecordLayout {
  const cellCount = Math.ceil(shardBytes / cellBytes)
  const tailOffset = headerBytes + shardBytes + cellCount * TRAILER_BYTES
  const recordBytes = roundUp(tailOffset + TAIL_BYTES, RECORD_ALIGNMENT)
  return { headerBytes, cellBytes, shardBytes, cellCount, tailOffset, recordBytes }
}

/** Bytes of the header that says all of `description`. At most MAX_HEADER_BYTES of a shard that can be kept. */
export function headerBytesOf({ key, metadata }: CopiesDescription): number {
  const bytes = FIXED_BYTES + Buffer.byteLength(key) + metadata.length + CHECK_BYTES
  return roundUp(bytes, RECORD_ALIGNMENT)
}

/** The layout of the record that `description` asks for. */
export function layoutShard(description: CopiesDescription): RecordLayout {
  const { cellBytes, shardBytes } = description
  assert(cellBytes > 0 && cellBytes <= CELL_BYTES, 'a cell has a length and no more than the limit')
  const headerBytes = headerBytesOf(description)
  assert(headerBytes <= MAX_HEADER_BYTES, 'key and metadata fit into a header')
  return layoutRecord(headerBytes, cellBytes, shardBytes)
}

/** Bytes of data in cell `index`: every cell is full but the last. */
export function cellLength(layout: RecordLayout, index: number): number {
  assert(index >= 0 && index < layout.cellCount, 'the cell is one of the shard')
  return Math.min(layout.cellBytes, layout.shardBytes - index * layout.cellBytes)
}

/** Where cell `index` begins, from the beginning of the record. */
export function cellOffset(layout: RecordLayout, index: number): number {
  return layout.headerBytes + index * (layout.cellBytes + TRAILER_BYTES)
}

/** Writes the header into the beginning of `target`, but for what stampHeader() adds, and of copies but for their slot. */
export function encodeHeader(
  target: Uint8Array,
  description: ShardDescription | CopiesDescription,
  layout: RecordLayout,
): void {
  const bytes = asBuffer(target.subarray(0, layout.headerBytes)).fill(0)
  const { id, code } = description
  const key = Buffer.from(description.key)
  bytes.set(HEADER_MAGIC, 0)
  bytes.writeUInt16LE(RECORD_FORMAT, 4)
  bytes.writeUInt32LE(layout.headerBytes, 8)
  bytes.writeUInt32LE(key.length, 12)
  bytes.writeUInt32LE(description.metadata.length, 16)
  writeUid(bytes, id.uid, 20)
  bytes.writeUInt16LE(id.part, 36)
  if ('slot' in id) bytes.writeUInt8(id.slot, SLOT_AT)
  bytes.writeUInt8(code.dataCount, 39)
  bytes.writeUInt8(code.parityCount, 40)
  bytes.writeUInt8(code.matrix, 41)
  bytes.writeUInt32LE(layout.cellBytes, 44)
  writeCount(bytes, layout.shardBytes, 48)
  writeCount(bytes, description.blobBytes, 56)
  bytes.writeUInt32LE(description.partition, 64)
  writeCount(bytes, description.mapEpoch, 68)
  writeCount(bytes, description.bucketId, 76)
  bytes.set(key, FIXED_BYTES)
  bytes.set(description.metadata, FIXED_BYTES + key.length)
}

/** Puts other metadata into a header that is not stamped yet: as long as what is there. */
export function replaceMetadata(header: Uint8Array, metadata: Uint8Array): void {
  const bytes = asBuffer(header)
  assert(metadata.length === bytes.readUInt32LE(16), 'metadata does not change its length')
  bytes.set(metadata, FIXED_BYTES + bytes.readUInt32LE(12))
}

/** Puts another slot into a header that is not stamped yet. */
export function replaceSlot(header: Uint8Array, slot: number): void {
  header[SLOT_AT] = slot
}

/** Adds what is known only when the record gets its place, and the checksum over it all. */
export function stampHeader(
  record: Uint8Array,
  stamp: { secret: bigint; place: RecordPlace; groupOffset: number },
): void {
  const bytes = asBuffer(record)
  const headerBytes = bytes.readUInt32LE(8)
  bytes.writeUInt32LE(stamp.groupOffset, 84)
  const end = headerBytes - CHECK_BYTES
  const check = xxh64(bytes.subarray(0, end), placeSeed(stamp.secret, stamp.place))
  bytes.writeBigUInt64LE(check, end)
}

/** Reads the header at the beginning of `source`, which lies at `place`. */
export function parseHeader(source: Uint8Array, secret: bigint, place: RecordPlace): HeaderParsed {
  if (source.length < FIXED_BYTES) return { kind: 'more', bytes: FIXED_BYTES }
  const bytes = asBuffer(source)
  if (bytes.compare(HEADER_MAGIC, 0, 4, 0, 4) !== 0) return { kind: 'none' }
  if (bytes.readUInt16LE(4) !== RECORD_FORMAT) return { kind: 'none' }
  const headerBytes = bytes.readUInt32LE(8)
  if (!isHeaderLength(bytes, headerBytes)) return { kind: 'none' }
  if (bytes.length < headerBytes) return { kind: 'more', bytes: headerBytes }
  const end = headerBytes - CHECK_BYTES
  const check = xxh64(bytes.subarray(0, end), placeSeed(secret, place))
  if (check !== bytes.readBigUInt64LE(end)) return { kind: 'none' }
  return { kind: 'header', header: decodeHeader(bytes, headerBytes) }
}

/** Writes the 16 bytes that follow a cell. */
export function encodeTrailer(
  target: Uint8Array,
  cell: { seed: bigint; index: number; bytes: Uint8Array },
): void {
  const trailer = asBuffer(target)
  trailer.writeBigUInt64LE(cellChecksum(cell.seed, cell.index, cell.bytes), 0)
  trailer.writeUInt32LE(cell.bytes.length, 8)
  trailer.writeUInt32LE(0, 12)
}

/** Why `cell` is not what its trailer says; undefined when it is. */
export function findCellDamage(
  trailer: Uint8Array,
  cell: { seed: bigint; index: number; bytes: Uint8Array },
): string | undefined {
  const stored = asBuffer(trailer)
  if (stored.readUInt32LE(8) !== cell.bytes.length) return 'the length of the cell is wrong'
  if (stored.readUInt32LE(12) !== 0) return 'the cell has unknown flags'
  if (stored.readBigUInt64LE(0) !== cellChecksum(cell.seed, cell.index, cell.bytes)) {
    return 'the checksum of the cell is wrong'
  }
  return undefined
}

/** The tail with the padding behind it. `trailers` are those of all cells, one after the other. */
export function encodeTail(id: ShardId, layout: RecordLayout, trailers: Uint8Array): Uint8Array {
  const tail = Buffer.allocUnsafe(layout.recordBytes - layout.tailOffset)
  writeTail(tail, { seed: shardSeed(id), layout, trailers })
  return tail
}

/** As encodeTail(), where the tail is to be. */
function writeTail(
  tail: Buffer,
  { seed, layout, trailers }: { seed: bigint; layout: RecordLayout; trailers: Uint8Array },
): void {
  tail.fill(0)
  tail.set(TAIL_MAGIC, 0)
  tail.writeUInt32LE(layout.cellCount, 4)
  writeCount(tail, layout.shardBytes, 8)
  writeCount(tail, layout.recordBytes, 16)
  tail.writeBigUInt64LE(xxh64(trailers, seed), 24)
  tail.writeBigUInt64LE(xxh64(tail.subarray(0, 32), seed), 32)
}

/** What lies behind the cell of a shard that has one: its trailer, and the tail. */
export function encodeEnd(
  target: Uint8Array,
  { id, layout, cell }: { id: ShardId; layout: RecordLayout; cell: Uint8Array },
): void {
  const seed = shardSeed(id)
  const trailer = target.subarray(0, TRAILER_BYTES)
  encodeTrailer(trailer, { seed, index: 0, bytes: cell })
  writeTail(asBuffer(target.subarray(TRAILER_BYTES)), { seed, layout, trailers: trailer })
}

/** Why a tail, padding included, is damaged in itself; undefined when it is whole. */
export function findTailDamage(
  tail: Uint8Array,
  id: ShardId,
  layout: RecordLayout,
): string | undefined {
  if (tail.length < layout.recordBytes - layout.tailOffset) return 'the tail is cut short'
  // What it says of the cells is taken as it is: they have checksums of their own.
  const wanted = encodeTail(id, layout, new Uint8Array(0))
  const bytes = asBuffer(tail)
  wanted.set(bytes.subarray(24, 32), 24)
  asBuffer(wanted).writeBigUInt64LE(xxh64(wanted.subarray(0, 32), shardSeed(id)), 32)
  return bytes.equals(wanted) ? undefined : 'the tail is wrong'
}

/** Fills the cells' trailers and the tail of a record whose header and cells are in place. */
export function sealRecord(record: Uint8Array, id: ShardId, layout: RecordLayout): void {
  const seed = shardSeed(id)
  for (let index = 0; index < layout.cellCount; index += 1) {
    const { bytes, trailer } = cellOf(record, layout, index)
    encodeTrailer(trailer, { seed, index, bytes })
  }
  const tail = asBuffer(record.subarray(layout.tailOffset, layout.recordBytes))
  writeTail(tail, { seed, layout, trailers: gatherTrailers(record, layout) })
}

/** Why the cells or the tail of a record are damaged; undefined when all of it is whole. The header is not looked at. */
export function findRecordDamage(
  record: Uint8Array,
  id: ShardId,
  layout: RecordLayout,
): string | undefined {
  if (record.length < layout.recordBytes) return 'the record is cut short'
  const seed = shardSeed(id)
  for (let index = 0; index < layout.cellCount; index += 1) {
    const { bytes, trailer } = cellOf(record, layout, index)
    const damage = findCellDamage(trailer, { seed, index, bytes })
    if (damage !== undefined) return `cell ${index}: ${damage}`
  }
  const wanted = encodeTail(id, layout, gatherTrailers(record, layout))
  const actual = record.subarray(layout.tailOffset, layout.recordBytes)
  return Buffer.compare(wanted, actual) === 0 ? undefined : 'the tail is wrong'
}

/** The place as part of the seed: a header that is copied elsewhere is no header there. */
function placeSeed(secret: bigint, place: RecordPlace): bigint {
  return secret ^ (BigInt(place.segment) << 32n) ^ BigInt(place.offset)
}

function isHeaderLength(bytes: Buffer, headerBytes: number): boolean {
  if (headerBytes > MAX_HEADER_BYTES) return false
  const least = FIXED_BYTES + bytes.readUInt32LE(12) + bytes.readUInt32LE(16) + CHECK_BYTES
  return headerBytes === roundUp(least, RECORD_ALIGNMENT)
}

function decodeHeader(bytes: Buffer, headerBytes: number): RecordHeader {
  const keyEnd = FIXED_BYTES + bytes.readUInt32LE(12)
  const cellBytes = bytes.readUInt32LE(44)
  const shardBytes = Number(bytes.readBigUInt64LE(48))
  const description: ShardDescription = {
    id: {
      uid: uidFromBytes(bytes.subarray(20, 36)),
      part: bytes.readUInt16LE(36),
      slot: bytes.readUInt8(SLOT_AT),
    },
    code: {
      dataCount: bytes.readUInt8(39),
      parityCount: bytes.readUInt8(40),
      matrix: bytes.readUInt8(41) as MatrixId,
    },
    cellBytes,
    shardBytes,
    blobBytes: Number(bytes.readBigUInt64LE(56)),
    partition: bytes.readUInt32LE(64),
    mapEpoch: Number(bytes.readBigUInt64LE(68)),
    bucketId: Number(bytes.readBigUInt64LE(76)),
    key: bytes.toString('utf8', FIXED_BYTES, keyEnd),
    metadata: Uint8Array.from(bytes.subarray(keyEnd, keyEnd + bytes.readUInt32LE(16))),
  }
  return {
    description,
    layout: layoutRecord(headerBytes, cellBytes, shardBytes),
    groupOffset: bytes.readUInt32LE(84),
  }
}

function cellOf(
  record: Uint8Array,
  layout: RecordLayout,
  index: number,
): { bytes: Uint8Array; trailer: Uint8Array } {
  const from = cellOffset(layout, index)
  const to = from + cellLength(layout, index)
  return { bytes: record.subarray(from, to), trailer: record.subarray(to, to + TRAILER_BYTES) }
}

function gatherTrailers(record: Uint8Array, layout: RecordLayout): Uint8Array {
  // As small shards have it: nothing is to be gathered.
  if (layout.cellCount === 1) return cellOf(record, layout, 0).trailer
  const trailers = Buffer.allocUnsafe(layout.cellCount * TRAILER_BYTES)
  for (let index = 0; index < layout.cellCount; index += 1) {
    trailers.set(cellOf(record, layout, index).trailer, index * TRAILER_BYTES)
  }
  return trailers
}
