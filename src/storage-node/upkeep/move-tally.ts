// What a walk over all rows found to be on other drives than the table wants, or of a code that does not fit any more,
// and how many blobs name which drives.
import { shardCount } from '../../kit/erasure-code.ts'
import type { Blob } from '../../metadata/records.ts'
import type { ClusterMap } from '../../placement/cluster-map.ts'
import { codeForAnew } from '../../placement/fit-code.ts'
import { chooseMoves } from '../../placement/moves.ts'
import type { DriveId } from '../contract.ts'

/** One count. */
export class MoveTally {
  /** Shards that can move or are to be written, and about how long they are together. */
  shards = 0
  bytes = 0
  /** Blobs that are to be written anew, with another code. */
  anew = 0
  readonly #names: Map<DriveId, number>

  /** `driveIds`: those of which it is counted how many blobs name them. */
  constructor(driveIds: readonly DriveId[]) {
    this.#names = new Map(driveIds.map((driveId) => [driveId, 0]))
  }

  /** A row names this blob. */
  add(blob: Blob, map: ClusterMap): void {
    for (const driveId of new Set(blob.drives)) {
      const known = this.#names.get(driveId)
      if (known !== undefined) this.#names.set(driveId, known + 1)
    }
    const anew = codeForAnew(map, blob)
    if (anew) this.anew += 1
    const shards = anew ? shardCount(anew) : chooseMoves(map, blob).size
    this.shards += shards
    this.bytes += shards * Math.ceil(blob.bytes / (anew ?? blob.code).dataCount)
  }

  /** How many blobs name the drive; undefined when they were not counted. */
  namesOf(driveId: DriveId): number | undefined {
    return this.#names.get(driveId)
  }
}
