// The marker of a drive that is in use: by its file one tells whether the directory is still the one that was opened.
import { ClosingStack } from '../kit/closing-stack.ts'
import { removeIfThere, writeNewFile } from '../kit/files.ts'
import type { DiskFile, FileStat, World } from '../kit/world.ts'
import { DriveGone } from './drive-errors.ts'
import { type DriveMarker, MARKER, MARKER_DRAFT, markerBytes } from './drive-format.ts'

/** The open file of a drive's marker. What goes wrong on the disk is thrown as it is. */
export class HeldMarker {
  readonly #disk: World['disk']
  /** Of the drive. */
  readonly #path: string
  readonly #bytes: Uint8Array
  /** Stays open so that its inode number can not be given to another file. */
  #file: DiskFile
  #stat: FileStat
  /** The marker that is about to take the place of a damaged one. */
  #nextStat: FileStat | undefined

  private constructor(parts: {
    disk: World['disk']
    path: string
    bytes: Uint8Array
    file: DiskFile
    stat: FileStat
  }) {
    this.#disk = parts.disk
    this.#path = parts.path
    this.#bytes = parts.bytes
    this.#file = parts.file
    this.#stat = parts.stat
  }

  /** Opens the file of `marker`, which was found on the drive at `path`. */
  static async open(disk: World['disk'], path: string, marker: DriveMarker): Promise<HeldMarker> {
    const file = await disk.open(`${path}/${MARKER}`, 'read')
    try {
      return new HeldMarker({
        ...{ disk, path, file },
        bytes: markerBytes(marker),
        stat: await file.stat(),
      })
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Number of the file system that it lies on. */
  get device(): number {
    return this.#stat.device
  }

  /** Why what was opened is not where it was; undefined where it is. */
  async findGone(): Promise<DriveGone | undefined> {
    const stat = await this.#disk.stat(`${this.#path}/${MARKER}`)
    if (stat === undefined) return new DriveGone('the directory of the drive is gone')
    const known = [this.#stat, this.#nextStat]
    const isKnown = known.some(
      (one) => one !== undefined && one.inode === stat.inode && one.device === stat.device,
    )
    return isKnown ? undefined : new DriveGone('another directory took the place of the drive')
  }

  /** Whether it holds anything but what it has to. */
  async isDamaged(): Promise<boolean> {
    const found = await this.#disk.readFile(`${this.#path}/${MARKER}`)
    return Buffer.compare(found, this.#bytes) !== 0
  }

  /** Puts a whole one in its place; durable once the directory of the drive is. */
  async replace(): Promise<void> {
    const disk = this.#disk
    const draft = `${this.#path}/${MARKER_DRAFT}`
    await removeIfThere({ disk }, draft)
    await writeNewFile({ disk }, { path: draft, bytes: this.#bytes })
    const file = await disk.open(draft, 'read')
    const before = this.#file
    const opened = new ClosingStack()
    opened.defer(() => file.close())
    await opened.guard(async () => {
      const stat = await file.stat()
      // From the rename on others find the new one, whenever they look.
      this.#nextStat = stat
      await disk.rename(draft, `${this.#path}/${MARKER}`)
      this.#file = file
      this.#stat = stat
    })
    this.#nextStat = undefined
    await before.close()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}
