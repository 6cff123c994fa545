// A bounded number of permits, granted first come, first served.
// Every queue has a bound: past `maxWaiting` a caller is refused at once.
import { assert } from './assert.ts'

/** Thrown by acquire() when the queue is full; the edge turns it into 503 SlowDown. */
export class Overloaded extends Error {
  override readonly name = 'Overloaded'
  readonly code = 'OVERLOADED'
}

interface Waiter {
  count: number
  grant: () => void
  refuse: (reason: unknown) => void
}

/** Counts permits; acquire() waits for them in order of arrival. */
export class Semaphore {
  #free: number
  readonly #total: number
  readonly #maxWaiting: number
  readonly #maxWaitingPermits: number
  readonly #waiting: Waiter[] = []
  #waitingPermits = 0

  /** Callers that may wait, or the permits that they may wait for together. */
  constructor(total: number, options: { maxWaiting?: number; maxWaitingPermits?: number } = {}) {
    assert(total > 0, 'a semaphore has at least one permit')
    this.#free = total
    this.#total = total
    this.#maxWaiting = options.maxWaiting ?? 10_000
    this.#maxWaitingPermits = options.maxWaitingPermits ?? Number.POSITIVE_INFINITY
  }

  /** Permits that nobody holds. */
  get free(): number {
    return this.#free
  }

  /** Callers that wait for permits. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Takes `count` permits (never more than the total), waiting for them; aborting the signal leaves the queue. */
  async acquire(count = 1, signal?: AbortSignal): Promise<void> {
    assert(count <= this.#total, 'nobody asks for more permits than there are')
    signal?.throwIfAborted()
    if (this.tryAcquire(count)) return
    const isFull = this.#waitingPermits + count > this.#maxWaitingPermits
    if (isFull || this.#waiting.length >= this.#maxWaiting)
      throw new Overloaded('too many wait already')
    await this.#wait(count, signal)
  }

  /** Takes `count` permits if that needs no waiting, and says whether it did. */
  tryAcquire(count = 1): boolean {
    if (this.#waiting.length > 0 || this.#free < count) return false
    this.#free -= count
    return true
  }

  /** Gives `count` permits back. */
  release(count = 1): void {
    this.#free += count
    assert(this.#free <= this.#total, 'no permit is given back twice')
    this.#grantWaiting()
  }

  /** Everyone who waits now is refused: for an owner who ends, where a signal for each of them would cost more. */
  refuseWaiting(reason: unknown): void {
    this.#waitingPermits = 0
    for (const { refuse } of this.#waiting.splice(0)) refuse(reason)
  }

  #wait(count: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        const place = this.#waiting.indexOf(waiter)
        if (place >= 0) {
          this.#waiting.splice(place, 1)
          this.#waitingPermits -= count
        }
        reject(signal?.reason)
        this.#grantWaiting()
      }
      const waiter: Waiter = {
        count,
        grant: () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        },
        refuse: (reason) => {
          signal?.removeEventListener('abort', leave)
          reject(reason)
        },
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#waiting.push(waiter)
      this.#waitingPermits += count
    })
  }

  #grantWaiting(): void {
    while (this.#waiting.length > 0 && this.#free >= this.#waiting[0]!.count) {
      const waiter = this.#waiting.shift()!
      this.#waitingPermits -= waiter.count
      this.#free -= waiter.count
      waiter.grant()
    }
  }
}
