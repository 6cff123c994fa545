// One process per drive. Node has no flock, so `lock/` is a tiny LevelDB that stays open:
// the operating system frees its lock when the process ends, however it ends.
import type { AbstractLevel } from 'abstract-level'
import { Level } from 'level'
import type { Disk, World } from '../kit/world.ts'
import { diskItself } from './drive-care/watched-disk.ts'
import { storeBatchesAsTheyAre } from './stored-batches.ts'

/** Thrown when another process (or this one, twice) uses the drive. */
export class DriveLocked extends Error {
  override readonly name = 'DriveLocked'
  readonly code = 'DRIVE_LOCKED'

  constructor(path: string, options?: { cause?: unknown }) {
    super(`the drive at ${path} is in use by another process`, options)
  }
}

/** A LevelDB with bytes for keys and values, or memory-level in its place. */
export type BytesLevel = AbstractLevel<string | Buffer | Uint8Array, Uint8Array, Uint8Array>

/** Sizes of a LevelDB. Six drives have two each, and all together must stay far below 192 MiB. */
export interface LevelSizes {
  writeBufferBytes: number
  cacheBytes: number
  /** Of one table; 8 MiB unless told otherwise. */
  tableBytes?: number
}

/** Opens the LevelDB in the directory `path`, or what stands for it in a test. */
export type OpenLevel = (path: string, sizes: LevelSizes) => Promise<BytesLevel>

/** The real LevelDB. Not compressed, so that a scrub can check its tables block by block. */
export const openLevelDb: OpenLevel = async (path, sizes) => {
  const level = new Level<Uint8Array, Uint8Array>(path, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression: false,
    writeBufferSize: sizes.writeBufferBytes,
    cacheSize: sizes.cacheBytes,
    blockSize: 16 * 1024,
    maxFileSize: sizes.tableBytes ?? 8 * 1024 * 1024,
  } as object)
  await level.open()
  const opened = level as unknown as BytesLevel
  storeBatchesAsTheyAre(opened)
  return opened
}

const LOCK_SIZES: LevelSizes = { writeBufferBytes: 64 * 1024, cacheBytes: 8 * 1024 }

/** Drives that this process holds, by device and inode of their directory. */
const heldHere = new WeakMap<Disk, Set<string>>()

/** Takes the lock of the drive at `drivePath` until the result is closed; throws DriveLocked. */
export async function lockDrive(
  world: Pick<World, 'disk'>,
  drivePath: string,
  openLevel: OpenLevel,
): Promise<{ close(): Promise<void> }> {
  // LevelDB must not see a second opening from this process: the one that is refused closes the lock file,
  // and with that the operating system drops the lock of the first one too (POSIX record locks).
  const disk = diskItself(world.disk)
  const held = heldHere.get(disk) ?? new Set<string>()
  heldHere.set(disk, held)
  const name = await nameOnDisk(world, drivePath)
  if (held.has(name)) throw new DriveLocked(drivePath)
  held.add(name)
  try {
    const level = await openLock(world, drivePath, openLevel)
    return { close: () => level.close().finally(() => held.delete(name)) }
  } catch (error) {
    held.delete(name)
    throw error
  }
}

async function nameOnDisk(world: Pick<World, 'disk'>, path: string): Promise<string> {
  const stat = await world.disk.stat(path)
  return `${stat?.device}:${stat?.inode}`
}

async function openLock(
  world: Pick<World, 'disk'>,
  drivePath: string,
  openLevel: OpenLevel,
): Promise<BytesLevel> {
  const path = `${drivePath}/lock`
  try {
    return await openLevel(path, LOCK_SIZES)
  } catch (error) {
    if (isLockedLevel(error)) throw new DriveLocked(drivePath, { cause: error })
  }
  // It holds nothing, so a damaged one is emptied; its LOCK file stays, for another process may just have taken it.
  for (const name of await world.disk.list(path)) {
    if (name !== 'LOCK') await world.disk.remove(`${path}/${name}`)
  }
  try {
    return await openLevel(path, LOCK_SIZES)
  } catch (error) {
    throw isLockedLevel(error) ? new DriveLocked(drivePath, { cause: error }) : error
  }
}

function isLockedLevel(error: unknown): boolean {
  const cause = (error as { cause?: { code?: string } } | undefined)?.cause
  return cause?.code === 'LEVEL_LOCKED'
}
