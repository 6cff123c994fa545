// Whether a drive has room for more: the room of its file system, as one drive sees it.
import { mebibytes } from '../../kit/bytes.ts'
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { World } from '../../kit/world.ts'
import type { Drive } from '../drive.ts'
import { FileSystemRoom, type RoomPromise } from './file-system-room.ts'
import type { SpaceLevel, SpaceUse } from './levels.ts'

const LARGEST_SEGMENT = mebibytes(64)
const SMALLEST_SEGMENT = mebibytes(1)

/** The room of one drive. */
export class DriveRoom {
  readonly #drive: Drive
  readonly #fileSystem: FileSystemRoom

  private constructor(drive: Drive, fileSystem: FileSystemRoom) {
    this.#drive = drive
    this.#fileSystem = fileSystem
  }

  /** Asks once. `fileSystem`: shared with the other drives on it; without one the drive is taken to be alone. */
  static async open(
    drive: Drive,
    world: Pick<World, 'disk' | 'clock'>,
    fileSystem = alone(drive, world),
  ): Promise<DriveRoom> {
    await fileSystem.refresh()
    return new DriveRoom(drive, fileSystem)
  }

  /** How long segments are on such a drive: a 64th of it, from 1 to 64 MiB. */
  get segmentBytes(): number {
    const share = Math.floor(this.#fileSystem.space.totalBytes / 64)
    return Math.min(LARGEST_SEGMENT, Math.max(SMALLEST_SEGMENT, share))
  }

  /** How full the file system is. */
  get level(): SpaceLevel {
    return this.#fileSystem.level
  }

  /** Keeps room for a writer, who gives it back. Throws DriveUnavailable('full') when there is too little. */
  async promise(bytes: number, use: SpaceUse): Promise<RoomPromise> {
    await this.#fileSystem.refresh()
    const promise = this.#fileSystem.promise(bytes, use)
    if (promise === undefined) throw new DriveUnavailable(this.#drive.id, 'full')
    return promise
  }

  /** As promise(), where the last answer is new enough and has room; undefined otherwise. */
  promiseNow(bytes: number, use: SpaceUse): RoomPromise | undefined {
    return this.#fileSystem.isFresh ? this.#fileSystem.promise(bytes, use) : undefined
  }

  /** Whether `bytes` more leave enough. */
  async fits(bytes: number, use: SpaceUse): Promise<boolean> {
    await this.#fileSystem.refresh()
    return this.#fileSystem.fits(bytes, use)
  }

  /** Likewise, as far as the last answer tells: two seconds old while somebody watches. */
  seemsToFit(bytes: number, use: SpaceUse): boolean {
    return this.#fileSystem.fits(bytes, use)
  }
}

function alone(drive: Drive, world: Pick<World, 'disk' | 'clock'>): FileSystemRoom {
  const fileSystem = new FileSystemRoom(world)
  fileSystem.add(drive)
  drive.onFull(() => fileSystem.noteRefusal())
  return fileSystem
}
