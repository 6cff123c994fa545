// Rest in proportion to work ("tranquility"): whatever the machine can do, upkeep takes only its share of the time.
import type { Clock } from '../../kit/world.ts'

/** Rests shorter than this are saved up. */
const REST_MIN_MS = 10

/** No single rest is longer, however long the work took. */
const REST_MAX_MS = 60_000

/** Paces work that goes on side by side: all of it rests at once. */
export class Pacer {
  readonly #clock: Clock
  readonly #tranquility: () => number
  #workingSinceMs: number
  #resting: Promise<void> | undefined

  /** `tranquility`: rest as a multiple of work, asked anew before each rest. */
  constructor(clock: Clock, tranquility: () => number) {
    this.#clock = clock
    this.#tranquility = tranquility
    this.#workingSinceMs = clock.monotonicMs()
  }

  /** Work begins after there was none: what went by before counts for nothing. */
  begin(): void {
    this.#workingSinceMs = this.#clock.monotonicMs()
  }

  /** To be called often: rests when enough was worked. Throws the signal's reason when work is to end. */
  async rest(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const workedMs = this.#clock.monotonicMs() - this.#workingSinceMs
    const restMs = Math.min(workedMs * this.#tranquility(), REST_MAX_MS)
    if (this.#resting === undefined) {
      if (restMs < REST_MIN_MS) return
      this.#resting = this.#clock.sleep(restMs, signal).finally(() => {
        this.#resting = undefined
        this.begin()
      })
    }
    await this.#resting
  }
}
