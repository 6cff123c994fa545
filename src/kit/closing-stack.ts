// What was opened is closed in reverse order, also when opening the rest failed.
// (AsyncDisposableStack of newer Nodes, as far as we need it.)

/** Remembers how to close things. */
export class ClosingStack {
  readonly #closers: (() => Promise<unknown> | undefined)[] = []

  /** close() will call this, before everything that was deferred earlier. */
  defer(closer: () => Promise<unknown> | undefined): void {
    this.#closers.push(closer)
  }

  /** Closes everything; goes on when a closer throws and throws the first error at the end. */
  async close(): Promise<void> {
    const errors: unknown[] = []
    for (let closer = this.#closers.pop(); closer; closer = this.#closers.pop()) {
      try {
        await closer()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
  }

  /** Runs `open`; when it throws, everything deferred so far is closed before the error goes on. */
  async guard<T>(open: () => Promise<T>): Promise<T> {
    try {
      return await open()
    } catch (error) {
      await this.close().catch(() => undefined) // The first error is the one that explains the others.
      throw error
    }
  }
}
