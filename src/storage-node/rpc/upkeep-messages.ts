// What nodes are told and asked for the upkeep of a cluster, as bytes and back. Layout: docs/formats/node-protocol.md.
import type { MetaPartitionId } from '../../metadata/contract.ts'
import type { Blob } from '../../metadata/records.ts'
import type { ShardId } from '../contract.ts'
import { cbor, unpack } from './cbor.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { blob, partNumber } from './record-shapes.ts'
import {
  choice,
  count,
  countUpTo,
  flag,
  just,
  list,
  number,
  optional,
  record,
  type Shape,
  text,
  uid,
  variants,
} from './shapes.ts'
import { BadMessage } from './trouble.ts'

/** A shard where it lies, and what its header says. */
export interface LyingShard {
  driveId: number
  id: ShardId
  bucketId: number
  key: string
  shardBytes: number
}

/** What whoever leads a partition is told of its blobs. It looks for itself: a report is never believed. */
export type BlobReport =
  /** Readers found shards of these missing or corrupt. */
  | { kind: 'damage'; blobs: Blob[] }
  /** No row seems to name these shards where they lie. */
  | { kind: 'orphans'; shards: LyingShard[] }

/** Blobs or shards of one report. */
export const REPORTED_MAX = 256

/** A pass over the blobs of a node that is under way. */
export interface NodePass {
  kind: 'check' | 'scrub'
  startedMs: number
  blobs: number
  /** How many it will be in all, about, and how long it takes at the pace so far; absent as long as nobody can tell. */
  blobsExpected?: number
  leftMs?: number
  bytes: number
  mendedShards: number
}

/** How the upkeep of one node stands. Counts are since its start. */
export interface NodeUpkeepStatus {
  /** Partitions whose blobs the node looks after now. */
  partitions: number[]
  /** All blobs of these were seen whole, and nothing happened since. */
  complete: boolean
  /** When the last scrub began that left nothing owed; absent where none did. */
  lastVerifiedMs?: number
  queued: number
  waiting: number
  unrepairable: { bucketId?: number; key?: string; uid: string; part: number; error?: string }[]
  unrepairableCount: number
  passes: NodePass[]
  endedChecks: number
  endedScrubs: number
  checkedBlobs: number
  mendedShards: number
  bytesRead: number
  bytesWritten: number
  checkedFiles: number
  damagedFiles: number
  movedShards: number
  movedBytes: number
  /** Absent while it is not counted. */
  remainingShards?: number
  remainingBytes?: number
  bytesPerSecond?: number
  orphansDeleted: number
  orphanBytesDeleted: number
}

const shardId = record<ShardId>({ uid, part: partNumber, slot: countUpTo(0xff) })

const lyingShard = record<LyingShard>({
  driveId: count,
  id: shardId,
  bucketId: count,
  key: text,
  shardBytes: count,
})

const report = variants<BlobReport, 'kind'>('kind', {
  damage: record<Extract<BlobReport, { kind: 'damage' }>>({
    kind: just('damage'),
    blobs: list(blob),
  }),
  orphans: record<Extract<BlobReport, { kind: 'orphans' }>>({
    kind: just('orphans'),
    shards: list(lyingShard),
  }),
})

const pass = record<NodePass>({
  kind: choice(['check', 'scrub']),
  startedMs: number,
  blobs: count,
  blobsExpected: optional(count),
  leftMs: optional(number),
  bytes: count,
  mendedShards: count,
})

const status: Shape<NodeUpkeepStatus> = record<NodeUpkeepStatus>({
  partitions: list(count),
  complete: flag,
  lastVerifiedMs: optional(number),
  queued: count,
  waiting: count,
  unrepairable: list(
    record<NodeUpkeepStatus['unrepairable'][number]>({
      bucketId: optional(count),
      key: optional(text),
      uid: text,
      part: count,
      error: optional(text),
    }),
  ),
  unrepairableCount: count,
  passes: list(pass),
  endedChecks: count,
  endedScrubs: count,
  checkedBlobs: count,
  mendedShards: count,
  bytesRead: count,
  bytesWritten: count,
  checkedFiles: count,
  damagedFiles: count,
  movedShards: count,
  movedBytes: count,
  remainingShards: optional(count),
  remainingBytes: optional(number),
  bytesPerSecond: optional(number),
  orphansDeleted: count,
  orphanBytesDeleted: count,
})

/** Bytes of a report. */
export function encodeReport(partition: MetaPartitionId, told: BlobReport): Buffer {
  return new FieldWriter()
    .u32(partition)
    .raw(cbor.encode(report(told, 'ignored')))
    .end()
}

/** A report. Throws BadMessage. */
export function decodeReport(bytes: Uint8Array): {
  partition: MetaPartitionId
  report: BlobReport
} {
  const fields = new FieldReader(bytes)
  const partition = fields.u32()
  const told = unpack(fields.rest(), report, 'refused')
  const { length } = told.kind === 'damage' ? told.blobs : told.shards
  if (length > REPORTED_MAX) throw new BadMessage('a report has too much in it')
  return { partition, report: told }
}

/** Bytes of how upkeep stands. */
export function encodeUpkeepStatus(found: NodeUpkeepStatus): Uint8Array {
  return cbor.encode(status(found, 'ignored'))
}

/** How upkeep stands. Throws BadMessage. */
export function decodeUpkeepStatus(bytes: Uint8Array): NodeUpkeepStatus {
  return unpack(bytes, status, 'ignored')
}
