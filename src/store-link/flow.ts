// How bytes of one call pass: the sender sends no more than the receiver has room for.
import { kibibytes } from '../kit/bytes.ts'

/** Bytes on their way that nobody has taken yet. */
export const WINDOW_BYTES = kibibytes(512)

/** What the sender may send. */
export class Credit {
  #bytes: number
  #wake: (() => void) | undefined
  #ended: Error | undefined

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  /** Takes it; waits while there is none. Rejects after end(). */
  take(bytes: number): Promise<void> | undefined {
    if (this.#ended === undefined && this.#bytes > 0) {
      this.#bytes -= bytes
      return undefined
    }
    return this.#wait(bytes)
  }

  give(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > 0) this.#wake?.()
  }

  /** Nothing is to be sent any more. */
  end(reason: Error): void {
    this.#ended ??= reason
    this.#wake?.()
  }

  async #wait(bytes: number): Promise<void> {
    while (this.#ended === undefined && this.#bytes <= 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#ended !== undefined) throw this.#ended
    this.#bytes -= bytes
  }
}

/** Bytes that come, for one reader. */
export class Inflow implements AsyncIterable<Uint8Array> {
  readonly #onRoom: (bytes: number) => void
  #waiting: Uint8Array[] = []
  #taken = 0
  #isOver = false
  #trouble: Error | undefined
  #wake: (() => void) | undefined

  /** `credit`: what the sender may send before it hears of more. `onRoom` tells it. */
  constructor(credit: number, onRoom: (bytes: number) => void) {
    this.#onRoom = onRoom
    this.#taken = WINDOW_BYTES - credit
  }

  push(bytes: Uint8Array): void {
    this.#waiting.push(bytes)
    this.#wake?.()
  }

  end(): void {
    this.#isOver = true
    this.#wake?.()
  }

  fail(trouble: Error): void {
    this.#trouble ??= trouble
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      this.#tell()
      const bytes = this.#waiting.shift()
      if (bytes !== undefined) {
        this.#taken += bytes.length
        yield bytes
      } else if (this.#trouble !== undefined) throw this.#trouble
      else if (this.#isOver) return
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
  }

  /** Not for every chunk. */
  #tell(): void {
    if (this.#isOver || this.#taken < WINDOW_BYTES / 4) return
    this.#onRoom(this.#taken)
    this.#taken = 0
  }
}
