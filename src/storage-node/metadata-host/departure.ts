// A replica may leave while someone waits for it: nobody waits for a drive that hangs.

/** Says once that a replica left. */
export class Departure {
  readonly #waiting = new Set<() => void>()
  #left = false

  get hasLeft(): boolean {
    return this.#left
  }

  /** Everyone who waits goes on. */
  leave(): void {
    this.#left = true
    for (const goOn of this.#waiting) goOn()
    this.#waiting.clear()
  }

  /** What `work` gives, or undefined as soon as the replica left. */
  until<T>(work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const goOn = (): void => resolve(undefined)
      if (this.#left) goOn()
      else this.#waiting.add(goOn)
      work.then(
        (value) => {
          this.#waiting.delete(goOn)
          resolve(value)
        },
        (error) => {
          this.#waiting.delete(goOn)
          reject(error)
        },
      )
    })
  }
}
