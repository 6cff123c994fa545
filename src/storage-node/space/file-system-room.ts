// The room on one file system, shared by all drives that lie on it: what is free, and what is promised to writers.
import type { DiskSpace, World } from '../../kit/world.ts'
import type { Drive } from '../drive.ts'
import { hasInodes, levelOf, reserveFor, type SpaceLevel, type SpaceUse } from './levels.ts'

/** What a file system needs of a drive to be asked for its space. */
export type RoomDrive = Pick<Drive, 'id' | 'path' | 'failure' | 'run'>

/** Bytes that are kept for one writer until it releases them. */
export interface RoomPromise {
  /** So many of the promised bytes are written now: the file system counts them itself from its next answer on. */
  spend(bytes: number): void
  /** Gives back what was not spent. Called again it does nothing. */
  release(): void
}

/** An answer that is older is asked for again. */
export const ASK_EVERY_MS = 2000

/** A file that is begun costs an inode; its directories may cost two more. */
const INODES_OF_FILE = 3

const UNKNOWN: DiskSpace = { freeBytes: 0, totalBytes: 0, freeInodes: 0, totalInodes: 0 }

/** One file system. */
export class FileSystemRoom {
  readonly #world: Pick<World, 'disk' | 'clock'>
  readonly #drives = new Map<number, RoomDrive>()
  /** What LevelDB needs for each drive. */
  readonly #needs = new Map<number, number>()
  #space = UNKNOWN
  #level: SpaceLevel = 'ample'
  #askedAtMs = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined
  #promisedBytes = 0
  #promisedInodes = 0
  /** Written since the last answer began: perhaps not counted in it. */
  #spentBytes = 0
  #refusedAtMs = Number.NEGATIVE_INFINITY

  constructor(world: Pick<World, 'disk' | 'clock'>) {
    this.#world = world
  }

  /** Free and total bytes and inodes, as they were last. */
  get space(): DiskSpace {
    return this.#space
  }

  /** Bytes that writers may still write. */
  get promisedBytes(): number {
    return this.#promisedBytes
  }

  /** How full it is. */
  get level(): SpaceLevel {
    return this.#level
  }

  /** What all LevelDBs here need together. */
  get neededBytes(): number {
    return [...this.#needs.values()].reduce((sum, bytes) => sum + bytes, 0)
  }

  /** The drives that lie on it. */
  get drives(): RoomDrive[] {
    return [...this.#drives.values()]
  }

  add(drive: RoomDrive): void {
    this.#drives.set(drive.id, drive)
  }

  remove(driveId: number): void {
    this.#drives.delete(driveId)
    this.#needs.delete(driveId)
  }

  /** Says what LevelDB of a drive needs free in order to compact. */
  need(driveId: number, bytes: number): void {
    this.#needs.set(driveId, bytes)
  }

  /** Whether `bytes` more leave alone what such a use must leave, as far as the last answer tells. */
  fits(bytes: number, use: SpaceUse): boolean {
    if (use !== 'upkeep' && this.#wasRefused) return false
    const left = this.left(use)
    // Only ENOSPC can tell then.
    if (left === undefined) return true
    if (hasInodes(this.#space) && left.inodes < INODES_OF_FILE) return false
    return left.bytes >= bytes
  }

  /**
   * Bytes and inodes that such a use may still take, below 0 where it takes none, and the bytes that it leaves; undefined
   * where the file system does not tell.
   */
  left(use: SpaceUse): { bytes: number; inodes: number; reserveBytes: number } | undefined {
    const { freeBytes, freeInodes, totalBytes } = this.#space
    if (totalBytes === 0) return undefined
    const reserve = reserveFor(this.#space, use, this.neededBytes)
    return {
      bytes: freeBytes - this.#promisedBytes - this.#spentBytes - reserve.bytes,
      inodes: freeInodes - this.#promisedInodes - reserve.inodes,
      reserveBytes: reserve.bytes,
    }
  }

  /** Keeps `bytes` for a writer; undefined when they do not fit. */
  promise(bytes: number, use: SpaceUse): RoomPromise | undefined {
    if (!this.fits(bytes, use)) return undefined
    let left = bytes
    this.#promisedBytes += bytes
    this.#promisedInodes += 1
    let open = true
    const take = (count: number): void => {
      left -= count
      this.#promisedBytes -= count
    }
    return {
      spend: (count) => {
        if (!open) return
        take(Math.min(count, left))
        this.#spentBytes += count
      },
      release: () => {
        if (!open) return
        open = false
        this.#promisedInodes -= 1
        take(left)
      },
    }
  }

  /** Asks when the last answer is old. Throws when no drive answers. */
  async refresh(): Promise<void> {
    if (!this.isFresh) await this.ask()
  }

  /** Whether the last answer is not old. */
  get isFresh(): boolean {
    return this.#world.clock.monotonicMs() - this.#askedAtMs < ASK_EVERY_MS
  }

  /** Asks now; calls at the same time share one answer. */
  ask(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  /**
   * The file system refused to grow a file: for a while nothing new fits, though it may say that there is room. False
   * when that is known already.
   */
  noteRefusal(): boolean {
    if (this.#wasRefused) return false
    this.#refusedAtMs = this.#world.clock.monotonicMs()
    return true
  }

  get #wasRefused(): boolean {
    return this.#world.clock.monotonicMs() - this.#refusedAtMs < ASK_EVERY_MS
  }

  async #ask(): Promise<void> {
    const drive = this.drives.find(({ failure }) => failure === undefined)
    if (drive === undefined) return
    const nowMs = this.#world.clock.monotonicMs()
    const spentBefore = this.#spentBytes
    this.#space = await drive.run(() => this.#world.disk.space(drive.path))
    this.#askedAtMs = nowMs
    this.#spentBytes -= spentBefore
    if (this.#space.totalBytes > 0) {
      this.#level = levelOf(this.#space, this.neededBytes, this.#level)
    }
  }
}
