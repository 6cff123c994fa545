// The end of a replica's log, in memory: what may still change, and what others may still lack.
import { assert } from '../../kit/assert.ts'
import type { LogPosition } from '../log/contract.ts'
import { follows, type LogEntry } from '../log/entry.ts'

/** How much of a log to take at once. */
export interface Portion {
  entries: number
  bytes: number
}

/** What somebody lacks: what comes after a sequence, and no more than so much of it is kept. */
export interface Lacked {
  after: number
  portion: Portion
}

/** Entries after `base`, without a gap. */
export class LogTail {
  #base: LogPosition
  #entries: LogEntry[] = []
  #bytes = 0

  constructor(base: LogPosition, entries: readonly LogEntry[] = []) {
    this.#base = base
    for (const entry of entries) this.append(entry)
  }

  /** The position before the first entry. */
  get base(): LogPosition {
    return this.#base
  }

  /** The position of the last entry, or the base. */
  get last(): LogPosition {
    return positionOf(this.#entries.at(-1) ?? this.#base)
  }

  get count(): number {
    return this.#entries.length
  }

  /** Of all batches. */
  get bytes(): number {
    return this.#bytes
  }

  /** The epoch at a sequence from the base to the last; undefined elsewhere. */
  epochAt(sequence: number): number | undefined {
    if (sequence === this.#base.sequence) return this.#base.epoch
    return this.#entries[sequence - this.#base.sequence - 1]?.epoch
  }

  /** Entries after `sequence`: at most a portion, but one at least where there is one. */
  after(sequence: number, portion: Portion): LogEntry[] {
    const first = sequence - this.#base.sequence
    assert(first >= 0, 'entries are asked for from the base on')
    const taken: LogEntry[] = []
    let bytes = 0
    for (let at = first; at < this.#entries.length && taken.length < portion.entries; at += 1) {
      const entry = this.#entries[at]!
      bytes += entry.batch.length
      if (taken.length > 0 && bytes > portion.bytes) break
      taken.push(entry)
    }
    return taken
  }

  /** All entries from after `from` up to `to`. */
  between(from: number, to: number): LogEntry[] {
    return this.#entries.slice(from - this.#base.sequence, to - this.#base.sequence)
  }

  /** Puts an entry behind the one before it. What was there and after it goes. */
  append(entry: LogEntry): void {
    this.#cutFrom(entry.sequence)
    assert(follows(entry, this.last), 'an entry follows the one before it')
    this.#entries.push(entry)
    this.#bytes += entry.batch.length
  }

  /** Forgets entries up to `sequence`, but keeps the last ones up to `portion` for those who lack them, and more of what is surely `lacked`. */
  forget(sequence: number, portion: Portion, lacked?: Lacked): void {
    let count = 0
    let bytes = this.#bytes
    const most = sequence - this.#base.sequence
    const isWithin = ({ entries, bytes: some }: Portion): boolean =>
      this.#entries.length - count <= entries && bytes <= some
    while (count < most) {
      const isLacked = lacked !== undefined && this.#base.sequence + count >= lacked.after
      if (isWithin(portion) || (isLacked && isWithin(lacked.portion))) break
      bytes -= this.#entries[count]!.batch.length
      count += 1
    }
    if (count === 0) return
    this.#base = positionOf(this.#entries[count - 1]!)
    this.#entries = this.#entries.slice(count)
    this.#bytes = bytes
  }

  /** Begins at `position` from now on. Entries after it stay only if they follow it. */
  rebase(position: LogPosition): void {
    const matches = this.epochAt(position.sequence) === position.epoch
    const kept = matches ? this.between(position.sequence, this.last.sequence) : []
    this.#base = position
    this.#entries = kept
    this.#bytes = kept.reduce((sum, { batch }) => sum + batch.length, 0)
  }

  #cutFrom(sequence: number): void {
    const from = sequence - this.#base.sequence - 1
    assert(from >= 0, 'the base is never cut off')
    for (const entry of this.#entries.splice(from)) this.#bytes -= entry.batch.length
  }
}

/** Where an entry stands, without the entry. */
export function positionOf({ epoch, sequence }: LogPosition): LogPosition {
  return { epoch, sequence }
}

/** Order of logs by their ends: the later epoch, then the longer one. */
export function comparePositions(left: LogPosition, right: LogPosition): number {
  return left.epoch - right.epoch || left.sequence - right.sequence
}
