// Commit gives a version its id and its time.
import type { Uid } from '../../kit/uid.ts'
import type { NewVersion } from '../contract.ts'
import type { ObjectVersion } from '../records.ts'
import { timeMs, versionIdAt } from './log-time.ts'

/** `version` as the command `commandId` commits it at `time`. */
export function versionAt(version: NewVersion, commandId: Uid, time: bigint): ObjectVersion {
  return { ...version, versionId: versionIdAt(time, commandId), modifiedMs: timeMs(time) }
}
