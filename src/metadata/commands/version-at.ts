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
  return { ...version, ...nameAt(maker, time), modifiedMs: timeMs(time) }
}

/** The delete marker that the command makes at `time`. */
export function markerAt(maker: Maker, time: bigint): DeleteMarker {
  return { ...nameAt(maker, time), deleteMarker: true, modifiedMs: timeMs(time) }
}

function nameAt({ commandId, bucket, at }: Maker, time: bigint): VersionName {
  const versionId = versionIdAt(time, commandId, at)
  return bucket.versioning === 'enabled' ? { versionId, versioned: true } : { versionId }
}
