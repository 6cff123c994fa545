// What a command answered when it was done, so that the same command sent again is not done again.
// Only what the command does not carry itself: when it was committed, and what it found.
import { asBuffer } from '../../kit/bytes.ts'
import type { Command } from '../contract.ts'
import type { ObjectVersion, VersionName } from '../records.ts'
import { type PackedVersion, packVersion, unpackVersion } from './object-row.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

/** A command that was done. */
export interface DoneCommand {
  kind: Command['kind']
  /** Of the log's clock: gives time of modification and version id. */
  time: bigint
  /** delete-object: what was removed. */
  removed?: VersionName & { deleteMarker: boolean }
  /** delete-object: a delete marker was made. */
  made?: true
  /** What append-object and edit-version made of the version that they found. */
  version?: ObjectVersion
}

interface PackedAnswer {
  c: Command['kind']
  h: Uint8Array
  r?: { i: string; v?: true; d?: true }
  m?: true
  v?: PackedVersion
}

/** The bytes of the row. */
export function encodeAnswerRow({ kind, time, removed, made, version }: DoneCommand): Buffer {
  const packed: PackedAnswer = {
    c: kind,
    h: packTime(time),
    ...(removed ? { r: packRemoved(removed) } : {}),
    ...(made ? { m: made } : {}),
    ...(version ? { v: packVersion(version) } : {}),
  }
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
    ...(packed.v ? { version: unpackVersion(packed.v) } : {}),
  }
}

function packRemoved(removed: Required<DoneCommand>['removed']): Required<PackedAnswer>['r'] {
  const { versionId, versioned, deleteMarker } = removed
  return { i: versionId, ...(versioned ? { v: true } : {}), ...(deleteMarker ? { d: true } : {}) }
}

function unpackRemoved({ i, v, d }: Required<PackedAnswer>['r']): Required<DoneCommand>['removed'] {
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
