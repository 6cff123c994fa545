// Waiting with an end, for work that goes on by itself when nobody waits any more.
import type { World } from './world.ts'

/** Whether `work` ended within `waitMs`, well or not. */
export async function beforeDeadline(
  work: Promise<unknown>,
  waitMs: number,
  { clock }: Pick<World, 'clock'>,
): Promise<boolean> {
  const done = new AbortController()
  const late = clock.sleep(waitMs, done.signal).then(
    () => false,
    () => true, // It ended: nobody waits any more.
  )
  const ended = work.then(
    () => true,
    () => true, // How it ended is for others to hear.
  )
  try {
    return await Promise.race([ended, late])
  } finally {
    done.abort()
  }
}
