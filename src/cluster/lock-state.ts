// The state directory of a process of a cluster is its own: two that share one would write over what the other remembers.
import { Exit } from '../exit.ts'
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { World } from '../kit/world.ts'
import { DriveLocked, lockDrive, openLevelDb } from '../storage-node/drive-lock.ts'

/** Holds it until what is on `opened` is closed. Throws Exit when another process has it, or nothing can be written there. */
export async function lockState(
  directory: string,
  { what, world, opened }: { what: 'node' | 'gateway'; world: World; opened: ClosingStack },
): Promise<void> {
  try {
    const lock = await lockDrive(world, directory, openLevelDb)
    opened.defer(() => lock.close())
  } catch (error) {
    if (error instanceof DriveLocked)
      throw new Exit(3, `the ${what} of ${directory} runs already.`, { cause: error })
    const why = (error as Error).message
    throw new Exit(2, `the state directory ${directory} can not be used: ${why}.`, { cause: error })
  }
}
