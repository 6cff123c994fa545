// What one end of the link says in one turn of the event loop goes out in one call of the system, whoever says it: each call
// wakes the other end, and what comes there together is decided and written to drives together.
import type { Writable } from 'node:stream'
import { kibibytes } from '../kit/bytes.ts'
import { afterTurn, type Clock } from '../kit/world.ts'

/** Shorter ones are put together: to copy them costs less than to hand each to the kernel. */
const LONG_BYTES = kibibytes(16)

interface Outgoing {
  bytes: Uint8Array
  /** The kernel has them and all that came before: with an error where the stream is gone. */
  onSent: ((error?: Error | null) => void) | undefined
}

/** What waits for the end of the turn. */
export class Outbox {
  readonly #stream: Writable
  readonly #clock: Clock
  #outgoing: Outgoing[] = []

  constructor(stream: Writable, clock: Clock) {
    this.#stream = stream
    this.#clock = clock
  }

  /** `bytes` must not change before `onSent`. */
  push(bytes: Uint8Array, onSent?: Outgoing['onSent']): void {
    this.#outgoing.push({ bytes, onSent })
    if (this.#outgoing.length === 1) afterTurn(this.#clock, this.#sendAll)
  }

  readonly #sendAll = (): void => {
    const outgoing = this.#outgoing
    this.#outgoing = []
    this.#stream.cork()
    let from = 0
    for (const [at, { bytes, onSent }] of outgoing.entries()) {
      if (bytes.length < LONG_BYTES) continue
      this.#sendTogether(outgoing.slice(from, at))
      this.#stream.write(bytes, onSent)
      from = at + 1
    }
    this.#sendTogether(from === 0 ? outgoing : outgoing.slice(from))
    this.#stream.uncork()
  }

  #sendTogether(short: readonly Outgoing[]): void {
    if (short.length === 0) return
    // Not when they are copied: who gives memory back behind its last part may have parts of it on their way before.
    this.#stream.write(Buffer.concat(short.map(({ bytes }) => bytes)), (error) => {
      for (const { onSent } of short) onSent?.(error)
    })
  }
}
