// Which numbers were used: a request is taken once. Bounded: what is far behind the highest number counts as used.

const WINDOW = 1024

/** The numbers of one session. Requests overtake each other by less than a window: that many are never under way. */
export class ReplayWindow {
  /** By number modulo the window: the number that was last used there. */
  readonly #used = new Float64Array(WINDOW).fill(-1)
  #highest = -1

  /** Takes a number: false when it was taken before, or may have been. */
  take(sequence: number): boolean {
    if (sequence <= this.#highest - WINDOW) return false
    const place = sequence % WINDOW
    if (this.#used[place] === sequence) return false
    this.#used[place] = sequence
    this.#highest = Math.max(this.#highest, sequence)
    return true
  }
}
