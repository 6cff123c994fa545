// Which requests begin when a turn of the event loop ends, and how many. None begins where it is read: all that a turn brings is read
// first, for the code of the one is soon far from a core that runs the other (decision 0042). And in each turn libuv (since 1.45)
// accepts one connection, and hands on what its threads have done. Where hundreds of clients keep their connections and all ask at
// once, a turn that began all of it would be long: who connects then would wait for one such turn for each who connected before, and
// who waits for a drive for several.
import { mebibytes } from '../../kit/bytes.ts'
import { afterTurn, type Clock } from '../../kit/world.ts'

/** As many as are asked by most, so that they notice nothing; a few milliseconds of work. */
const BEGUN_IN_TURN = 32

/** In a turn that accepted somebody: there may be many more who wait for that, each for a turn of his own. */
const BEGUN_BETWEEN_ACCEPTS = 4

/** Of all that waits for the end of a turn. What comes when that is full begins at once: gates further in refuse what is too much. */
const HELD_BYTES_MAX = mebibytes(16)

/** Somebody whose request waits to begin. */
export interface LateBeginner {
  /** It may now. */
  beginLater(): void
}

/** Where the replies of those who begin go. */
export interface TurnReplies {
  /** Does the work, and sends the replies that came about in it. */
  writeBehind(work: () => void): void
}

/** The share of all connections of a server in each turn. */
export class TurnShare {
  readonly #clock: Clock
  readonly #replies: TurnReplies
  readonly #waiting: { who: LateBeginner; bytes: number }[] = []
  #heldBytes = 0
  #hasAccepted = false
  #seesEnd = false

  constructor(clock: Clock, replies: TurnReplies) {
    this.#clock = clock
    this.#replies = replies
  }

  /** A connection was accepted in this turn. */
  noteAccepted(): void {
    this.#hasAccepted = true
    this.#seeEnd()
  }

  /** Whether there is room for a request of which so many bytes are held until it begins. */
  mayWait(bytes: number): boolean {
    return this.#heldBytes + bytes <= HELD_BYTES_MAX
  }

  /** Calls back at the end of this turn or one of the next, in order. `bytes`: what is held of it until then. */
  beginLater(who: LateBeginner, bytes: number): void {
    this.#waiting.push({ who, bytes })
    this.#heldBytes += bytes
    this.#seeEnd()
  }

  #seeEnd(): void {
    if (this.#seesEnd) return
    this.#seesEnd = true
    afterTurn(this.#clock, this.#endTurn)
  }

  readonly #endTurn = (): void => {
    this.#seesEnd = false
    const most = this.#hasAccepted ? BEGUN_BETWEEN_ACCEPTS : BEGUN_IN_TURN
    this.#hasAccepted = false
    const next = this.#waiting.splice(0, most)
    for (const { bytes } of next) this.#heldBytes -= bytes
    if (this.#waiting.length > 0) this.#seeEnd()
    this.#replies.writeBehind(() => {
      for (const { who } of next) who.beginLater()
    })
  }
}
