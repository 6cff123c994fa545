// One entry of one replica as bytes in a metadata log file. Layout: docs/formats/metadata-log.md.
import { xxh64 } from '../../digest/xxh64.ts'
import { assert } from '../../kit/assert.ts'
import { asBuffer, mebibytes, roundUp, writeCount } from '../../kit/bytes.ts'
import type { EntryHead } from '../../metadata/log/entry.ts'

/** What a record holds. Numbers are never reused. */
export const RecordKind = {
  /** An entry that all in-sync replicas have. */
  Entry: 0,
  /** An entry of a log that majorities keep (docs/formats/replication.md). */
  ReplicatedEntry: 1,
  /** What such a replica promised and knows beside its entries. */
  ReplicaState: 2,
  /** The end of a file: all before it was durable. */
  Seal: 3,
} as const
/** The number of what a record holds. */
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind]

/** An entry, or what else one replica keeps. */
export interface LogRecord extends EntryHead {
  partition: number
  /** Which replica: 16 hex digits, never used twice. */
  incarnation: string
  /** An Entry where it is absent. */
  kind?: RecordKind
}

/** Records begin at multiples of this, so that the next one is found behind a rotten one. */
export const RECORD_ALIGNMENT = 64

/** Longer batches are refused by the partition long before. */
const MAX_BATCH_BYTES = mebibytes(32)

/** Bytes before the batch. */
export const RECORD_HEADER_BYTES = 64

// "KMLR" read as a little-endian u32.
const MAGIC = 0x524c4d4b
const FORMAT = 1
// Of every kind but Entry: what does not know kinds takes them for rotten, not for entries.
const FORMAT_WITH_KIND = 2
// The checksum comes first and covers everything behind it.
const CHECKSUM_BYTES = 8

/** Files are shorter. */
const GROUP_AT_MAX = 0xffffff * RECORD_ALIGNMENT

/**
 * A record with its batch, padded to the alignment. `salt` is that of the file: a record is valid only in its own. `groupAt`: up to where
 * the file was durable when this was written; not kept for an Entry.
 */
export function encodeRecord(
  record: LogRecord,
  batch: Uint8Array,
  salt: bigint,
  groupAt = 0,
): Buffer {
  assert(batch.length <= MAX_BATCH_BYTES, 'a batch fits in a log record')
  assert(groupAt % RECORD_ALIGNMENT === 0 && groupAt <= GROUP_AT_MAX, 'groups are aligned')
  const kind = record.kind ?? RecordKind.Entry
  const used = RECORD_HEADER_BYTES + batch.length
  // From Node's pool where it is small.
  const target = Buffer.allocUnsafe(roundUp(used, RECORD_ALIGNMENT))
  target.fill(0, 0, RECORD_HEADER_BYTES)
  target.fill(0, used)
  target.writeUInt32LE(MAGIC, 8)
  target.writeUInt16LE(kind === RecordKind.Entry ? FORMAT : FORMAT_WITH_KIND, 12)
  target.writeUInt16LE(record.partition, 14)
  target.writeUInt32LE(batch.length, 16)
  if (kind !== RecordKind.Entry) {
    target.writeUInt8(kind, 20)
    target.writeUIntLE(groupAt / RECORD_ALIGNMENT, 21, 3)
  }
  target.write(record.incarnation, 24, 'hex')
  writeCount(target, record.epoch, 32)
  writeCount(target, record.sequence, 40)
  writeCount(target, record.prevEpoch, 48)
  writeCount(target, record.committed, 56)
  target.set(batch, RECORD_HEADER_BYTES)
  target.writeBigUInt64LE(xxh64(target.subarray(CHECKSUM_BYTES, used), salt), 0)
  return target
}

/** What stands at a place in a file. */
export type RecordFound =
  /** `groupAt`: everything before it in the file was durable when this was written. */
  | { kind: 'record'; record: LogRecord; batch: Uint8Array; bytes: number; groupAt: number }
  /** Never written. */
  | { kind: 'nothing' }
  | { kind: 'rotten' }

/** Reads the record that begins at `at`. */
export function decodeRecord(file: Uint8Array, at: number, salt: bigint): RecordFound {
  const source = asBuffer(file)
  if (at + RECORD_HEADER_BYTES > source.length) return { kind: 'nothing' }
  if (source.readUInt32LE(at + 8) !== MAGIC) {
    return isZero(source, at) ? { kind: 'nothing' } : { kind: 'rotten' }
  }
  const batchBytes = source.readUInt32LE(at + 16)
  const used = RECORD_HEADER_BYTES + batchBytes
  if (batchBytes > MAX_BATCH_BYTES || at + used > source.length) return { kind: 'rotten' }
  const bytes = source.subarray(at, at + used)
  const checksum = xxh64(bytes.subarray(CHECKSUM_BYTES), salt)
  const kind = checksum === bytes.readBigUInt64LE(0) ? readKind(bytes) : undefined
  if (kind === undefined) return { kind: 'rotten' }
  return {
    kind: 'record',
    record: readHead(bytes, kind),
    batch: bytes.subarray(RECORD_HEADER_BYTES),
    bytes: roundUp(used, RECORD_ALIGNMENT),
    groupAt: kind === RecordKind.Entry ? 0 : bytes.readUIntLE(21, 3) * RECORD_ALIGNMENT,
  }
}

const KINDS_BUT_ENTRY: readonly RecordKind[] = [
  RecordKind.ReplicatedEntry,
  RecordKind.ReplicaState,
  RecordKind.Seal,
]

/** Undefined for one that is not known. */
function readKind(bytes: Buffer): RecordKind | undefined {
  const format = bytes.readUInt16LE(12)
  if (format === FORMAT) return RecordKind.Entry
  const number = bytes.readUInt8(20)
  return format === FORMAT_WITH_KIND ? KINDS_BUT_ENTRY.find((kind) => kind === number) : undefined
}

function readHead(bytes: Buffer, kind: RecordKind): LogRecord {
  // All fields in one literal: to begin with a spread would cost more than all else that is done for a record.
  const head = {
    partition: bytes.readUInt16LE(14),
    incarnation: bytes.toString('hex', 24, 32),
    epoch: Number(bytes.readBigUInt64LE(32)),
    sequence: Number(bytes.readBigUInt64LE(40)),
    prevEpoch: Number(bytes.readBigUInt64LE(48)),
    committed: Number(bytes.readBigUInt64LE(56)),
  }
  return kind === RecordKind.Entry ? head : { ...head, kind }
}

function isZero(source: Buffer, at: number): boolean {
  for (let offset = 0; offset < RECORD_ALIGNMENT; offset += 4) {
    if (source.readUInt32LE(at + offset) !== 0) return false
  }
  return true
}
