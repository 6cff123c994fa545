// Work on the rows of a drive that has to be done: where too much waits for the drive already it is asked for again.
import { Overloaded } from '../../kit/semaphore.ts'
import type { World } from '../../kit/world.ts'

/** By which clock it is tried again, until nobody wants it any more. */
export interface WhenRoomParts {
  clock: Pick<World['clock'], 'sleep'>
  ended: AbortSignal
}

// Thousands wait before it: they are done in such a time, or the drive does badly, and then it is found out otherwise.
const PAUSE_MS = 100

/** What `work` gives once it is not refused with Overloaded, which says that nothing was done. Throws all else, and the reason of `ended`. */
export async function whenRoom<T>(work: () => Promise<T>, parts: WhenRoomParts): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Overloaded)) throw error
    }
    await parts.clock.sleep(PAUSE_MS, parts.ended)
  }
}
