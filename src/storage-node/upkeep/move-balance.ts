// What every drive will have got and given, in bytes, once all shards lie where a table of slots wants them: moved,
// made again where their drive is out, or written anew in another code.
import { shardCount } from '../../kit/erasure-code.ts'
import type { Blob } from '../../metadata/records.ts'
import type { ClusterMap } from '../../placement/cluster-map.ts'
import { codeForAnew } from '../../placement/fit-code.ts'
import { chooseMoves } from '../../placement/moves.ts'
import { chooseHomes } from '../../placement/spares.ts'
import type { DriveId } from '../contract.ts'

/** The balance of one map, blob by blob. */
export class MoveBalance {
  /** All that is to be written, on whichever drive. */
  bytes = 0
  readonly #map: ClusterMap
  readonly #out: ReadonlySet<DriveId>
  readonly #net = new Map<DriveId, number>()

  constructor(map: ClusterMap) {
    this.#map = map
    this.#out = new Set(map.drives.filter(({ state }) => state === 'out').map(({ id }) => id))
  }

  /** A row names this blob. */
  add(blob: Blob): void {
    const { drives, partition } = blob
    const shardBytes = Math.ceil(blob.bytes / blob.code.dataCount)
    const anew = codeForAnew(this.#map, blob)
    if (anew) {
      const written = this.#map.slots[partition]!.slice(0, shardCount(anew))
      for (const driveId of drives) this.#change(driveId, -shardBytes)
      for (const driveId of written) this.#get(driveId, Math.ceil(blob.bytes / anew.dataCount))
      return
    }
    const moves = [...chooseMoves(this.#map, blob), ...this.#homesOfLost(blob)]
    for (const [slot, driveId] of moves) {
      this.#change(drives[slot]!, -shardBytes)
      this.#get(driveId, shardBytes)
    }
  }

  /** Bytes that the drive will have more than now; below 0 where it will have less. */
  netOf(driveId: DriveId): number {
    return this.#net.get(driveId) ?? 0
  }

  /** Where the shards that lie on drives that are out are made again. */
  #homesOfLost(blob: Blob): Map<number, DriveId> {
    const lost = [...blob.drives.keys()].filter((slot) => this.#out.has(blob.drives[slot]!))
    return lost.length === 0 ? new Map() : chooseHomes(this.#map, blob, lost)
  }

  #get(driveId: DriveId, bytes: number): void {
    this.bytes += bytes
    this.#change(driveId, bytes)
  }

  #change(driveId: DriveId, bytes: number): void {
    this.#net.set(driveId, this.netOf(driveId) + bytes)
  }
}
