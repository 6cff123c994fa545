// Cuts a stream of chunks of any size into the cells of stripes: the one copy that a body makes.
import type { Stripe } from '../erasure/codec.ts'
import { giveBack } from '../kit/lent-bytes.ts'

/** The body gave more or fewer bytes than it said; the gateway checks this first, so that it is named better there. */
export class BodyLengthWrong extends Error {
  override readonly name = 'BodyLengthWrong'
  readonly code = 'BODY_LENGTH_WRONG'

  constructor(how: 'longer' | 'shorter') {
    super(`the body is ${how} than announced`)
  }
}

/** Reads a body once, from front to back. */
export class StripeSource {
  readonly #chunks: AsyncIterator<Uint8Array>
  /** As it came: it may be lent. */
  #chunk: Uint8Array = new Uint8Array(0)
  #rest: Uint8Array = this.#chunk

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Fills the data cells with the next `bytes` bytes and pads the rest with zeros. */
  async fill(stripe: Stripe, dataCount: number, cellBytes: number, bytes: number): Promise<void> {
    for (let slot = 0; slot < dataCount; slot += 1) {
      const wanted = Math.max(0, Math.min(cellBytes, bytes - slot * cellBytes))
      await this.#fillCell(stripe.cells[slot]!, wanted)
      stripe.cells[slot]!.fill(0, wanted, cellBytes)
    }
  }

  /** Lets the body see its end, where trailers and digests are checked. */
  async expectEnd(): Promise<void> {
    if (this.#rest.length > 0 || (await this.#nextChunk())) throw new BodyLengthWrong('longer')
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  async #fillCell(cell: Uint8Array, wanted: number): Promise<void> {
    let filled = 0
    while (filled < wanted) {
      if (this.#rest.length === 0 && !(await this.#nextChunk()))
        throw new BodyLengthWrong('shorter')
      const taken = Math.min(this.#rest.length, wanted - filled)
      cell.set(this.#rest.subarray(0, taken), filled)
      this.#rest = this.#rest.subarray(taken)
      filled += taken
      if (this.#rest.length === 0) giveBack(this.#chunk)
    }
  }

  /** False at the end of the stream. Empty chunks are skipped. */
  async #nextChunk(): Promise<boolean> {
    for (;;) {
      const next = await this.#chunks.next()
      if (next.done) return false
      if (next.value.length === 0) continue
      this.#chunk = next.value
      this.#rest = next.value
      return true
    }
  }
}
