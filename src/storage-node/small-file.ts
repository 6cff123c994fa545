// Small files at the root of a drive that are replaced whole: after a crash either the old one is there or the new one.
import { readIfThere, replaceFile } from '../kit/files.ts'
import type { World } from '../kit/world.ts'
import type { Drive } from './drive.ts'

/** What is needed of a drive to keep a file at its root. */
export type FileDrive = Pick<Drive, 'path' | 'run'>

/** The bytes of a file of the drive; undefined when it has none of that name. */
export async function readSmallFile(
  world: Pick<World, 'disk'>,
  drive: FileDrive,
  name: string,
): Promise<Uint8Array | undefined> {
  return await drive.run(() => readIfThere(world, `${drive.path}/${name}`))
}

/** Writes it beside the old one, synced, and puts it in its place, synced. `permissions` as of POSIX. */
export async function replaceSmallFile(
  world: Pick<World, 'disk'>,
  drive: FileDrive,
  { name, ...file }: { name: string; bytes: Uint8Array; permissions?: number },
): Promise<void> {
  const path = `${drive.path}/${name}`
  await drive.run(() => replaceFile(world, { ...file, path, draft: `${path}.tmp` }))
}
