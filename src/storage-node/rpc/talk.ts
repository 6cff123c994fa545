// One exchange in which small requests go on coming, as the node that answers them sees it.
import type { Exchange } from './exchange.ts'
import { FieldWriter } from './fields.ts'
import { FrameKind } from './frames.ts'

/** How many small requests of an exchange were taken up. */
export class Talk {
  readonly #exchange: Exchange
  #taken = 0
  #isOver = false

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  /** Counts a request in, unless no more are. */
  take(): boolean {
    if (!this.#isOver) this.#taken += 1
    return !this.#isOver
  }

  /** Says that no more are: whoever asks has to do it in another exchange, and can count on that. */
  endTaking(): void {
    if (this.#isOver) return
    this.#isOver = true
    const taken = new FieldWriter().u32(this.#taken).end()
    // Whom that does not reach, nothing does.
    this.#exchange.send(FrameKind.NoMore, taken).catch(() => undefined)
  }
}
