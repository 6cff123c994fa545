// What requests about shards hold, byte by byte: docs/formats/node-protocol.md.
// What comes from another node is checked here once; a shard store would take wrong numbers for a fault of its own.
import { CELL_BYTES, type ErasureCode, type MatrixId, shardCount } from '../../kit/erasure-code.ts'
import { lendPart } from '../../kit/lent-bytes.ts'
import { UID_BYTES, uidBytes, uidFromBytes } from '../../kit/uid.ts'
import type {
  CellRead,
  DriveId,
  DriveMoment,
  ShardDescribed,
  ShardDescription,
  ShardId,
} from '../contract.ts'
import { headerBytesOf, MAX_HEADER_BYTES } from '../segment/record-format.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { BadMessage } from './trouble.ts'

/** A shard that is to be begun. */
export interface BeginRequest {
  driveId: DriveId
  use: 'data' | 'move'
  description: ShardDescription
}

/** A whole shard: `bytes` are its cells, one after the other. */
export interface PutRequest extends BeginRequest {
  bytes: Uint8Array
}

/** A shard of a drive. */
export interface ShardRequest {
  driveId: DriveId
  id: ShardId
}

/** A shard that is to be deleted, unless it was written since. */
export interface DeletionRequest extends ShardRequest {
  since: DriveMoment
}

/** A shard that is read: `reader` is a number that the asker chose for it, and gives to no other shard. */
export interface ReaderRequest extends ShardRequest {
  reader: number
}

/** One cell of it. */
export interface CellRequest extends ReaderRequest {
  index: number
}

const USES = ['data', 'move'] as const
const FOUND = 0
const MISSING = 1
const CORRUPT = 2
const SHARDS_MAX = 255

/** Bytes of what begins a shard. */
export function encodeBegin({ driveId, use, description }: BeginRequest): Buffer {
  return writeBegin(new FieldWriter(), { driveId, use, description }).end()
}

/** What begins a shard. */
export function decodeBegin(bytes: Uint8Array): BeginRequest {
  const fields = new FieldReader(bytes)
  const request = readBegin(fields)
  fields.end()
  return request
}

/** Bytes of a whole shard. */
export function encodePut(request: PutRequest): Buffer {
  return writeBegin(new FieldWriter(), request).raw(request.bytes).end()
}

/** A whole shard. */
export function decodePut(bytes: Uint8Array): PutRequest {
  const fields = new FieldReader(bytes)
  const request = readBegin(fields)
  const shard = fields.rest()
  if (shard.length !== request.description.shardBytes) {
    throw new BadMessage('a shard is not as long as it says')
  }
  return { ...request, bytes: shard }
}

/** Bytes that name a shard. */
export function encodeShard({ driveId, id }: ShardRequest): Buffer {
  return writeShard(new FieldWriter(), { driveId, id }).end()
}

/** A shard that is named. */
export function decodeShard(bytes: Uint8Array): ShardRequest {
  const fields = new FieldReader(bytes)
  const request = readShard(fields)
  fields.end()
  return request
}

/** Bytes that name a drive. */
export function encodeDrive(driveId: DriveId): Buffer {
  return new FieldWriter().u32(driveId).end()
}

/** A drive that is named. */
export function decodeDrive(bytes: Uint8Array): DriveId {
  const fields = new FieldReader(bytes)
  const driveId = fields.u32()
  fields.end()
  return driveId
}

/** Bytes of a moment on a drive. */
export function encodeMoment(moment: DriveMoment): Buffer {
  return new FieldWriter().text(moment).end()
}

/** A moment on a drive. */
export function decodeMoment(bytes: Uint8Array): DriveMoment {
  const fields = new FieldReader(bytes)
  const moment = fields.text() as DriveMoment
  fields.end()
  return moment
}

/** Bytes that name a shard that is to be deleted, unless it was written since. */
export function encodeDeletion(request: DeletionRequest): Buffer {
  return writeShard(new FieldWriter(), request).text(request.since).end()
}

/** A shard that is to be deleted, unless it was written since. */
export function decodeDeletion(bytes: Uint8Array): DeletionRequest {
  const fields = new FieldReader(bytes)
  const request = { ...readShard(fields), since: fields.text() as DriveMoment }
  fields.end()
  return request
}

/** Bytes that name a shard and its reader. */
export function encodeReader(request: ReaderRequest): Buffer {
  return writeShard(new FieldWriter(), request).u64(request.reader).end()
}

/** A shard and its reader. */
export function decodeReader(bytes: Uint8Array): ReaderRequest {
  const fields = new FieldReader(bytes)
  const request = { ...readShard(fields), reader: fields.u64() }
  fields.end()
  return request
}

/** Bytes that name a cell. */
export function encodeCell(request: CellRequest): Buffer {
  return writeShard(new FieldWriter(), request).u64(request.reader).u32(request.index).end()
}

/** A cell that is named. */
export function decodeCell(bytes: Uint8Array): CellRequest {
  const fields = new FieldReader(bytes)
  const request = { ...readShard(fields), reader: fields.u64(), index: fields.u32() }
  fields.end()
  return request
}

/** Bytes of what opening gave, but for the reader. */
export function encodeOpened(opened: Outcome): Buffer {
  return writeOutcome(opened).end()
}

/** What opening gave. */
export function decodeOpened(bytes: Uint8Array): Outcome {
  const fields = new FieldReader(bytes)
  const outcome = readOutcome(fields)
  fields.end()
  return outcome
}

/** Bytes of what reading a cell gave; those of the cell are a part of `target`, lent as that is. */
export function encodeCellRead(read: CellRead, target: Uint8Array): readonly Uint8Array[] {
  const outcome = writeOutcome(read).end()
  return [outcome, lendPart(target, 0, read.kind === 'found' ? read.bytes : 0)]
}

/** What reading a cell gave: its bytes are put into `target`. */
export function decodeCellRead(bytes: Uint8Array, target: Uint8Array): CellRead {
  const fields = new FieldReader(bytes)
  const outcome = readOutcome(fields)
  const cell = fields.rest()
  if (outcome.kind !== 'found') return outcome
  if (cell.length > target.length) throw new BadMessage('a cell is longer than its reader expects')
  target.set(cell)
  return { kind: 'found', bytes: cell.length }
}

/** The bytes of a cell that was read, as they came and lent as those; undefined when it is missing or corrupt. */
export function decodeLentCell(bytes: Uint8Array): Uint8Array | undefined {
  const fields = new FieldReader(bytes)
  const outcome = readOutcome(fields)
  if (outcome.kind !== 'found') return undefined
  return lendPart(bytes, bytes.length - fields.rest().length, bytes.length)
}

/** Bytes of what a shard says of itself. */
export function encodeDescribed(described: ShardDescribed): Buffer {
  const fields = writeOutcome(described)
  if (described.kind === 'found') writeDescription(fields, described.description)
  return fields.end()
}

/** What a shard says of itself. */
export function decodeDescribed(bytes: Uint8Array): ShardDescribed {
  const fields = new FieldReader(bytes)
  const outcome = readOutcome(fields)
  const description = outcome.kind === 'found' ? readDescription(fields) : undefined
  fields.end()
  if (outcome.kind !== 'found') return outcome
  if (description === undefined) throw new BadMessage('a description is lacking')
  return { kind: 'found', description }
}

/** What became of opening or reading, without what was found. */
type Outcome = { kind: 'found' } | { kind: 'missing' } | { kind: 'corrupt'; detail: string }

function writeOutcome(outcome: CellRead | ShardDescribed | Outcome): FieldWriter {
  switch (outcome.kind) {
    case 'found':
      return new FieldWriter().u8(FOUND)
    case 'missing':
      return new FieldWriter().u8(MISSING)
    case 'corrupt':
      return new FieldWriter().u8(CORRUPT).text(outcome.detail)
  }
}

function readOutcome(fields: FieldReader): Outcome {
  const kind = fields.u8()
  if (kind === FOUND) return { kind: 'found' }
  if (kind === MISSING) return { kind: 'missing' }
  if (kind === CORRUPT) return { kind: 'corrupt', detail: fields.text() }
  throw new BadMessage('an outcome is not known')
}

function writeBegin(fields: FieldWriter, request: BeginRequest): FieldWriter {
  fields.u32(request.driveId).u8(USES.indexOf(request.use))
  return writeDescription(fields, request.description)
}

function readBegin(fields: FieldReader): BeginRequest {
  const driveId = fields.u32()
  const use = USES[fields.u8()]
  if (use === undefined) throw new BadMessage('a use is not known')
  return { driveId, use, description: readDescription(fields) }
}

function writeShard(fields: FieldWriter, { driveId, id }: ShardRequest): FieldWriter {
  return writeId(fields.u32(driveId), id)
}

function readShard(fields: FieldReader): ShardRequest {
  return { driveId: fields.u32(), id: readId(fields) }
}

function writeId(fields: FieldWriter, { uid, part, slot }: ShardId): FieldWriter {
  return fields.raw(uidBytes(uid)).u16(part).u8(slot)
}

function readId(fields: FieldReader): ShardId {
  return { uid: uidFromBytes(fields.raw(UID_BYTES)), part: fields.u16(), slot: fields.u8() }
}

function writeDescription(fields: FieldWriter, description: ShardDescription): FieldWriter {
  const { id, code, key, metadata } = description
  writeId(fields, id).u8(code.dataCount).u8(code.parityCount).u8(code.matrix)
  fields.u32(description.cellBytes).u64(description.shardBytes).u64(description.blobBytes)
  fields.u32(description.partition).u64(description.mapEpoch).u64(description.bucketId)
  return fields.text(key).bytes(metadata)
}

function readDescription(fields: FieldReader): ShardDescription {
  const description: ShardDescription = {
    id: readId(fields),
    code: readCode(fields),
    cellBytes: fields.u32(),
    shardBytes: fields.u64(),
    blobBytes: fields.u64(),
    partition: fields.u32(),
    mapEpoch: fields.u64(),
    bucketId: fields.u64(),
    key: fields.text(),
    metadata: Uint8Array.from(fields.bytes()),
  }
  checkDescription(description)
  return description
}

function readCode(fields: FieldReader): ErasureCode {
  const dataCount = fields.u8()
  const parityCount = fields.u8()
  return { dataCount, parityCount, matrix: fields.u8() as MatrixId }
}

/** What a shard store would assert of a description is refused here. */
function checkDescription(description: ShardDescription): void {
  const { cellBytes, code } = description
  const isCell = cellBytes > 0 && cellBytes <= CELL_BYTES
  const isCode = code.dataCount > 0 && shardCount(code) <= SHARDS_MAX
  const isShort = headerBytesOf(description) <= MAX_HEADER_BYTES
  if (!isCell || !isCode || !isShort) throw new BadMessage('no shard can be like this')
}
