// Tells who waits too long. One sleep for all of them: a timer and a signal to end it for each read cost more than the read.
import type { Clock } from '../kit/world.ts'

interface Waiting {
  atMs: number
  onLate(): void
}

/** Calls back those whose time is over. */
export class LateWatch {
  readonly #clock: Pick<Clock, 'sleep' | 'monotonicMs'>
  readonly #waiting = new Set<Waiting>()
  /** When the sleep ends that counts; others, which were begun before it and end later, are in vain. */
  #wakesAtMs = Number.POSITIVE_INFINITY

  constructor(clock: Pick<Clock, 'sleep' | 'monotonicMs'>) {
    this.#clock = clock
  }

  /** Calls back in `ms`, unless the returned function is called before. */
  in(ms: number, onLate: () => void): () => void {
    const waiting = { atMs: this.#clock.monotonicMs() + ms, onLate }
    this.#waiting.add(waiting)
    this.#wakeBy(waiting.atMs)
    return () => this.#waiting.delete(waiting)
  }

  #wakeBy(atMs: number): void {
    if (atMs >= this.#wakesAtMs) return
    this.#wakesAtMs = atMs
    const ms = Math.max(0, atMs - this.#clock.monotonicMs())
    void this.#clock.sleep(ms).then(() => {
      if (this.#wakesAtMs === atMs) this.#wake()
    })
  }

  #wake(): void {
    this.#wakesAtMs = Number.POSITIVE_INFINITY
    const nowMs = this.#clock.monotonicMs()
    let nextMs = Number.POSITIVE_INFINITY
    for (const waiting of this.#waiting) {
      if (waiting.atMs > nowMs) {
        nextMs = Math.min(nextMs, waiting.atMs)
        continue
      }
      this.#waiting.delete(waiting)
      waiting.onLate()
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.#wakeBy(nextMs)
  }
}
