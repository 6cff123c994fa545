// Small files at the root of a drive that are replaced whole: after a crash either the old one is there or the new one.
import type { World } from '../kit/world.ts'
import type { Drive } from './drive.ts'

/** What is needed of a drive to keep a file at its root. */
export type FileDrive = Pick<Drive, 'path' | 'run'>

/** The bytes of a file of the drive; undefined when it has none of that name. */
export async function readSmallFile(
  { disk }: Pick<World, 'disk'>,
  drive: FileDrive,
  name: string,
): Promise<Uint8Array | undefined> {
  const path = `${drive.path}/${name}`
  return await drive.run(async () => ((await disk.stat(path)) ? disk.readFile(path) : undefined))
}

/** Writes it beside the old one, synced, and puts it in its place, synced. `permissions` as of POSIX. */
export async function replaceSmallFile(
  { disk }: Pick<World, 'disk'>,
  drive: FileDrive,
  { name, bytes, permissions }: { name: string; bytes: Uint8Array; permissions?: number },
): Promise<void> {
  const path = `${drive.path}/${name}`
  const draft = `${path}.tmp`
  await drive.run(async () => {
    if (await disk.stat(draft)) await disk.remove(draft)
    const file = await disk.open(draft, 'create', permissions)
    try {
      await file.write([bytes], 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await disk.rename(draft, path)
    await disk.syncDirectory(drive.path)
  })
}
