// Syncs that are shared: whoever wants one while it is under way can not know what it has seen, and shares the next one with all
// who come until that begins.

interface Syncing {
  underWay: Promise<void>
  next: Promise<void> | undefined
}

/** The syncs of paths. */
export class SharedSyncs {
  readonly #run: (path: string) => Promise<void>
  readonly #syncing = new Map<string, Syncing>()

  constructor(run: (path: string) => Promise<void>) {
    this.#run = run
  }

  /** Resolves when a sync of the path has ended that was begun after this call. */
  sync(path: string): Promise<void> {
    const syncing = this.#syncing.get(path)
    if (syncing === undefined) return this.#begin(path)
    syncing.next ??= this.#after(syncing.underWay, path)
    return syncing.next
  }

  async #after(before: Promise<void>, path: string): Promise<void> {
    await before.catch(() => undefined) // Who waits for it hears of it.
    await this.#begin(path)
  }

  #begin(path: string): Promise<void> {
    const syncing: Syncing = { underWay: this.#run(path), next: undefined }
    this.#syncing.set(path, syncing)
    const end = (): void => {
      // The next one takes its place.
      if (syncing.next === undefined) this.#syncing.delete(path)
    }
    syncing.underWay.then(end, end)
    return syncing.underWay
  }
}
