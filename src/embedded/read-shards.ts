// The shards that `kintsugi recover` reads. A drive whose shards do not open, or can not be read to their end, is left out of
// them as a start leaves it out. Its metadata is asked all the same: a replica, a log or a dump on it may have the last word.
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { ClusterState } from '../placement/coordinator.ts'
import type { Drive } from '../storage-node/drive.ts'
import { ShardStore } from '../storage-node/shard-store.ts'
import type { Absent } from './gather-drives.ts'
import { refuseTooFew, whyUnopened } from './start-store.ts'

/** What shards are opened with. */
export interface ReadShardsParts {
  world: World
  log: Log
}

/** The shards of all drives of a store, as far as they can be read. */
export class ReadShards {
  readonly #drives: readonly Drive[]
  readonly #log: Log
  readonly #stores = new Map<number, ShardStore>()
  readonly #leftOut: Absent['absent'] = new Map()

  private constructor(drives: readonly Drive[], { log }: ReadShardsParts) {
    this.#drives = drives
    this.#log = log
  }

  /** Opens them; what is to be closed goes on `opened`. */
  static async open(
    drives: readonly Drive[],
    parts: ReadShardsParts,
    opened: ClosingStack,
  ): Promise<ReadShards> {
    const shards = new ReadShards(drives, parts)
    for (const drive of drives) {
      // What fails while shards are read must not keep its metadata from being read.
      const apart = drive.apart()
      opened.defer(() => apart.close())
      try {
        const store = await ShardStore.open(apart, parts)
        opened.defer(() => shards.#close(drive.id, store))
        shards.#stores.set(drive.id, store)
      } catch (error) {
        shards.#leaveOut(drive.id, error)
      }
    }
    return shards
  }

  /** Drives whose shards could be read so far. */
  has(driveId: number): boolean {
    return this.#stores.has(driveId)
  }

  /** What is read from the shards of each drive. Of one that fails, as far as it came: what shards said is true. */
  async *all<Read>(
    read: (store: ShardStore, driveId: number) => AsyncIterable<Read>,
  ): AsyncGenerator<Read> {
    for (const [driveId, store] of [...this.#stores]) {
      try {
        yield* read(store, driveId)
      } catch (error) {
        this.#leaveOut(driveId, error)
      }
    }
  }

  /** Throws Exit where shards of more drives are left out, or missing, than the code can do without. */
  refuseTooFew(state: ClusterState): void {
    if (this.#leftOut.size === 0) return
    const read = this.#drives.filter(({ id }) => this.has(id))
    refuseTooFew(state, read, this.#leftOut)
  }

  /** What is read of a drive that failed is known by now: how it closes matters to nobody. */
  async #close(driveId: number, store: ShardStore): Promise<void> {
    await store.close().catch((error) => {
      if (this.has(driveId)) throw error
      this.#log.debug({ drive: driveId, error: String(error) }, 'shards were not closed cleanly')
    })
  }

  #leaveOut(driveId: number, error: unknown): void {
    this.#stores.delete(driveId)
    this.#leftOut.set(driveId, whyUnopened(error))
    const { path } = this.#drives.find(({ id }) => id === driveId)!
    const data = { path, error: String((error as Error).cause ?? error) }
    this.#log.error(data, 'the shards of a drive can not be read: it is recovered without them')
  }
}
