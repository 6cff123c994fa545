// Short replies, written together when a turn of the event loop ends. The way into the system and TCP is long, and so is that of a
// request through the gateway: a core keeps the code of one of them near. Going each way for all of a turn in a row costs a third
// less than going to and fro (decision 0042), and clients on the same cores are woken once for several replies.
import type { Socket } from 'node:net'
import { afterTurn, type Clock } from '../../kit/world.ts'

type Written = (error?: Error | null) => void

interface ShortReply {
  socket: Socket
  bytes: Uint8Array | string
  onWritten: Written
}

/** Those of all connections of a server, in order. */
export class ShortReplies {
  readonly #clock: Clock
  #waiting: ShortReply[] = []
  /** Somebody writes what waits soon. */
  #isWriteDue = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Writes `bytes`, a text being Latin-1, when the turn ends, or all replies that come about in the work at hand are there. */
  add(socket: Socket, bytes: Uint8Array | string, onWritten: Written): void {
    this.#waiting.push({ socket, bytes, onWritten })
    if (this.#isWriteDue) return
    this.#isWriteDue = true
    afterTurn(this.#clock, this.writeAll)
  }

  /** Does the work, and writes what waits then: for who works when a turn ends. */
  writeBehind(work: () => void): void {
    this.#isWriteDue = true
    try {
      work()
    } finally {
      this.writeAll()
    }
  }

  /** Writes what waits now, where more is to go behind it. */
  readonly writeAll = (): void => {
    this.#isWriteDue = false
    const replies = this.#waiting
    if (replies.length === 0) return
    this.#waiting = []
    for (const { socket, bytes, onWritten } of replies) {
      if (typeof bytes === 'string') socket.write(bytes, 'latin1', onWritten)
      else socket.write(bytes, onWritten)
    }
  }
}
