// A drive: one directory, known by its marker file and locked by one process. A drive that fails stays failed.
// Layout: docs/formats/drive.md. Nothing here ever creates the directory of a drive again.
import { assert } from '../kit/assert.ts'
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import { Semaphore } from '../kit/semaphore.ts'
import { type DiskFile, type FileStat, isMissing, type World } from '../kit/world.ts'
import {
  isMediumError,
  isOfTheCall,
  lacksRoom,
  saysDeviceIsBad,
  saysDirectoryIsLost,
  saysNoMemory,
  saysNoSpace,
} from './drive-errors.ts'
import type { DriveMarker } from './drive-format.ts'
import { lockDrive, type OpenLevel, openLevelDb } from './drive-lock.ts'
import { HeldMarker } from './held-marker.ts'

/** How many disk operations of one drive may be under way, and how many may wait. */
export interface DriveLimits {
  parallel: number
  waiting: number
}

// Eight: a hung disk then holds eight threads of libuv's pool and no more (bin/kintsugi.cjs).
const DEFAULT_LIMITS: DriveLimits = { parallel: 8, waiting: 4096 }

/** A drive that this process holds. All disk operations on it go through run(). */
export class Drive {
  readonly id: number
  readonly path: string
  readonly marker: DriveMarker
  readonly #world: Pick<World, 'disk'>
  readonly #lock: { close(): Promise<void> }
  readonly #held: HeldMarker
  readonly #isApart: boolean
  readonly #permits: Semaphore
  readonly #limits: DriveLimits
  /** Whether a look at a file that is open on it waits for nothing, not even where the disk hangs. */
  readonly #looksNow: boolean
  readonly #stopped = new AbortController()
  /** How to give up on the operations that are under way. */
  readonly #underWay = new Set<(reason: unknown) => void>()
  readonly #listeners = new Set<(cause: unknown) => void>()
  readonly #fullListeners = new Set<() => void>()
  /** What files are that were synced before. */
  readonly #synced = new WeakMap<DiskFile, FileStat>()
  #failure: unknown
  #closing = false

  private constructor(parts: {
    world: Pick<World, 'disk'>
    path: string
    marker: DriveMarker
    lock: { close(): Promise<void> }
    held: HeldMarker
    limits: DriveLimits
    looksNow: boolean
    isApart?: boolean
  }) {
    this.id = parts.marker.driveId
    this.path = parts.path
    this.marker = parts.marker
    this.#world = parts.world
    this.#lock = parts.lock
    this.#held = parts.held
    this.#isApart = parts.isApart ?? false
    this.#limits = parts.limits
    this.#looksNow = parts.looksNow
    this.#permits = new Semaphore(parts.limits.parallel, { maxWaiting: parts.limits.waiting })
  }

  /** Locks the drive whose marker inspectDrive() found at `path`; throws DriveLocked when it is in use. */
  static async open(
    world: Pick<World, 'disk'>,
    path: string,
    marker: DriveMarker,
    options: { openLevel?: OpenLevel; limits?: DriveLimits } = {},
  ): Promise<Drive> {
    const held = await HeldMarker.open(world.disk, path, marker)
    try {
      const looksNow = (await world.disk.looksNow?.(path)) ?? false
      const lock = await lockDrive(world, path, options.openLevel ?? openLevelDb)
      const limits = options.limits ?? DEFAULT_LIMITS
      return new Drive({ world, path, marker, lock, held, limits, looksNow })
    } catch (error) {
      await held.close()
      throw error
    }
  }

  /**
   * The same drive for one use alone: what fails that use leaves the drive to its other uses. The lock is the drive's, which
   * is closed after it.
   */
  apart(): Drive {
    return new Drive({
      ...{ world: this.#world, path: this.path, marker: this.marker, limits: this.#limits },
      ...{ lock: this.#lock, held: this.#held, looksNow: this.#looksNow },
      isApart: true,
    })
  }

  /** Number of the file system that it lies on: drives with the same one share a disk. */
  get device(): number {
    return this.#held.device
  }

  /** Why the drive failed; undefined while it works. */
  get failure(): unknown | undefined {
    return this.#failure
  }

  /**
   * Runs one disk operation, at most eight at once. Throws DriveUnavailable when the drive is failed, fails or closes
   * while the operation waits or hangs (it may then still be under way), or when it is full. Other errors pass through.
   */
  run<T>(operation: () => Promise<T>): Promise<T> {
    return this.#permits.tryAcquire()
      ? this.#perform(operation, undefined)
      : this.#runLater(operation, undefined)
  }

  async #runLater<T>(operation: () => Promise<T>, instead: OfMedium<T>): Promise<T> {
    this.#throwIfStopped()
    // Whoever waits when the drive stops is refused by #stop().
    await this.#permits.acquire()
    return await this.#perform(operation, instead)
  }

  /**
   * As run(), for one read or write of bytes that others have too. Where the medium fails at it the answer is
   * 'medium-error' and the drive goes on: disks have bad sectors. Whoever cares for drives counts such errors.
   */
  attempt<T>(operation: () => Promise<T>): Promise<T | 'medium-error'> {
    return this.#permits.tryAcquire()
      ? this.#perform<T | 'medium-error'>(operation, 'medium-error')
      : this.#runLater<T | 'medium-error'>(operation, 'medium-error')
  }

  /**
   * With a permit, which it gives back. One promise for all of it: every request passes here many times. `instead`: what it
   * gives where the medium fails.
   */
  #perform<T>(operation: () => Promise<T>, instead: OfMedium<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const end = (): void => {
        this.#permits.release()
        this.#underWay.delete(reject)
      }
      const fail = (error: unknown): void => {
        end()
        if (instead !== undefined && isMediumError(error)) resolve(instead)
        else reject(this.#judge(error))
      }
      try {
        this.#throwIfStopped()
        this.#underWay.add(reject)
        operation().then((value) => {
          end()
          resolve(value)
        }, fail)
      } catch (error) {
        fail(error)
      }
    })
  }

  /**
   * fdatasync; then makes sure that the file still has a name and that the drive is still the one that was opened. `path`:
   * where the file was made or opened; to find it there says both.
   */
  async syncFile(file: DiskFile, path?: string): Promise<void> {
    await this.run(async () => {
      await file.sync().catch((error) => this.#failAndThrow(error))
      if (path !== undefined && (await this.#isAt(path, file))) return
      await this.#checkNamed(file)
    })
  }

  /** fdatasync of a file that is still to be renamed: that it was there, on this drive, shows then, and when its directory is synced. */
  async syncDraft(file: DiskFile): Promise<void> {
    await this.run(() => file.sync().catch((error) => this.#failAndThrow(error)))
  }

  /**
   * Writes to a draft of openDirect(). The device answers it itself, by whatever code it has for its trouble: as a sync that fails
   * it fails the drive. What says that the call was wrong, or lacked something, passes through.
   */
  async writeDirect(
    file: DiskFile,
    buffers: readonly Uint8Array[],
    position: number,
  ): Promise<void> {
    await this.run(() =>
      file.write(buffers, position).catch((error) => {
        if (saysNoSpace(error) || saysNoMemory(error) || isOfTheCall(error)) throw error
        this.#failAndThrow(error)
      }),
    )
  }

  /** Resolves when those who come at the same time had theirs queued as well: for who writes for many. */
  gather(): Promise<void> {
    return this.#world.disk.gather?.() ?? Promise.resolve()
  }

  /**
   * Writes to a file of openThrough() that lies at `path`: as a write and syncFile(), in one call. The look goes beside it:
   * what went away before the call is seen, and what goes during it could as well go after the answer.
   */
  async writeThrough(
    file: DiskFile,
    buffers: readonly Uint8Array[],
    position: number,
    path: string,
  ): Promise<void> {
    assert(file.isThrough === true, 'what is written is durable')
    await this.run(async () => {
      const [isThere] = await Promise.all([
        this.#isAt(path, file),
        // Whether it is the write or the sync that failed, nobody can tell: it counts as the worse of them.
        file.write(buffers, position).catch((error) => {
          // For want of something the file gets no more: what it had is durable, and what came now nobody was told of.
          if (saysNoSpace(error) || saysNoMemory(error)) throw error
          this.#failAndThrow(error)
        }),
      ])
      if (!isThere) await this.#checkNamed(file)
    })
  }

  /** Fails the drive unless the file has a name and the drive is the one that was opened. */
  async #checkNamed(file: DiskFile): Promise<void> {
    const [{ links }] = await Promise.all([file.stat(), this.#checkMarker()])
    if (links === 0) this.#failAndThrow(new Error('a file was removed while it was written'))
  }

  /** Whether `file` is what lies at `path`, below the directory of the drive. */
  #isAt(path: string, file: DiskFile): boolean | Promise<boolean> {
    return this.#looksNow && file.statNow ? this.#isSeenAt(path, file) : this.#isFoundAt(path, file)
  }

  /** First the file: a name that leads to nothing is looked for on the disk, and that may hang. */
  #isSeenAt(path: string, file: DiskFile): boolean {
    try {
      const itself = file.statNow!()
      if (itself.links === 0) return false
      const there = this.#world.disk.statNow!(path)
      return there?.inode === itself.inode && there.device === itself.device
    } catch {
      return false // Then the file and the marker are asked.
    }
  }

  /** As #isSeenAt() by way of other threads. */
  async #isFoundAt(path: string, file: DiskFile): Promise<boolean> {
    const known = this.#synced.get(file)
    const looking = this.#world.disk.stat(path).catch(() => undefined) // Then the file itself is asked.
    const [there, itself] = await Promise.all([looking, known ?? file.stat()])
    if (known === undefined) this.#synced.set(file, itself)
    return there?.inode === itself.inode && there.device === itself.device
  }

  /** Makes the entries of a directory durable. */
  async syncDirectory(path: string): Promise<void> {
    await this.run(async () => {
      await this.#world.disk.syncDirectory(path).catch((error) => this.#failAndThrow(error))
      await this.#checkMarker()
    })
  }

  /** Fails the drive when its directory is no longer the one that was opened. For a prober, every two seconds. */
  async checkPresence(): Promise<void> {
    await this.run(() => this.#checkMarker())
  }

  /** Marks the drive as failed for good: nothing more is read from it or acknowledged on it. */
  fail(cause: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = cause ?? new Error('the drive failed')
    if (isMissing(cause)) void this.#noteIfGone()
    this.#stop()
    for (const listener of this.#listeners) listener(this.#failure)
    this.#listeners.clear()
  }

  /** Calls back once when the drive fails, at once when it already has; returns how to stop. */
  onFailure(listener: (cause: unknown) => void): () => void {
    if (this.#failure !== undefined) {
      listener(this.#failure)
      return () => {}
    }
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Calls back whenever the drive had no room for something; returns how to stop. */
  onFull(listener: () => void): () => void {
    this.#fullListeners.add(listener)
    return () => this.#fullListeners.delete(listener)
  }

  /** Waits for the operations under way, unless the drive failed, and gives the lock back. Close what is open on it first. */
  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    if (this.#failure === undefined) {
      const { parallel } = this.#limits
      await this.#permits.acquire(parallel, this.#stopped.signal).then(
        () => this.#permits.release(parallel),
        () => {}, // It failed while we waited: what hangs is left alone.
      )
    }
    this.#stop()
    if (this.#isApart) return
    try {
      await this.#held.close()
    } finally {
      await this.#lock.close()
    }
  }

  /** Reads the marker and writes it anew when it is not what it was. True when it was damaged. */
  async mendMarker(): Promise<boolean> {
    return await this.run(async () => {
      await this.#checkMarker()
      if (!(await this.#held.isDamaged())) return false
      await this.#held.replace()
      await this.#world.disk.syncDirectory(this.path).catch((error) => this.#failAndThrow(error))
      return true
    })
  }

  async #checkMarker(): Promise<void> {
    const gone = await this.#held.findGone().catch((error) => {
      // Its directory may not be looked into any more: nothing can be written there.
      if (saysDirectoryIsLost(error)) this.#failAndThrow(error)
      throw error
    })
    if (gone !== undefined) this.#failAndThrow(gone)
  }

  /** A file that is not there is the first that one sees of a drive that is not there: it may be back as a whole. */
  async #noteIfGone(): Promise<void> {
    // A disk that does not answer is not one that went away.
    this.#failure = (await this.#held.findGone().catch(() => undefined)) ?? this.#failure
  }

  #stop(): void {
    const reason = this.#unavailable()
    this.#stopped.abort(reason)
    this.#permits.refuseWaiting(reason)
    for (const reject of this.#underWay) reject(reason)
    this.#underWay.clear()
  }

  #judge(error: unknown): unknown {
    if (error instanceof DriveUnavailable) return error
    if (saysNoSpace(error)) for (const listener of this.#fullListeners) listener()
    if (lacksRoom(error)) {
      return new DriveUnavailable(this.id, 'full', { cause: error })
    }
    if (saysDeviceIsBad(error)) {
      this.fail(error)
      return this.#unavailable()
    }
    return error
  }

  #failAndThrow(cause: unknown): never {
    this.fail(cause)
    throw this.#unavailable()
  }

  #throwIfStopped(): void {
    if (this.#closing || this.#failure !== undefined) throw this.#unavailable()
  }

  #unavailable(): DriveUnavailable {
    return new DriveUnavailable(this.id, 'failed', { cause: this.#failure ?? 'closed' })
  }
}

type OfMedium<T> = ('medium-error' & T) | undefined
