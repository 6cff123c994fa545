// Ids of requests: 16 hex digits, drawn and spelled in blocks, because one by one would cost more than they are worth.
import { asBuffer } from '../kit/bytes.ts'
import type { Random } from '../kit/world.ts'

const ID_DIGITS = 16
const BLOCK_BYTES = 4096

/** Gives out ids, none of them twice. */
export class RequestIds {
  readonly #random: Random
  #digits = ''
  #at = 0

  constructor(random: Random) {
    this.#random = random
  }

  next(): string {
    if (this.#at === this.#digits.length) {
      this.#digits = asBuffer(this.#random.bytes(BLOCK_BYTES)).toString('hex').toUpperCase()
      this.#at = 0
    }
    this.#at += ID_DIGITS
    return this.#digits.slice(this.#at - ID_DIGITS, this.#at)
  }
}
