// Those who wait until a fence of a replica is durable.

interface Waiting {
  epoch: number
  resolve: () => void
  reject: (reason: unknown) => void
}

/** Waits for the fences of one replica. */
export class FenceWaiters {
  #waiting: Waiting[] = []

  /** Resolves when tell() finds the fence of this epoch; rejects with the reason of fail(). */
  wait(epoch: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ epoch, resolve, reject })
    })
  }

  /** Tells those whose fence holds by now. */
  tell(isFenced: (epoch: number) => boolean): void {
    if (this.#waiting.length === 0) return
    const told = this.#waiting.filter(({ epoch }) => isFenced(epoch))
    this.#waiting = this.#waiting.filter((one) => !told.includes(one))
    for (const { resolve } of told) resolve()
  }

  /** Nothing becomes durable any more. */
  fail(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason)
  }
}
