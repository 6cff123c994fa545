// Linearizable reads without a clock: a read counts only an answer to a question that was sent after the read came.
// One round of questions is under way at a time; all reads that come meanwhile share the next one.
import { type Decision, hasMajorities, type ReplicaId } from './decision.ts'

interface WaitingRead {
  read: number
  /** Rows must hold everything up to here. */
  sequence: number
}

/** Reads of one reign. */
export class ReadRounds {
  readonly #max: number
  #round = 0
  #waiting: WaitingRead[] = []
  #asking: WaitingRead[] = []
  #answered = new Set<ReplicaId>()
  /** The reign is confirmed; only rows may be behind. */
  #confirmed: WaitingRead[] = []

  constructor(max: number) {
    this.#max = max
  }

  /** The number of the round that is under way; undefined when none is. */
  get open(): number | undefined {
    return this.#asking.length > 0 ? this.#round : undefined
  }

  get isFull(): boolean {
    return this.#waiting.length + this.#asking.length + this.#confirmed.length >= this.#max
  }

  /** A read that must see everything up to `sequence`. */
  ask(read: number, sequence: number): void {
    this.#waiting.push({ read, sequence })
  }

  /** Opens a round for what waits, if none is open. Returns its number: the question goes to everybody now. */
  begin(): number | undefined {
    if (this.#asking.length > 0 || this.#waiting.length === 0) return undefined
    this.#round += 1
    this.#asking = this.#waiting
    this.#waiting = []
    this.#answered = new Set()
    return this.#round
  }

  /** A replica knew of nobody newer after it was asked in `round`. */
  confirm(from: ReplicaId, round: number, decision: Decision): void {
    if (this.#asking.length === 0 || round !== this.#round) return
    this.#answered.add(from)
    if (!hasMajorities(decision, (id) => this.#answered.has(id))) return
    this.#confirmed.push(...this.#asking)
    this.#asking = []
  }

  /** Reads that rows can answer which hold everything up to `applied`. */
  takeReady(applied: number): number[] {
    const ready = this.#confirmed.filter(({ sequence }) => sequence <= applied)
    if (ready.length > 0) this.#confirmed = this.#confirmed.filter((read) => !ready.includes(read))
    return ready.map(({ read }) => read)
  }
}
