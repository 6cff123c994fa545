// How often a process is started again that ended by itself, and after which pauses.
import type { Clock } from '../kit/world.ts'

/** Within this time… */
export const BUDGET_WINDOW_MS = 10 * 60 * 1000

/** …a process is started again so many times, each after its pause: at once when it happens now and then. */
export const PAUSES_MS: readonly number[] = [0, 500, 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000]

/** Counts the starts of one process. */
export class RestartBudget {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #takenMs: number[] = []

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
  }

  /** The pause before the next start; undefined when there were too many. */
  take(): number | undefined {
    const nowMs = this.#clock.monotonicMs()
    this.#takenMs = this.#takenMs.filter((ms) => nowMs - ms < BUDGET_WINDOW_MS)
    const pauseMs = PAUSES_MS[this.#takenMs.length]
    if (pauseMs !== undefined) this.#takenMs.push(nowMs + pauseMs)
    return pauseMs
  }
}

/** As it is said: `10 times within 10 minutes`. */
export const TOO_OFTEN = `${PAUSES_MS.length} times within ${BUDGET_WINDOW_MS / 60_000} minutes`
