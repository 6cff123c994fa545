// What happens to the rows of one replica, one after the other: entries that are applied, many at once where they follow each other, and
// whatever has to see the rows as they are between two of them.
import { mebibytes } from '../../kit/bytes.ts'
import type { LogEntry } from '../../metadata/log/entry.ts'

type Step =
  | { kind: 'apply'; entries: readonly LogEntry[] }
  /** Told when its turn comes: at once, for it must not wait for anything. */
  | { kind: 'see'; look: () => void }

// Changes that go into one batch of LevelDB.
const TOGETHER_BYTES = mebibytes(1)

/** Steps of one replica. The log bounds how many wait. */
export class RowsQueue {
  readonly #apply: (entries: readonly LogEntry[]) => Promise<void>
  readonly #onFailure: (error: unknown) => void
  #waiting: Step[] = []
  #isRunning = false
  #isClosed = false
  #running: Promise<void> = Promise.resolve()

  /** `apply` makes changes; when it fails nothing comes after it, and `onFailure` is told. */
  constructor(
    apply: (entries: readonly LogEntry[]) => Promise<void>,
    onFailure: (error: unknown) => void,
  ) {
    this.#apply = apply
    this.#onFailure = onFailure
  }

  /** Applies entries after all that was asked for. */
  apply(entries: readonly LogEntry[]): void {
    this.#add({ kind: 'apply', entries })
  }

  /** Looks at the rows after all that was asked for. Never called after a failure or close(). */
  see(look: () => void): void {
    this.#add({ kind: 'see', look })
  }

  /** What waits is forgotten. Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#waiting = []
    await this.#running
  }

  #add(step: Step): void {
    if (this.#isClosed) return
    this.#waiting.push(step)
    if (!this.#isRunning) this.#running = this.#run()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    // Whoever asks is done with what it does before anything happens.
    await Promise.resolve()
    while (this.#waiting.length > 0) await this.#step()
    this.#isRunning = false
  }

  async #step(): Promise<void> {
    const next = this.#waiting[0]!
    if (next.kind === 'see') {
      this.#waiting.shift()
      next.look()
      return
    }
    try {
      await this.#apply(this.#takeTogether())
    } catch (error) {
      if (this.#isClosed) return
      this.#isClosed = true
      this.#waiting = []
      this.#onFailure(error)
    }
  }

  #takeTogether(): LogEntry[] {
    const together: LogEntry[] = []
    let bytes = 0
    while (bytes < TOGETHER_BYTES) {
      const next = this.#waiting[0]
      if (next?.kind !== 'apply') break
      this.#waiting.shift()
      for (const entry of next.entries) {
        together.push(entry)
        bytes += entry.batch.length
      }
    }
    return together
  }
}
