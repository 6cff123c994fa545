// What the records of one replica amount to, read in the order in which they were written. Pure.
// The record written last holds, and a replica that lost anything that was durable must not begin under its name.
import { assert } from '../../kit/assert.ts'
import type { LogPosition } from '../../metadata/log/contract.ts'
import { isSamePosition, type LogEntry } from '../../metadata/log/entry.ts'
import type { DurableState } from '../../metadata/replication/effects.ts'
import type { ReplicaState } from './replica-state.ts'

/** What is left of a replica. */
export type Remains =
  | { kind: 'whole'; durable: DurableState }
  /** It lost something that it may have told others: it never answers again. */
  | { kind: 'rotten'; why: string }

const NO_BATCH = new Uint8Array()
// Heads of entries that rows surely have are kept up to so many, for what is written behind them.
const HEADS_MAX = 4096

/** Reads the records of one replica. */
export class ReplicaHistory {
  readonly #floor: number
  #state: ReplicaState | undefined
  /** Follow each other. What was before the first of them is trimmed, or unknown. */
  #entries: LogEntry[] = []
  #isDoubtful = false

  /** `floor`: batches up to this sequence are not needed. */
  constructor(floor: number) {
    this.#floor = floor
  }

  /** As it was written last. */
  get state(): ReplicaState | undefined {
    return this.#state
  }

  /** Where the log is known from. */
  get first(): LogPosition | undefined {
    const first = this.#entries[0]
    return first && { epoch: first.prevEpoch, sequence: first.sequence - 1 }
  }

  /** The entry that was written last, as far as is known. */
  get last(): LogPosition | undefined {
    return this.#entries.at(-1)
  }

  /** An entry was written: it takes the place of what was at its sequence and after it. */
  entry(entry: LogEntry): void {
    const kept =
      entry.sequence > this.#floor
        ? { ...entry, batch: Uint8Array.from(entry.batch) }
        : { ...entry, batch: NO_BATCH }
    const first = this.#entries[0]
    const at = first === undefined ? 0 : entry.sequence - first.sequence
    const before = this.#entries[at - 1]
    // Behind a gap nothing is known of what was before it: only rows that go so far can make up for that.
    if (before?.epoch === entry.prevEpoch) this.#entries.length = at
    else this.#entries = []
    this.#entries.push(kept)
    this.#forgetHeads()
  }

  /** The state was written. */
  setState(state: ReplicaState): void {
    this.#state = state
    this.#isDoubtful = false
    const last = this.#entries.at(-1)
    if (last === undefined || !isSamePosition(last, state.last)) this.#entries = []
  }

  /** Here a record of somebody was lost that was durable: of whom, nobody knows. A state that was written later says what counts. */
  doubt(): void {
    this.#isDoubtful = true
  }

  /**
   * What the replica begins with when its rows surely hold everything up to `base`, and something of it was seen once up to the
   * sequence `reached`.
   */
  conclude(base: LogPosition, reached: number): Remains {
    const state = this.#state
    assert(state !== undefined && !state.isGone, 'only what was made and is not gone is asked for')
    if (this.#isDoubtful) return rotten('a record of its log is lost')
    const last = this.#entries.at(-1) ?? state.last
    if (last.sequence < reached) return rotten(`its log ends at ${last.sequence} of ${reached}`)
    const entries = this.#behind(base, last)
    if (entries === undefined) return rotten(`its log does not follow its rows at ${base.sequence}`)
    const committed = entries.reduce((most, entry) => Math.max(most, entry.committed), 0)
    if (last.sequence < committed) return rotten(`entry ${committed} is lost`)
    const { promised, promisedTo, decision } = state
    return { kind: 'whole', durable: { promised, promisedTo, base, entries, decision } }
  }

  #behind(base: LogPosition, last: LogPosition): LogEntry[] | undefined {
    if (isSamePosition(base, last)) return []
    const first = this.#entries[0]
    if (first === undefined) return undefined
    const at = base.sequence - first.sequence
    const epoch = at === -1 ? first.prevEpoch : this.#entries[at]?.epoch
    return epoch === base.epoch ? this.#entries.slice(at + 1) : undefined
  }

  #forgetHeads(): void {
    const first = this.#entries[0]!
    const count = this.#floor - first.sequence
    if (count > HEADS_MAX) this.#entries = this.#entries.slice(count)
  }
}

function rotten(why: string): Remains {
  return { kind: 'rotten', why }
}
