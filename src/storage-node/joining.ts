// Says of a drive that it was made for a store that runs, and that the map of the store does not name it yet: after a
// crash meanwhile it is no drive of a new store, and no drive that was removed.
import type { World } from '../kit/world.ts'

/** Beside the marker, from before there is one until the map names the drive. */
export const JOINING_FILE = 'joining'

/** Enters it, durably. */
export async function noteJoining(path: string, { disk }: Pick<World, 'disk'>): Promise<void> {
  if (await isJoining(path, { disk })) return
  const file = await disk.open(`${path}/${JOINING_FILE}`, 'create')
  await file.close()
  await disk.syncDirectory(path)
}

/** Whether the drive has still to be named by the map, as far as its directory tells. */
export async function isJoining(path: string, { disk }: Pick<World, 'disk'>): Promise<boolean> {
  return (await disk.stat(`${path}/${JOINING_FILE}`)) !== undefined
}

/** The map names the drive. A drive without the file is only read. */
export async function endJoining(path: string, { disk }: Pick<World, 'disk'>): Promise<void> {
  if (!(await isJoining(path, { disk }))) return
  await disk.remove(`${path}/${JOINING_FILE}`)
  await disk.syncDirectory(path)
}
