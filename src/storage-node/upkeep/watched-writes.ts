// The drives of a node, watched for shards that are written again while it is asked whether they are orphans: a shard
// that was mended or moved to its drive meanwhile is not the one that was asked about, and stays.
import type {
  DriveId,
  DriveMoment,
  ShardDescription,
  ShardId,
  ShardOpened,
  ShardWriter,
  StorageNode,
} from '../contract.ts'

/** A shard under watch. */
export interface ShardWatch {
  readonly driveId: DriveId
  readonly id: ShardId
  /** Whether somebody began to write it since. */
  isWritten: boolean
}

/** The same drives. Whoever writes to them has to do so here. */
export class WatchedWrites implements StorageNode {
  readonly #node: StorageNode
  readonly #watches = new Map<string, Set<ShardWatch>>()
  readonly #deleting = new Map<string, Promise<void>>()

  constructor(node: StorageNode) {
    this.#node = node
  }

  /** Watches a shard until it is let go. */
  watch(driveId: DriveId, id: ShardId): ShardWatch {
    const watch = { driveId, id, isWritten: false }
    const name = nameOf(driveId, id)
    this.#watches.set(name, (this.#watches.get(name) ?? new Set()).add(watch))
    return watch
  }

  /** It is not watched any more. */
  letGo(watch: ShardWatch): void {
    const name = nameOf(watch.driveId, watch.id)
    const watches = this.#watches.get(name)
    watches?.delete(watch)
    if (watches?.size === 0) this.#watches.delete(name)
  }

  /** Deletes a shard, unless somebody began to write it since it is watched: false then. Who begins now waits. */
  async deleteUnlessWritten({ driveId, id, isWritten }: ShardWatch): Promise<boolean> {
    if (isWritten) return false
    const name = nameOf(driveId, id)
    const deleted = this.#node.deleteShard(driveId, id)
    const ended = deleted.catch(() => undefined)
    this.#deleting.set(name, ended)
    try {
      await deleted
      return true
    } finally {
      if (this.#deleting.get(name) === ended) this.#deleting.delete(name)
    }
  }

  async beginShard(
    driveId: DriveId,
    description: ShardDescription,
    use: 'data' | 'move' = 'data',
  ): Promise<ShardWriter> {
    await this.#keep(driveId, description.id)
    return await this.#node.beginShard(driveId, description, use)
  }

  hasRoom(driveId: DriveId, shardBytes: number, use: 'data' | 'move'): boolean {
    return this.#node.hasRoom(driveId, shardBytes, use)
  }

  openShard(driveId: DriveId, id: ShardId): Promise<ShardOpened> {
    return this.#node.openShard(driveId, id)
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

  async keepShard(driveId: DriveId, id: ShardId): Promise<void> {
    await this.#keep(driveId, id)
    await this.#node.keepShard(driveId, id)
  }

  /** What was asked about is not what will be there. */
  async #keep(driveId: DriveId, id: ShardId): Promise<void> {
    const name = nameOf(driveId, id)
    for (const watch of this.#watches.get(name) ?? []) watch.isWritten = true
    await this.#deleting.get(name)
  }
}

function nameOf(driveId: DriveId, { uid, part, slot }: ShardId): string {
  return `${driveId}/${uid}.${part}.${slot}`
}
