// The drives of many nodes behind one contract: whoever writes and reads shards names drives, and the map says whose they are.
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import type {
  DriveId,
  DriveMoment,
  ShardDescription,
  ShardId,
  ShardOpened,
  ShardReader,
  ShardWriter,
  StorageNode,
} from './contract.ts'

/** A StorageNode that passes everything on to the node of the drive. */
export class DrivesOfNodes implements StorageNode {
  readonly #nodeOf: (driveId: DriveId) => StorageNode | undefined

  /** `nodeOf` is asked every time: drives move from node to node with their disks. */
  constructor(nodeOf: (driveId: DriveId) => StorageNode | undefined) {
    this.#nodeOf = nodeOf
  }

  async beginShard(
    driveId: DriveId,
    description: ShardDescription,
    use: 'data' | 'move' = 'data',
  ): Promise<ShardWriter> {
    return await this.#of(driveId).beginShard(driveId, description, use)
  }

  hasRoom(driveId: DriveId, shardBytes: number, use: 'data' | 'move'): boolean {
    return this.#nodeOf(driveId)?.hasRoom(driveId, shardBytes, use) ?? true
  }

  async openShard(driveId: DriveId, id: ShardId): Promise<ShardOpened> {
    return await this.#of(driveId).openShard(driveId, id)
  }

  openAtHand(driveId: DriveId, id: ShardId, cellCount?: number): ShardReader | undefined {
    return this.#nodeOf(driveId)?.openAtHand?.(driveId, id, cellCount)
  }

  async deleteShard(driveId: DriveId, id: ShardId): Promise<void> {
    await this.#of(driveId).deleteShard(driveId, id)
  }

  async momentOn(driveId: DriveId): Promise<DriveMoment> {
    return await this.#of(driveId).momentOn(driveId)
  }

  async deleteUntouched(driveId: DriveId, id: ShardId, since: DriveMoment): Promise<boolean> {
    return await this.#of(driveId).deleteUntouched(driveId, id, since)
  }

  async keepShard(driveId: DriveId, id: ShardId): Promise<void> {
    await this.#of(driveId).keepShard(driveId, id)
  }

  #of(driveId: DriveId): StorageNode {
    const node = this.#nodeOf(driveId)
    if (node === undefined) throw new DriveUnavailable(driveId, 'unknown')
    return node
  }
}
