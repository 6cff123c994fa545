// Keys and values of shards.db, in one table. Layout: docs/formats/index-keys.md.
// Every value carries a checksum over its key and itself: LevelDB gives rotten rows back without a word.
import { xxh64 } from '../../digest/xxh64.ts'
import { asBuffer } from '../../kit/bytes.ts'
import { uidFromBytes, writeUid } from '../../kit/uid.ts'
import type { ShardId } from '../contract.ts'
import type { RecordPlace } from '../segment/record-format.ts'

/** First byte of a key. Numbers are never reused. */
export const KeyKind = { Shard: 1, Sealed: 2, Dead: 3 } as const

/** Where a shard lies and what is needed to read its cells. */
export interface ShardRow extends RecordPlace {
  headerBytes: number
  cellBytes: number
  shardBytes: number
}

/** A row that can not be what was written. */
export class IndexCorrupt extends Error {
  override readonly name = 'IndexCorrupt'
  readonly code = 'INDEX_CORRUPT'
}

/** One row, decoded. */
export type IndexEntry =
  /** A live shard. */
  | { kind: 'shard'; id: ShardId; row: ShardRow }
  /** A segment of which every record has a live row or a dead note: `records` of them. */
  | { kind: 'sealed'; segment: number; records: number }
  /** A record that was deleted or replaced by another one of the same shard. */
  | { kind: 'dead'; place: RecordPlace }

/** The row of an entry as bytes: key, value and checksum lie one behind the other, as the checksum goes over them. */
export function encodeEntry(entry: IndexEntry): { key: Uint8Array; value: Uint8Array } {
  const { keyBytes, bodyBytes } = SHAPES[entry.kind]
  const end = keyBytes + bodyBytes
  const row = Buffer.allocUnsafe(end + CHECK_BYTES)
  if (entry.kind === 'shard') {
    writeShardKey(row, entry.id)
    writeRow(row, entry.row, keyBytes)
  } else if (entry.kind === 'sealed') {
    writeSealedKey(row, entry.segment)
    row.writeUInt32LE(entry.records, keyBytes)
  } else writeDeadKey(row, entry.place)
  row.writeBigUInt64LE(xxh64(row.subarray(0, end), SEED), end)
  return { key: row.subarray(0, keyBytes), value: row.subarray(keyBytes) }
}

/** The entry that a row spells; throws IndexCorrupt. */
export function decodeEntry(key: Uint8Array, value: Uint8Array): IndexEntry {
  const bodyBytes = value.length - CHECK_BYTES
  const kind = key[0]
  if (!isShape(kind, key.length, bodyBytes)) throw new IndexCorrupt('a row has a wrong length')
  const body = asBuffer(value)
  if (body.readBigUInt64LE(bodyBytes) !== check(key, value.subarray(0, bodyBytes))) {
    throw new IndexCorrupt('the checksum of a row is wrong')
  }
  const name = asBuffer(key)
  if (kind === KeyKind.Shard) return { kind: 'shard', id: decodeId(name), row: decodeRow(body) }
  const segment = name.readUInt32BE(1)
  if (kind === KeyKind.Sealed) return { kind: 'sealed', segment, records: body.readUInt32LE(0) }
  return { kind: 'dead', place: { segment, offset: name.readUInt32BE(5) } }
}

/** The key of a shard: sorts by uid, that is by time. */
export function shardKey(id: ShardId): Uint8Array {
  const key = Buffer.allocUnsafe(SHAPES.shard.keyBytes)
  writeShardKey(key, id)
  return key
}

/** The key that says that a segment is sealed. */
export function sealedKey(segment: number): Uint8Array {
  const key = Buffer.allocUnsafe(SHAPES.sealed.keyBytes)
  writeSealedKey(key, segment)
  return key
}

/** The key of a dead note. */
export function deadKey(place: RecordPlace): Uint8Array {
  const key = Buffer.allocUnsafe(SHAPES.dead.keyBytes)
  writeDeadKey(key, place)
  return key
}

const CHECK_BYTES = 8
/** Bytes of a key, and of a value without its checksum. */
const SHAPES = {
  shard: { keyBytes: 20, bodyBytes: 20 },
  sealed: { keyBytes: 5, bodyBytes: 4 },
  dead: { keyBytes: 9, bodyBytes: 0 },
} as const
const SEED = 0x5348_4152_4453_4442n

function isShape(kind: number | undefined, keyBytes: number, bodyBytes: number): boolean {
  const shape = shapeOf(kind)
  return shape !== undefined && keyBytes === shape.keyBytes && bodyBytes === shape.bodyBytes
}

function shapeOf(kind: number | undefined): (typeof SHAPES)[keyof typeof SHAPES] | undefined {
  switch (kind) {
    case KeyKind.Shard:
      return SHAPES.shard
    case KeyKind.Sealed:
      return SHAPES.sealed
    case KeyKind.Dead:
      return SHAPES.dead
    default:
      return undefined
  }
}

function writeShardKey(key: Buffer, { uid, part, slot }: ShardId): void {
  key.writeUInt8(KeyKind.Shard, 0)
  writeUid(key, uid, 1)
  key.writeUInt16BE(part, 17)
  key.writeUInt8(slot, 19)
}

function writeSealedKey(key: Buffer, segment: number): void {
  key.writeUInt8(KeyKind.Sealed, 0)
  key.writeUInt32BE(segment, 1)
}

function writeDeadKey(key: Buffer, { segment, offset }: RecordPlace): void {
  key.writeUInt8(KeyKind.Dead, 0)
  key.writeUInt32BE(segment, 1)
  key.writeUInt32BE(offset, 5)
}

function writeRow(target: Buffer, row: ShardRow, at: number): void {
  target.writeUInt32LE(row.segment, at)
  target.writeUInt32LE(row.offset, at + 4)
  target.writeUInt32LE(row.headerBytes, at + 8)
  target.writeUInt32LE(row.cellBytes, at + 12)
  target.writeUInt32LE(row.shardBytes, at + 16)
}

function decodeId(key: Buffer): ShardId {
  return {
    uid: uidFromBytes(key.subarray(1, 17)),
    part: key.readUInt16BE(17),
    slot: key.readUInt8(19),
  }
}

function decodeRow(body: Buffer): ShardRow {
  return {
    segment: body.readUInt32LE(0),
    offset: body.readUInt32LE(4),
    headerBytes: body.readUInt32LE(8),
    cellBytes: body.readUInt32LE(12),
    shardBytes: body.readUInt32LE(16),
  }
}

function check(key: Uint8Array, body: Uint8Array): bigint {
  return xxh64(Buffer.concat([key, body]), SEED)
}
