// What a node is asked about its drives, and what it answers, as JSON. docs/formats/node-protocol.md.
import type { DepartureCount } from '../../placement/departure.ts'
import { SPACE_LEVELS, type SpaceLevel } from '../space/levels.ts'
import {
  choice,
  count,
  just,
  list,
  number,
  optional,
  record,
  type Shape,
  text,
  type UnknownFields,
  variants,
} from './shapes.ts'
import { BadMessage } from './trouble.ts'

/** A drive, as its node sees it. */
export interface DescribedDrive {
  driveId: number
  path: string
  /** Why it can not be used, where the map may not know it yet. */
  failure?: string
  /** Of its file system; absent when the drive does not answer. */
  freeBytes?: number
  totalBytes?: number
  /** What that leaves it to do. */
  level?: SpaceLevel
}

/** Of a drive of the cluster that is not active: what the partitions that the node leads have on it, as last counted. */
export interface LeavingDrive {
  driveId: number
  /** How many blobs name it; absent before they were counted. */
  blobs?: number
  /** Copies that moved away and still lie there, for readers. */
  oldCopies: number
}

/** What moves between drives by the work of a node. Counts are since its start. */
export interface DescribedMoves {
  phase: 'idle' | 'counting' | 'moving'
  movedShards: number
  movedBytes: number
  anewBlobs: number
  /** As last counted; absent before. */
  remainingShards?: number
  remainingBytes?: number
  remainingAnew?: number
  bytesPerSecond?: number
  /** Of the remaining shards, those that wait for drives of nodes that do not answer. */
  waitingShards?: number
  /** Until all others have moved; absent as long as nobody can tell. */
  leftMs?: number
}

/** How the drives of a node stand, and how far it is with what leaves. */
export interface DrivesOfNode {
  /** Of the state of the cluster that the node knows. */
  epoch: number
  drives: DescribedDrive[]
  leaving: LeavingDrive[]
  moves: DescribedMoves
  /** Of closed drives, in the partitions that it leads. */
  counts: DepartureCount[]
}

/** A directory of a node is to be a drive: one more, or in the place of another. */
export type EnterDrive =
  | { kind: 'add'; path: string; weight?: number }
  | { kind: 'replace'; driveId: number; path: string; weight?: number }

/** What became of it. */
export type DriveEntered =
  | { kind: 'done'; driveId: number; sentence: string; warnings: string[] }
  | { kind: 'refused'; sentence: string }

const describedDrive = record<DescribedDrive>({
  driveId: count,
  path: text,
  failure: optional(text),
  freeBytes: optional(number),
  totalBytes: optional(number),
  level: optional(choice(SPACE_LEVELS)),
})

const leavingDrive = record<LeavingDrive>({
  driveId: count,
  blobs: optional(count),
  oldCopies: count,
})

const describedMoves = record<DescribedMoves>({
  phase: choice(['idle', 'counting', 'moving']),
  movedShards: count,
  movedBytes: number,
  anewBlobs: count,
  remainingShards: optional(count),
  remainingBytes: optional(number),
  remainingAnew: optional(count),
  bytesPerSecond: optional(number),
  waitingShards: optional(count),
  leftMs: optional(number),
})

const departureCount = record<DepartureCount>({
  driveId: count,
  closedEpoch: count,
  partition: count,
  epoch: count,
  rows: count,
})

const drivesOfNode = record<DrivesOfNode>({
  epoch: count,
  drives: list(describedDrive),
  leaving: list(leavingDrive),
  moves: describedMoves,
  counts: list(departureCount),
})

const enterDrive = variants<EnterDrive, 'kind'>('kind', {
  add: record<Extract<EnterDrive, { kind: 'add' }>>({
    kind: just('add'),
    path: text,
    weight: optional(count),
  }),
  replace: record<Extract<EnterDrive, { kind: 'replace' }>>({
    kind: just('replace'),
    driveId: count,
    path: text,
    weight: optional(count),
  }),
})

const driveEntered = variants<DriveEntered, 'kind'>('kind', {
  done: record<Extract<DriveEntered, { kind: 'done' }>>({
    kind: just('done'),
    driveId: count,
    sentence: text,
    warnings: list(text),
  }),
  refused: record<Extract<DriveEntered, { kind: 'refused' }>>({
    kind: just('refused'),
    sentence: text,
  }),
})

/** Bytes of how drives stand. */
export function encodeDrivesOfNode(found: DrivesOfNode): Uint8Array {
  return toJson(found)
}

/** How drives stand. Throws BadMessage. */
export function decodeDrivesOfNode(bytes: Uint8Array): DrivesOfNode {
  return fromJson(bytes, drivesOfNode, 'ignored')
}

/** Bytes of a request. */
export function encodeEnterDrive(asked: EnterDrive): Uint8Array {
  return toJson(asked)
}

/** A request. Throws BadMessage for one that this version does not know all of. */
export function decodeEnterDrive(bytes: Uint8Array): EnterDrive {
  return fromJson(bytes, enterDrive, 'refused')
}

/** Bytes of what became of it. */
export function encodeDriveEntered(found: DriveEntered): Uint8Array {
  return toJson(found)
}

/** What became of it. Throws BadMessage. */
export function decodeDriveEntered(bytes: Uint8Array): DriveEntered {
  return fromJson(bytes, driveEntered, 'ignored')
}

function toJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function fromJson<Value>(
  bytes: Uint8Array,
  shape: Shape<Value>,
  unknownFields: UnknownFields,
): Value {
  let found: unknown
  try {
    found = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw new BadMessage(`JSON can not be read: ${String(error)}`)
  }
  return shape(found, unknownFields)
}
