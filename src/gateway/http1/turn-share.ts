// How many requests begin in one turn of the event loop. In each turn libuv (since 1.45) accepts one connection, and hands on what
// its threads have done. Where hundreds of clients keep their connections and all ask at once, a turn that began all of it would
// be long: who connects then would wait for one such turn for each who connected before, and who waits for a drive for several.
import { mebibytes } from '../../kit/bytes.ts'
import { afterTurn, type Clock } from '../../kit/world.ts'

/** As many as are asked by most, so that they notice nothing; a few milliseconds of work. */
const BEGUN_IN_TURN = 32

/** Behind a turn that accepted somebody: there may be many more who wait for that, each for a turn of his own. */
const BEGUN_BETWEEN_ACCEPTS = 4

/** Of all that waits for another turn. What comes when that is full begins at once: gates further in refuse what is too much. */
const HELD_BYTES_MAX = mebibytes(16)

/** Until so many began nobody looks when the turn ends: that costs something, too. */
const BEGUN_UNSEEN = 16

/** Somebody whose request may not begin yet. */
export interface LateBeginner {
  /** It may now. */
  beginLater(): void
}

/** The share of all connections of a server in each turn. */
export class TurnShare {
  readonly #clock: Clock
  readonly #waiting: { who: LateBeginner; bytes: number }[] = []
  #heldBytes = 0
  /** In this turn; where few come, in several. */
  #begun = 0
  #most = BEGUN_IN_TURN
  #hasAccepted = false
  #seesEnd = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A connection was accepted in this turn. */
  noteAccepted(): void {
    this.#hasAccepted = true
    this.#seeEnd()
  }

  /** Whether one more request may begin in this turn, of which so many bytes would have to be held otherwise. */
  tryBegin(bytes: number): boolean {
    if (this.#begun >= this.#most && this.#heldBytes + bytes <= HELD_BYTES_MAX) return false
    this.#begun += 1
    if (this.#begun >= BEGUN_UNSEEN) this.#seeEnd()
    return true
  }

  /** Calls back in one of the next turns, in order. `bytes`: what is held of it until then. */
  beginLater(who: LateBeginner, bytes: number): void {
    this.#waiting.push({ who, bytes })
    this.#heldBytes += bytes
    this.#seeEnd()
  }

  #seeEnd(): void {
    if (this.#seesEnd) return
    this.#seesEnd = true
    afterTurn(this.#clock, () => this.#endTurn())
  }

  /** Those who wait come before all that the next turn brings. */
  #endTurn(): void {
    this.#seesEnd = false
    this.#most = this.#hasAccepted ? BEGUN_BETWEEN_ACCEPTS : BEGUN_IN_TURN
    this.#hasAccepted = false
    const next = this.#waiting.splice(0, this.#most)
    this.#begun = next.length
    if (this.#begun > 0 || this.#most < BEGUN_IN_TURN) this.#seeEnd()
    for (const { bytes } of next) this.#heldBytes -= bytes
    for (const { who } of next) who.beginLater()
  }
}
