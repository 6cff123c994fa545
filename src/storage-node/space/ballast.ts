// A file that holds nothing but room: given up when a file system is full, so that deletes have something to work with,
// and made again when there is room. One on each file system. Layout: docs/formats/drive.md.
import { kibibytes, mebibytes } from '../../kit/bytes.ts'
import { isMissing, type World } from '../../kit/world.ts'
import type { FileSystemRoom, RoomDrive } from './file-system-room.ts'
import { isWorse } from './levels.ts'

const NAME = 'ballast.bin'
const MOST_BYTES = mebibytes(64)
const SHARE = 0.01
// What is smaller would not help anybody.
const LEAST_BYTES = kibibytes(64)
const CHUNK_BYTES = mebibytes(1)

/** Where the ballast of a drive lies. */
export function ballastPath(drivePath: string): string {
  return `${drivePath}/${NAME}`
}

/** How long the ballast of a file system is: a hundredth of it, 64 MiB at most. */
export function ballastBytesOn(totalBytes: number, most = MOST_BYTES): number {
  const bytes = Math.min(most, Math.floor(totalBytes * SHARE))
  return bytes < LEAST_BYTES ? 0 : bytes
}

/** The ballast of one file system, on the first of its drives that works. */
export class Ballast {
  readonly #world: Pick<World, 'disk' | 'random'>
  readonly #room: FileSystemRoom
  readonly #most: number
  #drive: RoomDrive | undefined
  /** What is known to be there; undefined before anybody looked. */
  #bytes: number | undefined
  #turn: Promise<unknown> = Promise.resolve()

  /** `mostBytes`: it is no longer, 64 MiB by default. */
  constructor(world: Pick<World, 'disk' | 'random'>, room: FileSystemRoom, mostBytes?: number) {
    this.#world = world
    this.#room = room
    this.#most = mostBytes ?? MOST_BYTES
  }

  /** Gives it up when there is next to nothing left, makes it when there is plenty. Says what was done. */
  keep(): Promise<'made' | 'given up' | undefined> {
    return this.#inTurn(() => this.#keep())
  }

  /** The file system refused something: what there is, is given up. */
  giveUp(): Promise<'given up' | undefined> {
    return this.#inTurn(() => this.#giveUp())
  }

  async #keep(): Promise<'made' | 'given up' | undefined> {
    const { freeBytes, totalBytes } = this.#room.space
    const wanted = ballastBytesOn(totalBytes, this.#most)
    if (!(await this.#look()) || wanted === 0) return undefined
    if (this.#bytes! > 0 && freeBytes < wanted) return await this.#giveUp()
    const isPlenty = !isWorse(this.#room.level, 'near-full') && this.#room.fits(wanted, 'move')
    if (this.#bytes! >= wanted || !isPlenty) return undefined
    await this.#make(wanted)
    return 'made'
  }

  /** False when no drive is left to look at. */
  async #look(): Promise<boolean> {
    if (this.#drive !== undefined && this.#drive.failure === undefined && this.#isHere()) {
      if (this.#bytes !== undefined) return true
    }
    const drive = this.#room.drives.find(({ failure }) => failure === undefined)
    this.#drive = drive
    if (drive === undefined) return false
    const stat = await drive.run(() => this.#world.disk.stat(ballastPath(drive.path)))
    this.#bytes = stat?.bytes ?? 0
    return true
  }

  #isHere(): boolean {
    return this.#room.drives.some((drive) => drive === this.#drive)
  }

  async #giveUp(): Promise<'given up' | undefined> {
    if (!(await this.#look()) || this.#bytes === 0) return undefined
    const drive = this.#drive!
    await drive.run(() => removeIfThere(this.#world, ballastPath(drive.path)))
    this.#bytes = 0
    return 'given up'
  }

  /** Real bytes, and such that no file system can compress: holes would hold no room. */
  async #make(bytes: number): Promise<void> {
    const { disk, random } = this.#world
    const drive = this.#drive!
    const path = ballastPath(drive.path)
    await drive.run(() => removeIfThere(this.#world, path))
    this.#bytes = undefined
    const file = await drive.run(() => disk.open(path, 'create'))
    try {
      for (let at = 0; at < bytes; at += CHUNK_BYTES) {
        const chunk = random.bytes(Math.min(CHUNK_BYTES, bytes - at))
        await drive.run(() => file.write([chunk], at))
      }
      await drive.run(() => file.sync())
    } finally {
      await file.close()
    }
    this.#bytes = bytes
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {}) // The caller gets the error; the next turn does not care.
    return turn
  }
}

/**
 * Before a drive is opened: where next to nothing is free not even its lock could be taken. A store that runs there
 * makes its ballast again by itself.
 */
export async function makeRoomToStart(path: string, { disk }: Pick<World, 'disk'>): Promise<void> {
  const { freeBytes, totalBytes, freeInodes, totalInodes } = await disk.space(path)
  const isShort = freeBytes < ballastBytesOn(totalBytes) || (totalInodes > 0 && freeInodes < 8)
  if (isShort) await removeIfThere({ disk }, ballastPath(path))
}

async function removeIfThere({ disk }: Pick<World, 'disk'>, path: string): Promise<void> {
  await disk.remove(path).catch((error) => {
    if (!isMissing(error)) throw error
  })
}
