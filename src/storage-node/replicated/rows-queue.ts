// What happens to the rows of one replica, one after the other: entries that are applied, many at once where they follow each other, and
// whatever has to see the rows as they are between two of them.
import { mebibytes } from '../../kit/bytes.ts'
import type { LogEntry } from '../../metadata/log/entry.ts'

type Step =
  | { kind: 'apply'; entries: readonly LogEntry[] }
  /** Told when its turn comes: at once, for it must not wait for anything. */
  | { kind: 'see'; look: () => void }
  /** Nothing is applied while it goes on. */
  | { kind: 'hold'; work: () => Promise<void> }

interface Awaited {
  sequence: number
  look: () => void
}

// Who awaits a sequence and has gone is forgotten with the rows that pass it, and at the latest when so many wait.
const AWAITED_MAX = 64

// Changes that go into one batch of LevelDB.
const TOGETHER_BYTES = mebibytes(1)

/** Steps of one replica. The log bounds how many wait. */
export class RowsQueue {
  readonly #apply: (entries: readonly LogEntry[]) => Promise<void>
  readonly #onFailure: (error: unknown) => void
  #waiting: Step[] = []
  #awaited: Awaited[] = []
  #isRunning = false
  #isClosed = false
  #running: Promise<void> = Promise.resolve()

  /** `apply` makes changes; when it or anything else here fails nothing comes after it, and `onFailure` is told. */
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

  /** Looks at the rows once they hold exactly what is up to `sequence`; never, when they pass it in another way. */
  seeAt(sequence: number, look: () => void): void {
    this.#awaited = [...this.#awaited.slice(1 - AWAITED_MAX), { sequence, look }]
  }

  /** Does something with the rows while nothing is applied. When it fails nothing comes after it. Never called after a failure or close(). */
  hold(work: () => Promise<void>): void {
    this.#add({ kind: 'hold', work })
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
    try {
      if (next.kind === 'see') {
        this.#waiting.shift()
        next.look()
        return
      }
      if (next.kind === 'hold') {
        this.#waiting.shift()
        await next.work()
        return
      }
      const together = this.#takeTogether()
      await this.#apply(together)
      this.#show(together.at(-1)!.sequence)
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
      for (const [index, entry] of next.entries.entries()) {
        together.push(entry)
        bytes += entry.batch.length
        if (!this.#isAwaited(entry)) continue
        const rest = next.entries.slice(index + 1)
        if (rest.length > 0) this.#waiting.unshift({ kind: 'apply', entries: rest })
        return together
      }
    }
    return together
  }

  #isAwaited({ sequence }: LogEntry): boolean {
    return this.#awaited.some((one) => one.sequence === sequence)
  }

  #show(applied: number): void {
    if (this.#awaited.length === 0) return
    const now = this.#awaited.filter(({ sequence }) => sequence === applied)
    this.#awaited = this.#awaited.filter(({ sequence }) => sequence > applied)
    for (const { look } of now) look()
  }
}
