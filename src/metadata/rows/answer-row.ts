// What a command answered when it was done, so that the same command sent again is not done again.
// Only what the command does not carry itself: when it was committed, and what it found.
import { asBuffer } from '../../kit/bytes.ts'
import type { Command, ConditionName, DeletionOutcome, KeyRefused } from '../contract.ts'
import type { ObjectVersion } from '../records.ts'
import { type PackedVersion, packVersion, unpackVersion } from './object-row.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

/** A command that was done. */
export interface DoneCommand {
  kind: Command['kind']
  /** Of the log's clock: gives time of modification and version id. */
  time: bigint
  /** delete-object: what was removed. */
  removed?: Removed
  /** delete-object: a delete marker was made. */
  made?: true
  /** delete-objects: what became of its keys. */
  deletions?: DoneDeletion[]
  /** What append-object and edit-version made of the version that they found. */
  version?: ObjectVersion
}

/** What became of a key. `made`: a delete marker, which the command and the time tell. */
export type DoneDeletion = { kind: 'done'; removed?: Removed } | { kind: 'made' } | KeyRefused

type Removed = Required<Extract<DeletionOutcome, { kind: 'done' }>>['removed']

interface PackedRemoved {
  i: string
  v?: true
  d?: true
}

/** Empty: there was nothing to delete. */
interface PackedDeletion {
  r?: PackedRemoved
  m?: true
  /** Why it was refused. */
  f?: Exclude<KeyRefused['kind'], 'condition-failed'>
  /** A condition that failed. */
  n?: ConditionName
}

interface PackedAnswer {
  c: Command['kind']
  h: Uint8Array
  r?: PackedRemoved
  m?: true
  l?: PackedDeletion[]
  v?: PackedVersion
}

/** The bytes of the row. */
export function encodeAnswerRow(done: DoneCommand): Buffer {
  const { kind, time, removed, made, deletions, version } = done
  const packed: PackedAnswer = { c: kind, h: packTime(time) }
  if (removed) packed.r = packRemoved(removed)
  if (made) packed.m = made
  if (deletions) packed.l = deletions.map(packDeletion)
  if (version) packed.v = packVersion(version)
  return packRow(FORMAT, packed)
}

/** What a row remembers. */
export function decodeAnswerRow(bytes: Uint8Array): DoneCommand {
  const packed = unpackRow<PackedAnswer>(bytes, FORMAT, 'answer')
  return {
    kind: packed.c,
    time: unpackTime(packed.h),
    ...(packed.r ? { removed: unpackRemoved(packed.r) } : {}),
    ...(packed.m ? { made: packed.m } : {}),
    ...(packed.l ? { deletions: packed.l.map(unpackDeletion) } : {}),
    ...(packed.v ? { version: unpackVersion(packed.v) } : {}),
  }
}

function packDeletion(done: DoneDeletion): PackedDeletion {
  switch (done.kind) {
    case 'done':
      return done.removed ? { r: packRemoved(done.removed) } : {}
    case 'made':
      return { m: true }
    case 'condition-failed':
      return { n: done.condition }
    default:
      return { f: done.kind }
  }
}

function unpackDeletion({ r, m, f, n }: PackedDeletion): DoneDeletion {
  if (m) return { kind: 'made' }
  if (f) return { kind: f }
  if (n) return { kind: 'condition-failed', condition: n }
  return r ? { kind: 'done', removed: unpackRemoved(r) } : { kind: 'done' }
}

function packRemoved(removed: Removed): PackedRemoved {
  const { versionId, versioned, deleteMarker } = removed
  return { i: versionId, ...(versioned ? { v: true } : {}), ...(deleteMarker ? { d: true } : {}) }
}

function unpackRemoved({ i, v, d }: PackedRemoved): Removed {
  return { versionId: i, ...(v ? { versioned: true } : {}), deleteMarker: d ?? false }
}

/** A time of the log's clock as eight bytes. */
export function packTime(time: bigint): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(time)
  return bytes
}

/** The time that packTime() was given. */
export function unpackTime(bytes: Uint8Array): bigint {
  return asBuffer(bytes).readBigUInt64BE()
}
