// The state directory of a node that is to join, or of a gateway: made where it is missing, and tried. A token that is used up
// for a directory in which nothing can be written is lost.
import { makeDirectories } from '../embedded/make-drive.ts'
import { Exit } from '../exit.ts'
import { asBuffer } from '../kit/bytes.ts'
import { removeIfThere, replaceFile } from '../kit/files.ts'
import type { World } from '../kit/world.ts'

/** Throws Exit with a sentence where it can not be made, or nothing can be written in it. */
export async function makeStateDirectory(
  directory: string,
  world: Pick<World, 'disk'>,
): Promise<void> {
  const path = `${directory}/trial`
  try {
    await makeDirectories(directory, world)
    await replaceFile(world, { path, draft: `${path}.draft`, bytes: asBuffer(new Uint8Array(1)) })
    await removeIfThere(world, path)
  } catch (error) {
    const why = (error as Error).message
    throw new Exit(2, `${directory} can not be a state directory: ${why}.`, { cause: error })
  }
}
