// Rests of loops that work in the background, which end at once when everything stops.
import type { Clock } from './world.ts'

/** Rests, until it is stopped. */
export class Rests {
  readonly #clock: Pick<Clock, 'sleep'>
  readonly #stopping = new AbortController()

  constructor(clock: Pick<Clock, 'sleep'>) {
    this.#clock = clock
  }

  get isOver(): boolean {
    return this.#stopping.signal.aborted
  }

  /** Ends all rests, and those to come. */
  stop(): void {
    this.#stopping.abort()
  }

  /** True after `ms`; false at once when everything stops. */
  async rest(ms: number): Promise<boolean> {
    const { signal } = this.#stopping
    try {
      await this.#clock.sleep(ms, signal)
      return true
    } catch (error) {
      if (signal.aborted) return false
      throw error
    }
  }

  /** Rests, and throws when everything stops. */
  async restOrThrow(ms: number): Promise<void> {
    if (!(await this.rest(ms))) throw new Error('the store is closing')
  }
}
