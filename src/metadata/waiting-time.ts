// How long one request waits for metadata that nobody answers for, over all that it asks: clients give a request up after
// a minute, and shall hear before that it was in vain.
import type { Clock } from '../kit/world.ts'

/** All waits of a request together. A partition that goes to another node is back within 5 s, and so is who leads it. */
export const WAITING_MS = 25_000

/** How long a request may wait, and what tells that its client is gone. */
export interface WaitingTimeOptions {
  /** WAITING_MS unless said otherwise. */
  ms?: number
  /** Whether nobody waits for the request any more. */
  isForNobody?: () => boolean
}

/**
 * The time of one request. Only what was waited in vain counts, until an answer came or none: whoever is answered by the
 * first who is asked may ask as often as it takes.
 */
export class WaitingTime {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #isForNobody: (() => boolean) | undefined
  #leftMs: number
  /** Up to here what was lost is counted. */
  #countedMs = Number.NEGATIVE_INFINITY

  constructor(
    clock: Pick<Clock, 'monotonicMs'>,
    { ms = WAITING_MS, isForNobody }: WaitingTimeOptions = {},
  ) {
    this.#clock = clock
    this.#leftMs = ms
    this.#isForNobody = isForNobody
  }

  /** How long a wait may take that begins now. */
  get leftMs(): number {
    return this.#leftMs
  }

  /** When such a wait is over, by the monotonic clock. */
  get untilMs(): number {
    return this.#clock.monotonicMs() + this.#leftMs
  }

  /** Whether what nobody would hear of need not be asked any more. */
  get isForNobody(): boolean {
    return this.#isForNobody?.() === true
  }

  /** Somebody was waited for in vain, from `sinceMs` until now. Waits at the same time count once. */
  lose(sinceMs: number): void {
    const nowMs = this.#clock.monotonicMs()
    const lostMs = nowMs - Math.max(sinceMs, this.#countedMs)
    this.#leftMs = Math.max(0, this.#leftMs - Math.max(0, lostMs))
    this.#countedMs = nowMs
  }
}
