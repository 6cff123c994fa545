// Commit gives a version its id, its name and its time.
import type { Uid } from '../../kit/uid.ts'
import type { NewVersion } from '../contract.ts'
import type { BucketRef, DeleteMarker, ObjectVersion, VersionName } from '../records.ts'
import { timeMs, versionIdAt } from './log-time.ts'

/** The command that makes a version: where versions are kept, clients see the id. */
export interface Maker {
  commandId: Uid
  bucket: BucketRef
  /** Which of several versions it is that the command makes; the only one where it does not say. */
  at?: number
}

/** `version` as the command commits it at `time`. */
export function versionAt(version: NewVersion, maker: Maker, time: bigint): ObjectVersion {
  const named = Object.assign({}, version) as ObjectVersion
  // One that is made of another version has an id already, which is not its own.
  named.versionId = versionIdOf(maker, time)
  if (maker.bucket.versioning === 'enabled') named.versioned = true
  named.modifiedMs = timeMs(time)
  return named
}

/** The delete marker that the command makes at `time`. */
export function markerAt(maker: Maker, time: bigint): DeleteMarker {
  return { deleteMarker: true, ...nameAt(maker, time), modifiedMs: timeMs(time) }
}

function nameAt(maker: Maker, time: bigint): VersionName {
  const versionId = versionIdOf(maker, time)
  return maker.bucket.versioning === 'enabled' ? { versionId, versioned: true } : { versionId }
}

function versionIdOf({ commandId, at }: Maker, time: bigint): string {
  return versionIdAt(time, commandId, at)
}
