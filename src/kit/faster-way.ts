// Which of two ways is the faster one on this processor: found while both are used, for nobody knows all processors, and what
// V8 compiles at first is not what it runs later.

/** So often they are used in turn before one is preferred. */
const IN_TURN = 32
/** Then the other one is tried again every so many times. */
const AGAIN = 32
/** What came between, as another process, does not count as the cost of a way. */
const OUTLIER = 4

/** The first or the second. */
export type Way = 0 | 1

/** Prefers one of two. */
export class FasterWay {
  readonly #costs: [number | undefined, number | undefined] = [undefined, undefined]
  #uses = 0

  /** The way to go this time. */
  choose(): Way {
    this.#uses += 1
    const [first, second] = this.#costs
    if (first === undefined || second === undefined || this.#uses <= IN_TURN)
      return this.#uses % 2 === 0 ? 1 : 0
    const better = first <= second ? 0 : 1
    return this.#uses % AGAIN === 0 ? other(better) : better
  }

  /** What it cost, for the same amount of work each time. */
  note(way: Way, cost: number): void {
    const known = this.#costs[way]
    if (known === undefined) this.#costs[way] = cost
    else this.#costs[way] = known + (Math.min(cost, OUTLIER * known) - known) / 8
  }
}

function other(way: Way): Way {
  return way === 0 ? 1 : 0
}
