// Time as the event loop lived it. A process that was stopped, or starved of its processor, has not waited for its
// drives: answers lie ready that it had no time to take, and no drive is blamed for that.
import type { Clock } from '../../kit/world.ts'

/** A clock that goes on by at most `maxStepMs` between two ticks, however long they are apart. */
export class PatientClock {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #maxStepMs: number
  /** Time that did not count. */
  #lostMs = 0
  #tickedMs: number

  constructor(clock: Pick<Clock, 'monotonicMs'>, maxStepMs: number) {
    this.#clock = clock
    this.#maxStepMs = maxStepMs
    this.#tickedMs = clock.monotonicMs()
  }

  /** Milliseconds that count, since some start. */
  now(): number {
    const counted = this.#clock.monotonicMs() - this.#lostMs
    return Math.min(counted, this.#tickedMs + this.#maxStepMs)
  }

  /** The event loop came by. */
  tick(): void {
    const now = this.now()
    this.#lostMs = this.#clock.monotonicMs() - now
    this.#tickedMs = now
  }
}
