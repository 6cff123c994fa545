// Small files, through the disk of the world: what is not there is no error, and what is replaced is replaced whole.
import { isMissing, type World } from './world.ts'

type OnDisk = Pick<World, 'disk'>

/** The whole of a small file; undefined when there is none. */
export async function readIfThere({ disk }: OnDisk, path: string): Promise<Uint8Array | undefined> {
  return await unlessMissing(disk.readFile(path))
}

/** The names in a directory, in no order; none where there is no such directory. */
export async function listIfThere({ disk }: OnDisk, path: string): Promise<string[]> {
  return (await unlessMissing(disk.list(path))) ?? []
}

/** Removes a file, or finds it gone: false. Not durable before its directory is synced. */
export async function removeIfThere({ disk }: OnDisk, path: string): Promise<boolean> {
  return (await unlessMissing(disk.remove(path).then(() => true))) ?? false
}

/** A new file. */
export interface NewFile {
  path: string
  bytes: Uint8Array
  /** As of POSIX; what the machine gives by itself when left out. */
  permissions?: number
}

/** Creates a file and syncs what is in it; its directory entry is the caller's to sync. Throws EEXIST where one is. */
export async function writeNewFile({ disk }: OnDisk, file: NewFile): Promise<void> {
  const open = await disk.open(file.path, 'create', file.permissions)
  try {
    await open.write([file.bytes], 0)
    await open.sync()
  } finally {
    await open.close()
  }
}

/** Writes a file beside an old one and puts it in its place: after a crash the old one is there or the new one. */
export async function replaceFile(
  world: OnDisk,
  { draft, ...file }: NewFile & { draft: string },
): Promise<void> {
  await removeIfThere(world, draft)
  await writeNewFile(world, { ...file, path: draft })
  await world.disk.rename(draft, file.path)
  await world.disk.syncDirectory(file.path.slice(0, file.path.lastIndexOf('/')))
}

/** What `operation` gives; undefined when what it is about is not there. */
export async function unlessMissing<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
