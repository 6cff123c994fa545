// What nodes are told and asked for the upkeep of a cluster, as bytes and back. Layout: docs/formats/node-protocol.md.
import type { MetaPartitionId } from '../../metadata/contract.ts'
import type { Blob } from '../../metadata/records.ts'
import type { ShardId } from '../contract.ts'
import { JUDGED_MAX, type JudgedShard, type ShardVerdict } from '../upkeep/judge-shards.ts'
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
} from './shapes.ts'
import { BadMessage } from './trouble.ts'

/** What whoever leads a partition is told of its blobs. It looks for itself: a report is never believed. */
export interface BlobReport {
  /** Readers found shards of these missing or corrupt. */
  kind: 'damage'
  blobs: Blob[]
}

/** Blobs of one report. */
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
  /** On the drives of this node. */
  orphansDeleted: number
  orphanBytesDeleted: number
}

const report = record<BlobReport>({ kind: just('damage'), blobs: list(blob) })

const shardId = record<ShardId>({ uid, part: partNumber, slot: countUpTo(0xff) })

const judgedShards = list(
  record<JudgedShard>({
    driveId: count,
    id: shardId,
    bucketId: count,
    key: text,
    shardBytes: count,
    insteadOn: optional(count),
  }),
)

const verdicts = list(choice<ShardVerdict>(['orphan', 'named', 'held', 'undecided']))

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
  if (told.blobs.length > REPORTED_MAX) throw new BadMessage('a report has too much in it')
  return { partition, report: told }
}

/** Bytes of the question which shards are orphans. */
export function encodeJudge(partition: MetaPartitionId, shards: readonly JudgedShard[]): Buffer {
  return new FieldWriter()
    .u32(partition)
    .raw(cbor.encode(judgedShards(shards, 'ignored')))
    .end()
}

/** Such a question. Throws BadMessage. */
export function decodeJudge(bytes: Uint8Array): {
  partition: MetaPartitionId
  shards: JudgedShard[]
} {
  const fields = new FieldReader(bytes)
  const partition = fields.u32()
  const shards = unpack(fields.rest(), judgedShards, 'refused')
  if (shards.length > JUDGED_MAX) throw new BadMessage('too many shards are asked about')
  return { partition, shards }
}

/** What was said of so many shards. Throws BadMessage. */
export function decodeVerdicts(bytes: Uint8Array, count: number): ShardVerdict[] {
  const found = unpack(bytes, verdicts, 'ignored')
  if (found.length !== count) throw new BadMessage('verdicts are not of what was asked')
  return found
}

/** Bytes of how upkeep stands. */
export function encodeUpkeepStatus(found: NodeUpkeepStatus): Uint8Array {
  return cbor.encode(status(found, 'ignored'))
}

/** How upkeep stands. Throws BadMessage. */
export function decodeUpkeepStatus(bytes: Uint8Array): NodeUpkeepStatus {
  return unpack(bytes, status, 'ignored')
}
