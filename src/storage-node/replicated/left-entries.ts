// What is left of the log of one replica, read in the order in which it was written, for a recovery: also of a replica that must not begin,
// for it lost something. Pure.
import { follows, isSamePosition, type LogEntry } from '../../metadata/log/entry.ts'
import type { ReplicaState } from './replica-state.ts'

/** Entries of one replica behind a sequence, as far as they can be read. */
export class LeftEntries {
  readonly #after: number
  /** In order, each sequence once. Not all follow each other where something was lost in between. */
  #entries: LogEntry[] = []
  /** Where the log ended when the last record was written. */
  #end = 0
  #committed = 0
  #isDoubtful = false
  #hasGap = false
  #isGone = false

  /** Entries up to the sequence `after` are not wanted. */
  constructor(after: number) {
    this.#after = after
  }

  /** None of a replica that was deleted: others had all of it. */
  get entries(): readonly LogEntry[] {
    return this.#isGone ? [] : this.#entries
  }

  /** Whether these are how it ended: nothing is lost in between or at the end. `reached`: something of it was seen up to there. */
  isWhole(reached: number): boolean {
    return !this.#isDoubtful && !this.#hasGap && this.#end >= Math.max(reached, this.#committed)
  }

  /** An entry was written: it takes the place of what was at its sequence and after it. */
  entry(entry: LogEntry): void {
    this.#end = entry.sequence
    this.#cutAfter(entry.sequence - 1)
    // What it follows was there when it was written, and so was all before that.
    this.#isDoubtful = false
    if (entry.sequence <= this.#after) return
    const before = this.#entries.at(-1)
    if (before !== undefined && !follows(entry, before)) {
      this.#cutAfter(entry.sequence - 2)
      this.#hasGap = true
    }
    this.#committed = Math.max(this.#committed, entry.committed)
    this.#entries.push({ ...entry, batch: Uint8Array.from(entry.batch) })
  }

  /** The state was written. */
  setState({ last, isGone }: Pick<ReplicaState, 'last' | 'isGone'>): void {
    this.#isGone = isGone
    this.#end = last.sequence
    this.#cutAfter(last.sequence)
    const before = this.#entries.at(-1)
    if (before !== undefined && !isSamePosition(before, last)) {
      // Rows took the place of its log, where nothing was lost: of that only what was committed surely held.
      this.#cutAfter(this.#isDoubtful ? last.sequence - 1 : this.#committed)
      this.#hasGap = true
    }
    this.#isDoubtful = false
  }

  /** Here a record of somebody was lost that was durable: of whom, nobody knows. */
  doubt(): void {
    this.#isDoubtful = true
  }

  #cutAfter(sequence: number): void {
    while ((this.#entries.at(-1)?.sequence ?? 0) > sequence) this.#entries.pop()
    if (this.#entries.length === 0) this.#hasGap = false
  }
}
