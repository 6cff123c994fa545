// The bytes of an object in parts, those of one part behind those of the other. What a part has at hand is at hand here.
import { type ChunksAtHand, nextAtHand } from '../kit/chunks-at-hand.ts'
import type { Blob, Part } from '../metadata/records.ts'
import type { ByteRange, Waiter } from './object-store.ts'
import type { Pins } from './pins.ts'

/** Reads bytes of one part; the part has some. */
export type PartReader = (
  part: Part & { blob: Blob },
  range: ByteRange,
  waiter: Waiter,
) => AsyncIterable<Uint8Array>

/** What is read: all parts of the object, in order, and how each is. */
export interface PartsToRead {
  loadParts(): Promise<Part[]>
  reader: PartReader
  pins: Pins
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

/** Bytes of `range`. Every part is pinned before the first byte, so that an overwrite takes nothing from under a slow reader. */
export function readParts(
  what: PartsToRead,
  range: ByteRange,
  waiter: Waiter,
): AsyncIterableIterator<Uint8Array> {
  return new PartsRead(what, range, waiter)
}

/** By hand what an async generator does, for that makes several promises for each chunk (as in read-blob.ts). */
class PartsRead implements AsyncIterableIterator<Uint8Array>, ChunksAtHand {
  readonly #what: PartsToRead
  readonly #range: ByteRange
  readonly #waiter: Waiter
  #state: 'new' | 'open' | 'over' = 'new'
  #unpins: (() => void)[] = []
  /** Those that are still to be read, and how far into the object they begin. */
  #parts: readonly Part[] = []
  #nextPart = 0
  #partStart = 0
  /** The part that is read. */
  #chunks: AsyncIterator<Uint8Array> | undefined
  /** A call that waits for bytes. */
  #advancing: Promise<IteratorResult<Uint8Array, undefined>> | undefined

  constructor(what: PartsToRead, range: ByteRange, waiter: Waiter) {
    this.#what = what
    this.#range = range
    this.#waiter = waiter
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The next chunk; called again only when the promise before has settled. */
  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#advancing = this.#advance()
    return this.#advancing
  }

  nextAtHand(): Uint8Array | undefined {
    return this.#chunks && nextAtHand(this.#chunks)
  }

  /** Lets go of what is read; behind a next() that is under way. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.#advancing?.catch(() => {}) // Who called it was told.
    const chunks = this.#chunks
    this.#chunks = undefined
    try {
      await chunks?.return?.()
    } finally {
      this.#end()
    }
    return DONE
  }

  async #advance(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#state === 'over') return DONE
    try {
      if (this.#state === 'new') await this.#begin()
      for (;;) {
        this.#chunks ??= this.#openNext()
        if (this.#chunks === undefined) break
        const next = await this.#chunks.next()
        if (next.done !== true) return next
        this.#chunks = undefined
      }
    } catch (error) {
      this.#end()
      throw error
    }
    this.#end()
    return DONE
  }

  async #begin(): Promise<void> {
    this.#state = 'open'
    const { pins } = this.#what
    this.#parts = await this.#what.loadParts()
    this.#unpins = this.#parts.flatMap(({ blob }) => (blob ? [pins.pin(blob.uid)] : []))
  }

  /** The next part that has bytes of the range; undefined behind the last. */
  #openNext(): AsyncIterator<Uint8Array> | undefined {
    // A short part does not ask whether anybody waits for it; most objects have one.
    if (this.#nextPart > 0) this.#waiter.signal.throwIfAborted()
    while (this.#nextPart < this.#parts.length && this.#partStart <= this.#range.last) {
      const part = this.#parts[this.#nextPart]!
      const first = Math.max(this.#range.first, this.#partStart) - this.#partStart
      const last = Math.min(this.#range.last, this.#partStart + part.bytes - 1) - this.#partStart
      this.#nextPart += 1
      this.#partStart += part.bytes
      const { blob } = part
      if (blob === undefined || first > last) continue
      const chunks = this.#what.reader({ ...part, blob }, { first, last }, this.#waiter)
      return chunks[Symbol.asyncIterator]()
    }
    return undefined
  }

  #end(): void {
    this.#state = 'over'
    this.#chunks = undefined
    for (const unpin of this.#unpins.splice(0)) unpin()
  }
}
