// Work on one thing that is done one after the other.

/** Takes turns in the order in which they are asked for. What bounds the askers bounds the queue. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Does `work` when all before it has ended, well or not; gives what it gives, and throws what it throws. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {}) // The caller gets the error; the next turn does not care.
    return turn
  }

  /** Resolves when all that was asked for so far has ended. */
  async ended(): Promise<void> {
    await this.#last
  }
}
