// What a walk over all rows found to be on other drives than the table wants, or of a code that does not fit any more,
// and how many blobs name which drives.
import { shardCount } from '../../kit/erasure-code.ts'
import type { Blob } from '../../metadata/records.ts'
import type { ClusterMap } from '../../placement/cluster-map.ts'
import { codeForAnew } from '../../placement/fit-code.ts'
import { chooseMoves } from '../../placement/moves.ts'
import type { DriveId } from '../contract.ts'
import type { CopyWay } from './copy-shard.ts'

/** Shards, and about how long they are together. */
export interface ShardAmount {
  shards: number
  bytes: number
}

/** Which moves there are between two drives. */
interface MovesOfWay extends ShardAmount {
  from: DriveId
  to: DriveId
}

/** One count. */
export class MoveTally {
  /** Shards that can move or are to be written, and about how long they are together. */
  shards = 0
  bytes = 0
  /** Blobs that are to be written anew, with another code. */
  anew = 0
  readonly #names: Map<DriveId, number>
  readonly #ways = new Map<string, MovesOfWay>()

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
    const moves = anew ? undefined : chooseMoves(map, blob)
    const shards = anew ? shardCount(anew) : moves!.size
    const shardBytes = Math.ceil(blob.bytes / (anew ?? blob.code).dataCount)
    this.shards += shards
    this.bytes += shards * shardBytes
    for (const [slot, to] of moves ?? []) this.#addMove(blob.drives[slot]!, to, shardBytes)
  }

  /** Which of the moves that are left are from or to such drives, and the first of these of each. */
  movesOf(isSuch: (driveId: DriveId) => boolean): ShardAmount & { drives: ReadonlySet<DriveId> } {
    const found = { shards: 0, bytes: 0, drives: new Set<DriveId>() }
    for (const { from, to, shards, bytes } of this.#ways.values()) {
      const driveId = [from, to].find(isSuch)
      if (driveId === undefined || shards === 0) continue
      found.shards += shards
      found.bytes += bytes
      found.drives.add(driveId)
    }
    return found
  }

  /** A shard that was counted has moved. */
  noteMoved(bytes: number, { from, to }: Pick<CopyWay, 'from' | 'to'>): void {
    const way = this.#ways.get(nameWay(from, to))
    if (way === undefined) return
    way.shards = Math.max(0, way.shards - 1)
    way.bytes = Math.max(0, way.bytes - bytes)
  }

  #addMove(from: DriveId, to: DriveId, bytes: number): void {
    const key = nameWay(from, to)
    const way = this.#ways.get(key) ?? { from, to, shards: 0, bytes: 0 }
    way.shards += 1
    way.bytes += bytes
    this.#ways.set(key, way)
  }

  /** How many blobs name the drive; undefined when they were not counted. */
  namesOf(driveId: DriveId): number | undefined {
    return this.#names.get(driveId)
  }
}

function nameWay(from: DriveId, to: DriveId): string {
  return `${from} ${to}`
}
