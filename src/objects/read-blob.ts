// Shards → bytes: a range of a blob in chunks, some stripes being read while those before are sent.
import { assert } from '../kit/assert.ts'
import type { ChunksAtHand } from '../kit/chunks-at-hand.ts'
import { giveBack } from '../kit/lent-bytes.ts'
import type { Blob } from '../metadata/records.ts'
import { BlobShards } from './blob-shards.ts'
import type { ByteRange, Waiter } from './object-store.ts'
import type { BlobParts } from './store-parts.ts'
import { type StripeSlice, sliceOf } from './stripe.ts'

/** Stripes that are read together: each of their shards by one read. */
const STRIPES_TOGETHER = 4

/** With more reads than that under way each reads stripe by stripe: so their memory is bounded as those of one stripe are. */
const LONG_READS = 16

let readsUnderWay = 0

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

/** Bytes of `range` in chunks that are lent (kit/lent-bytes.ts). Nothing is pinned or read before the first is asked for. */
export function readBlob(
  blob: Blob,
  range: ByteRange,
  parts: BlobParts,
  waiter: Waiter,
): AsyncIterableIterator<Uint8Array> {
  return new BlobRead(blob, range, parts, waiter)
}

/** One read. By hand what an async generator does, for that makes several promises for each chunk. */
class BlobRead implements AsyncIterableIterator<Uint8Array>, ChunksAtHand {
  readonly #blob: Blob
  readonly #range: ByteRange
  readonly #parts: BlobParts
  readonly #waiter: Waiter
  #state: 'new' | 'open' | 'over' = 'new'
  #unpin: () => void = () => {}
  #shards: BlobShards | undefined
  /** Stripes from here on were not asked for yet. */
  #nextStripe = 0
  #lastStripe = 0
  /** A call that waits for bytes. */
  #advancing: Promise<IteratorResult<Uint8Array, undefined>> | undefined
  /** The group that is waited for, and the one that is read meanwhile. */
  #awaited: Promise<Uint8Array[]> | undefined
  #ahead: Promise<Uint8Array[]> | undefined
  /** What was read, and how much of it was given out. */
  #chunks: readonly Uint8Array[] = []
  #given = 0

  constructor(blob: Blob, range: ByteRange, parts: BlobParts, waiter: Waiter) {
    this.#blob = blob
    this.#range = range
    this.#parts = parts
    this.#waiter = waiter
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The next chunk; called again only when the promise before has settled. */
  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const value = this.nextAtHand()
    if (value !== undefined) return Promise.resolve({ done: false, value })
    this.#advancing = this.#advance()
    return this.#advancing
  }

  /** Gives back what was read for nobody; behind a next() that is under way. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.#advancing?.catch(() => {}) // Who called it was told.
    await this.#end()
    return DONE
  }

  nextAtHand(): Uint8Array | undefined {
    const chunk = this.#chunks[this.#given]
    if (chunk !== undefined) this.#given += 1
    return chunk
  }

  async #advance(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#state === 'over') return DONE
    try {
      if (this.#state === 'new') this.#begin()
      assert(this.#awaited === undefined, 'a chunk is asked for behind the one before')
      this.#awaited = this.#ahead ?? this.#readGroup()
      this.#ahead = this.#readGroup()
      // Awaited one group later; until then a failure must not count as unhandled.
      this.#ahead?.catch(() => {})
      this.#chunks = (await this.#awaited) ?? []
      this.#awaited = undefined
      this.#given = 0
      const value = this.nextAtHand()
      if (value !== undefined) return { done: false, value }
    } catch (error) {
      await this.#end()
      throw error
    }
    const ending = this.#end()
    if (ending !== undefined) await ending
    return DONE
  }

  #begin(): void {
    this.#state = 'open'
    this.#unpin = this.#parts.pins.pin(this.#blob.uid)
    readsUnderWay += 1
    this.#shards = new BlobShards(this.#blob, this.#parts)
    const { dataCount, cellBytes } = this.#shards.layout
    this.#nextStripe = Math.floor(this.#range.first / (dataCount * cellBytes))
    this.#lastStripe = Math.floor(this.#range.last / (dataCount * cellBytes))
  }

  /** Begins to read the next stripes, as many as there is room for at the moment; undefined behind the last. */
  #readGroup(): Promise<Uint8Array[]> | undefined {
    if (this.#nextStripe > this.#lastStripe) return undefined
    // Whoever has just begun waits still: a signal would be made to ask.
    if (this.#awaited !== undefined) this.#waiter.signal.throwIfAborted()
    const shards = this.#shards!
    const most = readsUnderWay <= LONG_READS ? STRIPES_TOGETHER : 1
    const end = Math.min(this.#lastStripe + 1, this.#nextStripe + most)
    const slices: StripeSlice[] = []
    for (; this.#nextStripe < end; this.#nextStripe += 1)
      slices.push(sliceOf(shards.layout, this.#range, this.#nextStripe))
    return shards.readSlices(slices)
  }

  /** A promise only where something is to be waited for. */
  #end(): Promise<void> | undefined {
    const wasOpen = this.#state === 'open'
    this.#state = 'over'
    if (!wasOpen) return undefined
    readsUnderWay -= 1
    for (let chunk = this.nextAtHand(); chunk !== undefined; chunk = this.nextAtHand())
      giveBack(chunk)
    if (this.#awaited !== undefined || this.#ahead !== undefined) return this.#endLater()
    const closing = this.#shards!.close()
    if (closing !== undefined) return closing.finally(this.#unpin)
    this.#unpin()
    return undefined
  }

  async #endLater(): Promise<void> {
    try {
      for (const reading of [this.#awaited, this.#ahead]) {
        const rest = await reading?.catch(() => []) // Who waited for it was told.
        rest?.forEach(giveBack)
      }
      await this.#shards!.close()
    } finally {
      this.#unpin()
    }
  }
}
