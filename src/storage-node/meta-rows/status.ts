// Rows that a drive keeps about its replicas: how far each claims to be, and the marker that says
// what is surely durable. Layout: docs/formats/metadata-log.md.
import { assert } from '../../kit/assert.ts'
import { asBuffer } from '../../kit/bytes.ts'
import type { LogPosition } from '../../metadata/log/contract.ts'

/** How far the rows of one replica are. */
export interface ReplicaStatus {
  incarnation: string
  applied: LogPosition
}

/** What one marker says of one replica: its rows hold everything up to `current`, and did up to `previous` one marker ago. */
export interface MarkedReplica {
  partition: number
  incarnation: string
  current: LogPosition
  previous: LogPosition
}

/** What one marker says of all replicas on its drive. */
export type Marker = MarkedReplica[]

// Partition 0xffff is no partition: rows of the drive itself.
/** Where the marker is. */
export const MARKER_KEY = Buffer.from('ffff02', 'hex')
/** Where all statuses are, as LevelDB takes a range. */
export const STATUS_RANGE = {
  gte: Buffer.from('ffff01', 'hex'),
  lt: Buffer.from('ffff02', 'hex'),
}

const MARKED_BYTES = 42

/** Where the status of a partition is. */
export function statusKey(partition: number): Uint8Array {
  const key = Buffer.from('ffff010000', 'hex')
  key.writeUInt16BE(partition, 3)
  return key
}

/** The partition in the key of a status. */
export function partitionOfStatusKey(key: Uint8Array): number {
  return asBuffer(key).readUInt16BE(3)
}

/** The change that writes a status; `seal` adds the checksum. */
export function applyStatus(
  partition: number,
  status: ReplicaStatus,
  seal: (key: Uint8Array, value: Uint8Array) => Uint8Array,
): { type: 'put'; key: Uint8Array; value: Uint8Array } {
  const key = statusKey(partition)
  const value = Buffer.allocUnsafe(24)
  value.write(status.incarnation, 0, 'hex')
  writePosition(value, status.applied, 8)
  return { type: 'put', key, value: seal(key, value) }
}

/** A status whose checksum was right. */
export function decodeStatus(value: Uint8Array): ReplicaStatus {
  const source = asBuffer(value)
  return { incarnation: source.toString('hex', 0, 8), applied: readPosition(source, 8) }
}

/** For each replica: u16 partition, 8 bytes incarnation, current, previous; positions are u64 epoch, u64 sequence. */
export function encodeMarker(marker: Marker): Uint8Array {
  const value = Buffer.allocUnsafe(marker.length * MARKED_BYTES)
  marker.forEach(({ partition, incarnation, current, previous }, index) => {
    const at = index * MARKED_BYTES
    value.writeUInt16LE(partition, at)
    value.write(incarnation, at + 2, 'hex')
    writePosition(value, current, at + 10)
    writePosition(value, previous, at + 26)
  })
  return value
}

/** A marker whose checksum was right. */
export function decodeMarker(value: Uint8Array): Marker {
  const source = asBuffer(value)
  assert(source.length % MARKED_BYTES === 0, 'a marker is a list of replicas')
  return Array.from({ length: source.length / MARKED_BYTES }, (_, index) => {
    const at = index * MARKED_BYTES
    return {
      partition: source.readUInt16LE(at),
      incarnation: source.toString('hex', at + 2, at + 10),
      current: readPosition(source, at + 10),
      previous: readPosition(source, at + 26),
    }
  })
}

function writePosition(target: Buffer, { epoch, sequence }: LogPosition, at: number): void {
  target.writeBigUInt64LE(BigInt(epoch), at)
  target.writeBigUInt64LE(BigInt(sequence), at + 8)
}

function readPosition(source: Buffer, at: number): LogPosition {
  return {
    epoch: Number(source.readBigUInt64LE(at)),
    sequence: Number(source.readBigUInt64LE(at + 8)),
  }
}
