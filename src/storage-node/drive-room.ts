// Whether a drive has room for new shards. A reserve stays free, so that deletes, compaction and LevelDB
// still work on a full drive.
import { mebibytes } from '../kit/bytes.ts'
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import type { DiskSpace, World } from '../kit/world.ts'
import type { Drive } from './drive.ts'

const ASK_EVERY_MS = 1000
const LARGEST_RESERVE = mebibytes(64)
const RESERVED_INODES = 64
const LARGEST_SEGMENT = mebibytes(64)
const SMALLEST_SEGMENT = mebibytes(4)

/** Free space of one drive, asked for once a second at most. */
export class DriveRoom {
  readonly #drive: Drive
  readonly #world: Pick<World, 'disk' | 'clock'>
  #space: DiskSpace
  #askedAtMs: number
  /** Bytes promised to writers since the last answer. */
  #promisedBytes = 0

  private constructor(drive: Drive, world: Pick<World, 'disk' | 'clock'>, space: DiskSpace) {
    this.#drive = drive
    this.#world = world
    this.#space = space
    this.#askedAtMs = world.clock.monotonicMs()
  }

  /** Asks once. */
  static async open(drive: Drive, world: Pick<World, 'disk' | 'clock'>): Promise<DriveRoom> {
    return new DriveRoom(drive, world, await drive.run(() => world.disk.space(drive.path)))
  }

  /** How long segments are on such a drive: a 64th of it, from 4 to 64 MiB. */
  get segmentBytes(): number {
    const share = Math.floor(this.#space.totalBytes / 64)
    return Math.min(LARGEST_SEGMENT, Math.max(SMALLEST_SEGMENT, share))
  }

  /** Throws DriveUnavailable('full') when `bytes` more would touch the reserve. */
  async check(bytes: number): Promise<void> {
    if (!(await this.fits(bytes))) throw new DriveUnavailable(this.#drive.id, 'full')
    this.#promisedBytes += bytes
  }

  /** Whether `bytes` more leave the reserve alone. */
  async fits(bytes: number): Promise<boolean> {
    await this.#refresh()
    const { freeBytes, totalBytes, freeInodes, totalInodes } = this.#space
    // File systems that make inodes as they need them report none at all.
    if (totalInodes > 0 && freeInodes < Math.min(RESERVED_INODES, totalInodes / 20)) return false
    const reserve = Math.min(LARGEST_RESERVE, totalBytes / 50)
    return freeBytes - this.#promisedBytes - bytes >= reserve
  }

  async #refresh(): Promise<void> {
    const now = this.#world.clock.monotonicMs()
    if (now - this.#askedAtMs < ASK_EVERY_MS) return
    this.#askedAtMs = now
    this.#promisedBytes = 0
    this.#space = await this.#drive.run(() => this.#world.disk.space(this.#drive.path))
  }
}
