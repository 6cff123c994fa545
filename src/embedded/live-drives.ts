// The drives of a running store and what is open on each: its lock, its shards, its metadata, its place among those
// that remember decisions. One may be taken in or let go while the others serve. What failed is closed at once, so
// that nothing of it writes to a directory that comes back or that another drive takes.

import { beforeDeadline } from '../kit/before-deadline.ts'
import { mebibytes } from '../kit/bytes.ts'
import { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { DiskSpace, World } from '../kit/world.ts'
import { markOut } from '../placement/coordinator-changes.ts'
import type { FileCoordinator } from '../placement/coordinator-file.ts'
import type { ShardLists, StorageNode } from '../storage-node/contract.ts'
import { removeDrafts } from '../storage-node/drafts.ts'
import { Drive } from '../storage-node/drive.ts'
import type { MetadataHost } from '../storage-node/metadata-host/metadata-host.ts'
import { ShardStore } from '../storage-node/shard-store.ts'
import type { SpaceWatch } from '../storage-node/space/space-watch.ts'
import type { FoundDrive } from '../storage-node/start-plan.ts'
import { LocalStorageNode } from '../storage-node/storage-node.ts'
import { DriveWatch } from './drive-watch.ts'
import type { Tuning } from './tuning.ts'

/** What drives are opened with. */
export interface LiveDriveParts {
  world: World
  log: Log
  coordinator: Pick<FileCoordinator, 'decide' | 'addDrive' | 'forgetDrive'>
  space: SpaceWatch
  tuning?: Tuning
  /** Sees what is done on drives, from before anything of them is opened. */
  observers: { watch(drive: Drive): unknown; unwatch(driveId: number): void }
}

/** Who has replicas of metadata on the drives. */
export type ReplicasOnDrives = Pick<MetadataHost, 'addDrive' | 'closeDrive' | 'driveFailed'>

/** Who looks after drives that serve. */
export interface DriveCarers {
  begin(drive: Drive): void
  end(drive: Drive): Promise<void>
}

/** Thrown when a drive that failed hangs: what is under way on it has not ended. */
class StillClosing extends Error {
  override readonly name = 'StillClosing'
  readonly code = 'STILL_CLOSING'
}

/** How often each drive looks for segments whose space can be given back. */
const COMPACT_EVERY_MS = 5_000

/** A drive that does not say in this time how full it is, is shown without. */
const SPACE_MS = 2_000

/** For what was under way on a drive when it failed. */
const CLOSE_MS = 15_000

// Memory for shards on their way into segments: that of all drives together, and what one has at least, and at most.
const BUFFER_BYTES = mebibytes(128)
const BUFFER_BYTES_MIN = mebibytes(8)
const BUFFER_BYTES_MAX = mebibytes(32)

/** Opened drives by id. One that failed stays in the list until another takes its place or it leaves the store. */
export class LiveDrives {
  /** Shards on these drives. */
  readonly node: StorageNode
  /** What lies on them. */
  readonly lists: ShardLists
  readonly #parts: LiveDriveParts
  readonly #drives: Map<number, Drive>
  readonly #stores = new Map<number, ShardStore>()
  /** Of drives that failed: until nothing is open on them. */
  readonly #closing = new Map<Drive, Promise<void>>()
  readonly #periodic: Periodic[] = []
  readonly #watch: DriveWatch
  /** Stores that are being compacted. */
  readonly #compacting = new Set<ShardStore>()
  #host: ReplicasOnDrives | undefined
  #carers: DriveCarers | undefined

  /** Takes over drives that are locked and that the coordinator knows. */
  constructor(drives: readonly Drive[], parts: LiveDriveParts) {
    this.#parts = parts
    this.#drives = new Map(drives.map((drive) => [drive.id, drive]))
    for (const drive of drives) parts.observers.watch(drive)
    const node = new LocalStorageNode(this.#stores)
    this.node = node
    this.lists = node
    this.#watch = new DriveWatch({
      log: parts.log,
      recordOut: (drive, reason) => this.#recordOut(drive, reason),
    })
  }

  /** Opens the shards of all drives. One that can not be opened is put aside: the others serve. */
  async openShards(): Promise<void> {
    for (const drive of this.list()) {
      try {
        this.#stores.set(drive.id, await this.#openStore(drive))
      } catch (error) {
        const { log } = this.#parts
        const data = { path: drive.path, error: String(error) }
        log.error(data, 'a drive can not be opened and is put aside')
        drive.fail(error)
      }
    }
    this.#repeat('compact-segments', COMPACT_EVERY_MS, () => this.#compactAll())
  }

  /** Begins to watch over the drives. */
  serve(host: ReplicasOnDrives, carers: DriveCarers): void {
    this.#host = host
    this.#carers = carers
    for (const drive of this.list()) {
      this.#watch.add(drive)
      carers.begin(drive)
    }
  }

  /** All of them, in the order of their ids. */
  list(): Drive[] {
    return [...this.#drives.values()].sort((left, right) => left.id - right.id)
  }

  /** What holds the shards of drives that work. */
  shardStores(): ShardStore[] {
    return [...this.#stores.values()].filter(({ isOpen }) => isOpen)
  }

  /** The same, by the ids of their drives. */
  storesOfDrives(): Map<number, ShardStore> {
    return new Map([...this.#stores].filter(([, { isOpen }]) => isOpen))
  }

  /** The drive with that id, working or failed. */
  find(driveId: number): Drive | undefined {
    return this.#drives.get(driveId)
  }

  /** How full the file system of a drive is; undefined when the drive does not say so at once. */
  async spaceOf(driveId: number): Promise<DiskSpace | undefined> {
    const { world } = this.#parts
    const drive = this.#drives.get(driveId)
    let space: DiskSpace | undefined
    const asked = drive?.run(async () => {
      space = await world.disk.space(drive.path)
    })
    if (asked !== undefined) await beforeDeadline(asked, SPACE_MS, world)
    return space
  }

  /** Resolves once the failure of a drive is on record; rejects when it could not be recorded. */
  recorded(driveId: number): Promise<void> {
    return this.#watch.recorded(driveId)
  }

  /**
   * Opens a drive, new or back again, ready for shards and metadata: then its place in the map can be changed. What
   * failed in its place is closed first. Throws StillClosing, DriveLocked, DriveForked, NeedsStart or what the
   * disk gives; nothing is open then.
   */
  async join({ path, marker }: FoundDrive): Promise<Drive> {
    for (const drive of this.list()) {
      const isInTheWay = drive.id === marker.driveId || drive.path === path
      if (isInTheWay && drive.failure !== undefined) await this.#closed(drive)
    }
    const { world, tuning = {} } = this.#parts
    const drive = await Drive.open(world, path, marker, openLevelOf(tuning))
    const opened = new ClosingStack()
    opened.defer(() => drive.close())
    await opened.guard(() => this.#openAll(drive, opened))
    return drive
  }

  /** Closes a drive that the map does not name any more, or for which no place was found. */
  async leave(driveId: number): Promise<void> {
    const drive = this.#drives.get(driveId)
    if (drive === undefined) return
    this.#watch.remove(drive)
    await this.#carers?.end(drive)
    this.#parts.space.remove(driveId)
    this.#parts.observers.unwatch(driveId)
    await this.#parts.coordinator.forgetDrive(drive)
    // What failed and hangs is left alone: it writes nowhere any more.
    const closing = this.#closing.get(drive) ?? this.#close(drive)
    await beforeDeadline(closing, CLOSE_MS, this.#parts.world)
    this.#drives.delete(driveId)
    this.#stores.delete(driveId)
    this.#closing.delete(drive)
  }

  /** Ends what drives do by themselves, and their shards. The metadata is closed by now. */
  async closeShards(): Promise<void> {
    for (const work of this.#periodic) await work.stop()
    for (const store of this.#stores.values()) await store.close()
  }

  /** Gives the locks back. */
  async close(): Promise<void> {
    for (const drive of this.#drives.values()) await drive.close()
  }

  async #openAll(drive: Drive, opened: ClosingStack): Promise<void> {
    const { coordinator, observers, space } = this.#parts
    observers.watch(drive)
    opened.defer(async () => observers.unwatch(drive.id))
    await coordinator.addDrive(drive)
    opened.defer(() => coordinator.forgetDrive(drive))
    opened.defer(async () => space.remove(drive.id))
    const store = await this.#openStore(drive)
    opened.defer(() => store.close())
    await this.#host?.addDrive(drive)
    opened.defer(() => this.#host?.closeDrive(drive.id))
    if (drive.failure !== undefined) throw drive.failure
    this.#drives.set(drive.id, drive)
    this.#stores.set(drive.id, store)
    this.#watch.add(drive)
    this.#carers?.begin(drive)
  }

  async #openStore(drive: Drive): Promise<ShardStore> {
    const { world, log, space, tuning = {} } = this.#parts
    await removeDrafts(world, drive)
    const fileSystem = await space.add(drive)
    const share = Math.max(BUFFER_BYTES_MIN, Math.floor(BUFFER_BYTES / this.#drives.size))
    const bufferBytes = Math.min(BUFFER_BYTES_MAX, share)
    const parts = { world, log, fileSystem, ...openLevelOf(tuning) }
    return ShardStore.open(drive, parts, { bufferBytes, ...tuning.shards })
  }

  async #recordOut(drive: Drive, reason: string): Promise<void> {
    const decided = this.#parts.coordinator.decide(markOut(drive.id, reason))
    const counted = this.#host?.driveFailed(drive.id)
    this.#closing.set(drive, this.#close(drive))
    await Promise.all([decided, counted])
  }

  async #closed(drive: Drive): Promise<void> {
    const closing = this.#closing.get(drive) ?? this.#close(drive)
    if (await beforeDeadline(closing, CLOSE_MS, this.#parts.world)) return
    throw new StillClosing(`drive ${drive.id} hangs`)
  }

  /** Metadata, shards and lock, however long it takes. */
  async #close(drive: Drive): Promise<void> {
    const store = this.#stores.get(drive.id)
    const closing = new ClosingStack()
    closing.defer(() => drive.close())
    closing.defer(() => store?.close({ patience: true }))
    closing.defer(() => this.#host?.closeDrive(drive.id))
    await closing.close().catch((error) => {
      const data = { path: drive.path, error: String(error) }
      this.#parts.log.debug(data, 'a drive was not closed cleanly')
    })
  }

  /** One after the other; a drive that hangs keeps no other from it. */
  async #compactAll(): Promise<void> {
    for (const store of this.#stores.values()) {
      if (!store.isOpen || this.#compacting.has(store)) continue
      await beforeDeadline(this.#compact(store), COMPACT_EVERY_MS, this.#parts.world)
    }
  }

  async #compact(store: ShardStore): Promise<void> {
    this.#compacting.add(store)
    try {
      await store.compactOnce()
    } catch (error) {
      this.#parts.log.warn({ error: String(error) }, 'a round of compaction failed')
    } finally {
      this.#compacting.delete(store)
    }
  }

  #repeat(name: string, everyMs: number, round: () => Promise<unknown>): void {
    const { world, log } = this.#parts
    this.#periodic.push(repeat(name, everyMs, round, { clock: world.clock, log }))
  }
}

function openLevelOf({ openLevel }: Tuning): Pick<Tuning, 'openLevel'> {
  return openLevel === undefined ? {} : { openLevel }
}
