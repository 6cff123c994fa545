// Tells who waits too long. One sleep for all of them: a timer and a signal to end it for each read cost more than the read.
import type { Clock } from '../kit/world.ts'

/** Who waits, and for how long. */
export interface Waiting {
  /** Set by the watch. */
  atMs: number
  /** Where the watch has it; -1 when it does not. */
  place: number
  onLate(): void
}

/** Calls back those whose time is over. */
export class LateWatch {
  readonly #clock: Pick<Clock, 'sleep' | 'monotonicMs'>
  /** In no order: each knows its place, for every read comes and goes here. */
  readonly #waiting: Waiting[] = []
  /** When the sleep ends that counts; others, which were begun before it and end later, are in vain. */
  #wakesAtMs = Number.POSITIVE_INFINITY

  constructor(clock: Pick<Clock, 'sleep' | 'monotonicMs'>) {
    this.#clock = clock
  }

  /** Calls back in `ms`, unless the returned function is called before. */
  in(ms: number, onLate: () => void): () => void {
    const waiting: Waiting = { atMs: 0, place: -1, onLate }
    this.add(waiting, ms)
    return () => this.remove(waiting)
  }

  /** As in(), until remove(). */
  add(waiting: Waiting, ms: number): void {
    waiting.atMs = this.#clock.monotonicMs() + ms
    waiting.place = this.#waiting.length
    this.#waiting.push(waiting)
    this.#wakeBy(waiting.atMs)
  }

  /** Without effect where it is not waited for any more. */
  remove(waiting: Waiting): void {
    const { place } = waiting
    if (place < 0) return
    const last = this.#waiting.pop()!
    if (last !== waiting) {
      this.#waiting[place] = last
      last.place = place
    }
    waiting.place = -1
  }

  /** Those who wait now. */
  waiting(): readonly Waiting[] {
    return [...this.#waiting]
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
    for (const waiting of this.waiting()) {
      if (waiting.place < 0) continue // One before it has ended it.
      if (waiting.atMs > nowMs) {
        nextMs = Math.min(nextMs, waiting.atMs)
        continue
      }
      this.remove(waiting)
      waiting.onLate()
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.#wakeBy(nextMs)
  }
}
