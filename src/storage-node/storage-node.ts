// The storage node of this process: its drives by id, each with its own shard store.
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import type {
  CopiesDescription,
  DriveId,
  DriveMoment,
  ShardCopies,
  ShardDescription,
  ShardId,
  ShardLists,
  ShardOpened,
  ShardReader,
  ShardWriter,
  StorageNode,
} from './contract.ts'
import { CopyRecords } from './segment/copy-records.ts'
import type { ShardStore } from './shard-store.ts'

/** Shards on the drives of this process. */
export class LocalStorageNode implements StorageNode, ShardLists {
  readonly #stores: ReadonlyMap<DriveId, ShardStore>

  /** Drives may be added to and taken from `stores` later; who opened the stores closes them. */
  constructor(stores: ReadonlyMap<DriveId, ShardStore>) {
    this.#stores = stores
  }

  async beginShard(
    driveId: DriveId,
    description: ShardDescription,
    use: 'data' | 'move' = 'data',
  ): Promise<ShardWriter> {
    return await this.#storeOf(driveId).beginShard(description, use)
  }

  copies(description: CopiesDescription, cell: Uint8Array): ShardCopies {
    const records = new CopyRecords(description, cell)
    return {
      // Whatever is thrown rejects: those that go to other drives at the same time have begun.
      put: async (driveId, slot) =>
        await this.#storeOf(driveId).putCopy(description, records.of(slot)),
    }
  }

  hasRoom(driveId: DriveId, shardBytes: number, use: 'data' | 'move'): boolean {
    const store = this.#stores.get(driveId)
    // One that failed says so itself to whoever writes to it.
    return store?.isOpen ? store.hasRoom(shardBytes, use) : true
  }

  async openShard(driveId: DriveId, id: ShardId): Promise<ShardOpened> {
    return await this.#storeOf(driveId).openShard(id)
  }

  openAtHand(driveId: DriveId, id: ShardId): ShardReader | undefined {
    return this.#stores.get(driveId)?.openAtHand(id)
  }

  async deleteShard(driveId: DriveId, id: ShardId): Promise<void> {
    await this.#storeOf(driveId).deleteShard(id)
  }

  async momentOn(driveId: DriveId): Promise<DriveMoment> {
    return this.#storeOf(driveId).moment()
  }

  async deleteUntouched(driveId: DriveId, id: ShardId, since: DriveMoment): Promise<boolean> {
    return await this.#storeOf(driveId).deleteUntouched(id, since)
  }

  async keepShard(driveId: DriveId, id: ShardId): Promise<void> {
    await this.#storeOf(driveId).keepShard(id)
  }

  async *listShards(driveId: DriveId): AsyncGenerator<readonly ShardId[]> {
    yield* this.#storeOf(driveId).list()
  }

  #storeOf(driveId: DriveId): ShardStore {
    const store = this.#stores.get(driveId)
    if (store === undefined) throw new DriveUnavailable(driveId, 'unknown')
    return store
  }
}
