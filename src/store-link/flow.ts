// How bytes of one call pass: the sender sends no more than the receiver has room for.
import { kibibytes, mebibytes } from '../kit/bytes.ts'

/** Bytes of one call on their way that nobody has taken yet. */
export const WINDOW_BYTES = kibibytes(512)
/** When too many are open already. */
const WINDOW_BYTES_MIN = kibibytes(64)

/** Windows of all calls that a process takes bodies of: they have so much together, and each its least on top. */
export class Windows {
  #free: number

  constructor(bytes: number = mebibytes(128)) {
    this.#free = bytes
  }

  /** How wide it is, for a body of so many bytes. It must be given to close() at its end. */
  open(bodyBytes: number): number {
    const wanted = Math.max(0, Math.min(WINDOW_BYTES, bodyBytes) - WINDOW_BYTES_MIN)
    const more = Math.min(wanted, this.#free)
    this.#free -= more
    return WINDOW_BYTES_MIN + more
  }

  close(windowBytes: number): void {
    this.#free += windowBytes - WINDOW_BYTES_MIN
  }
}

/** What the sender may send. */
export class Credit {
  #bytes: number
  #wake: (() => void) | undefined
  #ended: Error | undefined

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  /** Takes it, or as much of it as there is, and returns that; waits while there is none. Rejects after end(). */
  take(bytes: number): Promise<number> | number {
    if (this.#ended === undefined && this.#bytes > 0) return this.#pass(bytes)
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

  #pass(bytes: number): number {
    const passing = Math.min(bytes, this.#bytes)
    this.#bytes -= passing
    return passing
  }

  async #wait(bytes: number): Promise<number> {
    while (this.#ended === undefined && this.#bytes <= 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#ended !== undefined) throw this.#ended
    return this.#pass(bytes)
  }
}

/** Bytes that come, for one reader. */
export class Inflow implements AsyncIterable<Uint8Array> {
  readonly #windowBytes: number
  readonly #onRoom: (bytes: number) => void
  #waiting: Uint8Array[] = []
  #taken = 0
  #isOver = false
  #trouble: Error | undefined
  #wake: (() => void) | undefined

  /** `credit`: what of its window the sender has from the start. `onRoom` tells it of more. */
  constructor(
    { windowBytes, credit }: { windowBytes: number; credit: number },
    onRoom: (bytes: number) => void,
  ) {
    this.#windowBytes = windowBytes
    this.#onRoom = onRoom
    this.#taken = windowBytes - credit
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
    if (this.#isOver || this.#taken < this.#windowBytes / 2) return
    this.#onRoom(this.#taken)
    this.#taken = 0
  }
}
