// Files that hold nothing but room: given up when a file system is full, so that deletes have something to work with, and
// made again when there is room. A long one for bytes, empty ones for inodes. Layout: docs/formats/drive.md.

import { kibibytes, mebibytes } from '../../kit/bytes.ts'
import { removeIfThere } from '../../kit/files.ts'
import { Turns } from '../../kit/turns.ts'
import type { DiskSpace, World } from '../../kit/world.ts'
import type { FileSystemRoom, RoomDrive } from './file-system-room.ts'
import { hasInodes, isWorse } from './levels.ts'

const NAME = 'ballast.bin'
const EMPTY_NAME = /^ballast-\d+\.bin$/
const MOST_BYTES = mebibytes(64)
const SHARE = 0.01
// A hundredth of a small file system would not do for the tables that LevelDB writes.
const SMALL_SHARE = 1 / 32
const SMALL_BYTES = mebibytes(4)
// What is smaller would not help anybody.
const LEAST_BYTES = kibibytes(64)
const CHUNK_BYTES = mebibytes(1)
// What it takes to open both LevelDBs of a drive again, and to write tables and logs until something was removed.
const INODES_OF_DRIVE = 32
const INODES_SHARE = 0.1

/** Where the ballast of a drive lies. */
function ballastPath(drivePath: string): string {
  return `${drivePath}/${NAME}`
}

/** How long the ballast of a file system is: a hundredth of it, of a small one a 32nd up to 4 MiB, 64 MiB at most. */
function ballastBytesOn(totalBytes: number, most = MOST_BYTES): number {
  const small = Math.min(SMALL_BYTES, totalBytes * SMALL_SHARE)
  const bytes = Math.min(most, Math.floor(Math.max(totalBytes * SHARE, small)))
  return bytes < LEAST_BYTES ? 0 : bytes
}

/** How many empty files lie beside it: 32 for each drive, a tenth of all inodes at most. */
function ballastFilesOn(totalInodes: number, driveCount: number): number {
  return Math.min(INODES_OF_DRIVE * driveCount, Math.floor(totalInodes * INODES_SHARE))
}

/** The ballast of one file system, on the first of its drives that works. */
export class Ballast {
  readonly #world: Pick<World, 'disk' | 'random'>
  readonly #room: FileSystemRoom
  readonly #most: number
  #drive: RoomDrive | undefined
  /** What is known to be there; undefined before anybody looked. */
  #held: Held | undefined
  readonly #turns = new Turns()

  /** `mostBytes`: it is no longer, 64 MiB by default. */
  constructor(world: Pick<World, 'disk' | 'random'>, room: FileSystemRoom, mostBytes?: number) {
    this.#world = world
    this.#room = room
    this.#most = mostBytes ?? MOST_BYTES
  }

  /** Gives it up when there is next to nothing left, makes it when there is plenty. Says what was done. */
  keep(): Promise<'made' | 'given up' | undefined> {
    return this.#turns.run(() => this.#keep())
  }

  /** The file system refused something: what there is, is given up. */
  giveUp(): Promise<'given up' | undefined> {
    return this.#turns.run(() => this.#giveUp())
  }

  async #keep(): Promise<'made' | 'given up' | undefined> {
    const { space, drives, level } = this.#room
    const bytes = ballastBytesOn(space.totalBytes, this.#most)
    const held = await this.#look()
    if (held === undefined || bytes === 0) return undefined
    const files = ballastFilesOn(space.totalInodes, drives.length)
    if (isShort(space, { bytes, files })) return await this.#giveUp()
    const isPlenty = !isWorse(level, 'near-full') && this.#room.fits(bytes, 'move')
    const isWhole = held.bytes >= bytes && held.files >= files
    if (isWhole || !isPlenty) return undefined
    await this.#make({ bytes, files })
    return 'made'
  }

  /** What there is; undefined when no drive is left to look at. */
  async #look(): Promise<Held | undefined> {
    if (this.#drive !== undefined && this.#drive.failure === undefined && this.#isHere()) {
      if (this.#held !== undefined) return this.#held
    }
    const drive = this.#room.drives.find(({ failure }) => failure === undefined)
    this.#drive = drive
    if (drive === undefined) return undefined
    const stat = await drive.run(() => this.#world.disk.stat(ballastPath(drive.path)))
    const empty = await drive.run(() => emptyOnes(this.#world, drive.path))
    this.#held = { bytes: stat?.bytes ?? 0, files: empty.length }
    return this.#held
  }

  #isHere(): boolean {
    return this.#room.drives.some((drive) => drive === this.#drive)
  }

  async #giveUp(): Promise<'given up' | undefined> {
    const held = await this.#look()
    if (held === undefined || (held.bytes === 0 && held.files === 0)) return undefined
    const drive = this.#drive!
    this.#held = undefined
    await drive.run(() => removeBallast(this.#world, drive.path))
    this.#held = { bytes: 0, files: 0 }
    return 'given up'
  }

  async #make({ bytes, files }: Held): Promise<void> {
    const { disk } = this.#world
    const drive = this.#drive!
    this.#held = undefined
    await drive.run(() => removeBallast(this.#world, drive.path))
    await this.#makeLong(drive, bytes)
    for (let number = 1; number <= files; number += 1) {
      const path = `${drive.path}/ballast-${number}.bin`
      const file = await drive.run(() => disk.open(path, 'create'))
      await file.close()
    }
    this.#held = { bytes, files }
  }

  /** Real bytes, and such that no file system can compress: holes would hold no room. */
  async #makeLong(drive: RoomDrive, bytes: number): Promise<void> {
    const { disk, random } = this.#world
    const file = await drive.run(() => disk.open(ballastPath(drive.path), 'create'))
    try {
      for (let at = 0; at < bytes; at += CHUNK_BYTES) {
        const chunk = random.bytes(Math.min(CHUNK_BYTES, bytes - at))
        await drive.run(() => file.write([chunk], at))
      }
      await drive.run(() => file.sync())
    } finally {
      await file.close()
    }
  }
}

/**
 * Before a drive is opened: where next to nothing is free not even its lock could be taken. A store that runs there
 * makes its ballast again by itself.
 */
export async function makeRoomToStart(path: string, { disk }: Pick<World, 'disk'>): Promise<void> {
  const space = await disk.space(path)
  const bytes = ballastBytesOn(space.totalBytes)
  const files = ballastFilesOn(space.totalInodes, 1)
  if (isShort(space, { bytes, files })) await removeBallast({ disk }, path)
}

/** Bytes of the long file, and how many empty ones. */
interface Held {
  bytes: number
  files: number
}

/** Whether less is free than the ballast would give. */
function isShort(space: DiskSpace, { bytes, files }: Held): boolean {
  return space.freeBytes < bytes || (hasInodes(space) && space.freeInodes < files)
}

async function removeBallast({ disk }: Pick<World, 'disk'>, drivePath: string): Promise<void> {
  await removeIfThere({ disk }, ballastPath(drivePath))
  for (const name of await emptyOnes({ disk }, drivePath))
    await removeIfThere({ disk }, `${drivePath}/${name}`)
}

async function emptyOnes({ disk }: Pick<World, 'disk'>, drivePath: string): Promise<string[]> {
  return (await disk.list(drivePath)).filter((name) => EMPTY_NAME.test(name))
}
