// Sleeping for a deadline that others are blamed for missing. A process that was stopped for a minute finds its timers
// run out and the answers that came meanwhile not yet taken: one long sleep would blame everyone at once.
import type { Clock } from './world.ts'

const STEP_MS = 1000

/** Resolves after `ms` of which no second was slept away by the process itself; rejects when the signal aborts. */
export async function sleepPatiently(
  clock: Pick<Clock, 'sleep'>,
  ms: number,
  signal?: AbortSignal,
): Promise<void> {
  for (let left = ms; left > 0; left -= STEP_MS) await clock.sleep(Math.min(STEP_MS, left), signal)
}
