// Keys and values of shards.db, in one table. Layout: docs/formats/index-keys.md.
// Every value carries a checksum over its key and itself: LevelDB gives rotten rows back without a word.
import { xxh64 } from '../../digest/xxh64.ts'
import { asBuffer } from '../../kit/bytes.ts'
import { uidBytes, uidFromBytes } from '../../kit/uid.ts'
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

/** The row of an entry as bytes. */
export function encodeEntry(entry: IndexEntry): { key: Uint8Array; value: Uint8Array } {
  const key = keyOf(entry)
  const body = bodyOf(entry)
  const value = Buffer.alloc(body.length + CHECK_BYTES)
  value.set(body, 0)
  value.writeBigUInt64LE(check(key, body), body.length)
  return { key, value }
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
  const key = Buffer.alloc(SHARD_KEY_BYTES)
  key.writeUInt8(KeyKind.Shard, 0)
  key.set(uidBytes(id.uid), 1)
  key.writeUInt16BE(id.part, 17)
  key.writeUInt8(id.slot, 19)
  return key
}

/** The key that says that a segment is sealed. */
export function sealedKey(segment: number): Uint8Array {
  const key = Buffer.alloc(SEALED_KEY_BYTES)
  key.writeUInt8(KeyKind.Sealed, 0)
  key.writeUInt32BE(segment, 1)
  return key
}

/** The key of a dead note. */
export function deadKey(place: RecordPlace): Uint8Array {
  const key = Buffer.alloc(DEAD_KEY_BYTES)
  key.writeUInt8(KeyKind.Dead, 0)
  key.writeUInt32BE(place.segment, 1)
  key.writeUInt32BE(place.offset, 5)
  return key
}

const CHECK_BYTES = 8
const SHARD_KEY_BYTES = 20
const SEALED_KEY_BYTES = 5
const DEAD_KEY_BYTES = 9
const ROW_BYTES = 20
const SEED = 0x5348_4152_4453_4442n

function isShape(kind: number | undefined, keyBytes: number, bodyBytes: number): boolean {
  switch (kind) {
    case KeyKind.Shard:
      return keyBytes === SHARD_KEY_BYTES && bodyBytes === ROW_BYTES
    case KeyKind.Sealed:
      return keyBytes === SEALED_KEY_BYTES && bodyBytes === 4
    case KeyKind.Dead:
      return keyBytes === DEAD_KEY_BYTES && bodyBytes === 0
    default:
      return false
  }
}

function keyOf(entry: IndexEntry): Uint8Array {
  if (entry.kind === 'shard') return shardKey(entry.id)
  return entry.kind === 'sealed' ? sealedKey(entry.segment) : deadKey(entry.place)
}

function bodyOf(entry: IndexEntry): Uint8Array {
  if (entry.kind === 'dead') return Buffer.alloc(0)
  if (entry.kind === 'sealed') {
    const body = Buffer.alloc(4)
    body.writeUInt32LE(entry.records, 0)
    return body
  }
  const { segment, offset, headerBytes, cellBytes, shardBytes } = entry.row
  const body = Buffer.alloc(ROW_BYTES)
  for (const [index, value] of [segment, offset, headerBytes, cellBytes, shardBytes].entries()) {
    body.writeUInt32LE(value, index * 4)
  }
  return body
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
