// Many waits of one length under one timer: where nearly all of them end in time, a timer and a signal for each of them
// cost more than what they guard.
import type { Clock } from './world.ts'

interface Wait {
  endMs: number
  giveUp(): void
}

/** Waits that end after the same time. */
export class Deadlines {
  /** How long each of them may take. */
  readonly ms: number
  readonly #clock: Pick<Clock, 'sleep' | 'monotonicMs'>
  /** In the order in which they end. */
  readonly #waits = new Set<Wait>()
  #isWatching = false

  constructor(ms: number, clock: Pick<Clock, 'sleep' | 'monotonicMs'>) {
    this.ms = ms
    this.#clock = clock
  }

  /** What `work` gives, or what `late` throws when that takes too long; `work` goes on all the same. */
  within<T>(work: Promise<T>, late: () => never): Promise<T> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        try {
          late()
        } catch (error) {
          reject(error)
        }
      }
      const wait = { endMs: this.#clock.monotonicMs() + this.ms, giveUp }
      this.#waits.add(wait)
      const end = (): boolean => this.#waits.delete(wait)
      work.then(
        (value) => {
          end()
          resolve(value)
        },
        (error) => {
          end()
          reject(error)
        },
      )
      if (!this.#isWatching) void this.#watch()
    })
  }

  async #watch(): Promise<void> {
    this.#isWatching = true
    for (;;) {
      const [first] = this.#waits
      if (first === undefined) break
      const leftMs = first.endMs - this.#clock.monotonicMs()
      if (leftMs > 0) {
        await this.#clock.sleep(leftMs)
        continue
      }
      this.#waits.delete(first)
      first.giveUp()
    }
    this.#isWatching = false
  }
}
