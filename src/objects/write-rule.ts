// When a blob may be acknowledged though shards of it are lacking: the seam between one process and a cluster.
import type { DriveUnavailable } from '../kit/drive-unavailable.ts'
import type { ErasureCode } from '../kit/erasure-code.ts'
import type { Clock } from '../kit/world.ts'
import type { DriveId } from '../storage-node/contract.ts'

/** A blob that is being written. */
export interface BlobToKeep {
  code: ErasureCode
  /** Data partition of its key. */
  partition: number
}

/** How long shards are waited for that the others do not need. */
export interface Patience {
  clock: Pick<Clock, 'sleep' | 'monotonicMs'>
  /** For a shard that is not begun, or takes no cell, while enough others do. It is given up then. */
  stallMs: number
  /** For a shard that is not durable yet, when enough others are after `sinceMs`. It may land later. */
  lagMs(sinceMs: number): number
}

/** Decides what is safe enough. */
export interface WriteRule {
  /** Whether shards on these drives are enough to go on, and in the end to acknowledge the blob. */
  isEnough(blob: BlobToKeep, drives: readonly DriveId[]): boolean
  /** Whether the write may go on without a shard because of this trouble. */
  bears(trouble: DriveUnavailable): boolean
  /** Whether nothing new is to be placed on a drive, though the map has it. */
  isAway(driveId: DriveId): boolean
  /** Whether shards that can not be begun go to other drives. Otherwise the write goes on without them. */
  placesAnew: boolean
  /** undefined: whoever has not failed is waited for. */
  patience: Patience | undefined
  /** Resolves when a blob may be acknowledged that has no shard on this drive, where one was begun. */
  doWithout(driveId: DriveId): Promise<void>
}

/**
 * The rule of one process: every shard is durable, except on drives that have failed and are on
 * record as out before the acknowledgement.
 */
export function everyDrive(recordOut: (driveId: DriveId) => Promise<void>): WriteRule {
  return {
    isEnough: ({ code }, drives) => drives.length >= code.dataCount,
    bears: ({ trouble }) => trouble === 'failed',
    isAway: () => false,
    placesAnew: false,
    patience: undefined,
    doWithout: recordOut,
  }
}
