// A storage node whose reads are measured, drive by drive, on the side of who reads: what is late depends on it.
import type {
  DriveId,
  DriveMoment,
  ShardDescription,
  ShardId,
  ShardOpened,
  ShardReader,
  ShardWriter,
  StorageNode,
} from '../storage-node/contract.ts'
import type { DriveHealth } from '../storage-node/drive-care/drive-health.ts'

/** A StorageNode in front of another one. */
export class WatchedNode implements StorageNode {
  readonly #node: StorageNode
  readonly #healthOf: (driveId: DriveId) => DriveHealth

  constructor(node: StorageNode, healthOf: (driveId: DriveId) => DriveHealth) {
    this.#node = node
    this.#healthOf = healthOf
  }

  beginShard(
    driveId: DriveId,
    description: ShardDescription,
    use?: 'data' | 'move',
  ): Promise<ShardWriter> {
    return this.#node.beginShard(driveId, description, use)
  }

  hasRoom(driveId: DriveId, shardBytes: number, use: 'data' | 'move'): boolean {
    return this.#node.hasRoom(driveId, shardBytes, use)
  }

  async openShard(driveId: DriveId, id: ShardId): Promise<ShardOpened> {
    const health = this.#healthOf(driveId)
    const opened = await health.observe('read', () => this.#node.openShard(driveId, id))
    if (opened.kind !== 'found') return opened
    return { kind: 'found', reader: watched(opened.reader, health) }
  }

  openAtHand(driveId: DriveId, id: ShardId, cellCount?: number): ShardReader | undefined {
    const reader = this.#node.openAtHand?.(driveId, id, cellCount)
    return reader && watched(reader, this.#healthOf(driveId))
  }

  deleteShard(driveId: DriveId, id: ShardId): Promise<void> {
    return this.#node.deleteShard(driveId, id)
  }

  momentOn(driveId: DriveId): Promise<DriveMoment> {
    return this.#node.momentOn(driveId)
  }

  deleteUntouched(driveId: DriveId, id: ShardId, since: DriveMoment): Promise<boolean> {
    return this.#node.deleteUntouched(driveId, id, since)
  }

  keepShard(driveId: DriveId, id: ShardId): Promise<void> {
    return this.#node.keepShard(driveId, id)
  }
}

function watched(reader: ShardReader, health: DriveHealth): ShardReader {
  return {
    describe: () => reader.describe(),
    readCell: (index, target) => health.observe('read', () => reader.readCell(index, target)),
    readRun: (first, count) => health.observe('read', async () => reader.readRun?.(first, count)),
    close: () => reader.close(),
  }
}
