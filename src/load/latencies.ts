// How long requests took, counted in buckets: memory does not grow with requests, and counts of several processes add up.

/** Buckets of each doubling: a quantile is right to 1 part in 16. */
const BUCKETS_OF_DOUBLING = 16

/** From a microsecond to over an hour. */
const BUCKETS = 32 * BUCKETS_OF_DOUBLING

/** What was counted, as it is sent from process to process. */
export interface LatencyCounts {
  buckets: number[]
  longestMs: number
}

/** Counts of latencies. */
export class Latencies {
  readonly #buckets: number[]
  #longestMs: number

  constructor({ buckets, longestMs }: LatencyCounts = { buckets: [], longestMs: 0 }) {
    this.#buckets = Array.from({ length: BUCKETS }, (_, at) => buckets[at] ?? 0)
    this.#longestMs = longestMs
  }

  /** One request took so long. */
  note(ms: number): void {
    this.#buckets[bucketOf(ms)]! += 1
    this.#longestMs = Math.max(this.#longestMs, ms)
  }

  /** What another process counted. */
  add({ buckets, longestMs }: LatencyCounts): void {
    for (const [at, count] of buckets.entries()) this.#buckets[at]! += count
    this.#longestMs = Math.max(this.#longestMs, longestMs)
  }

  /** Milliseconds within which `share` of the requests were answered; 0 when there were none. */
  quantileMs(share: number): number {
    if (share >= 1) return this.#longestMs
    const total = this.#buckets.reduce((sum, count) => sum + count, 0)
    let left = total * share
    for (const [at, count] of this.#buckets.entries()) {
      left -= count
      if (count > 0 && left <= 0)
        return Math.min(2 ** ((at + 1) / BUCKETS_OF_DOUBLING) / 1000, this.#longestMs)
    }
    return this.#longestMs
  }

  counts(): LatencyCounts {
    return { buckets: this.#buckets, longestMs: this.#longestMs }
  }
}

function bucketOf(ms: number): number {
  const doublings = Math.log2(Math.max(1, ms * 1000))
  return Math.min(BUCKETS - 1, Math.floor(doublings * BUCKETS_OF_DOUBLING))
}
