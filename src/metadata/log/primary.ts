// The one who orders entries: numbers them, and knows from acknowledgements which are committed.
// No I/O: it is told what happened and says what follows. The quorum rule is a parameter.
import { assert } from '../../kit/assert.ts'
import type { LogPosition } from './contract.ts'
import type { EntryHead } from './entry.ts'

/** `all`: embedded, an entry is committed once durable on every in-sync replica. `majority`: clusters. */
export type QuorumRule = 'all' | 'majority'

/** Order and commitment of one partition in one process. Replicas are named by `Id`. */
export class Primary<Id> {
  readonly #rule: QuorumRule
  readonly #durable: Map<Id, number>
  #epoch: number
  #last: LogPosition
  #committed: number
  /** First sequence of the current epoch: majorities commit older entries only through a newer one. */
  #epochStart: number

  /** `last` is where recovery ended; every voter holds everything up to it. */
  constructor(options: {
    rule: QuorumRule
    epoch: number
    last: LogPosition
    voters: Iterable<Id>
  }) {
    this.#rule = options.rule
    this.#epoch = options.epoch
    this.#last = options.last
    this.#committed = options.last.sequence
    this.#epochStart = options.last.sequence + 1
    this.#durable = new Map([...options.voters].map((voter) => [voter, options.last.sequence]))
  }

  get epoch(): number {
    return this.#epoch
  }

  /** The last entry that was given a number. */
  get last(): LogPosition {
    return this.#last
  }

  /** Every entry up to this sequence is committed. */
  get committed(): number {
    return this.#committed
  }

  get voters(): Id[] {
    return [...this.#durable.keys()]
  }

  /** Numbers the next entry. */
  propose(): EntryHead {
    const head: EntryHead = {
      epoch: this.#epoch,
      sequence: this.#last.sequence + 1,
      prevEpoch: this.#last.epoch,
      committed: this.#committed,
    }
    this.#last = { epoch: head.epoch, sequence: head.sequence }
    return head
  }

  /** A replica holds everything up to `sequence`. Returns what is committed now. */
  acknowledge(voter: Id, sequence: number): number {
    const known = this.#durable.get(voter)
    if (known !== undefined && sequence > known) this.#durable.set(voter, sequence)
    return this.#advance()
  }

  /** One more replica is needed for commitment, from what it holds on. */
  addVoter(voter: Id, durable: number): void {
    assert(!this.#durable.has(voter), 'a replica joins once')
    this.#durable.set(voter, durable)
  }

  /** A new epoch with fewer voters: only after the coordinator decided it. Returns what is committed now. */
  adopt(epoch: number, voters: ReadonlySet<Id>): number {
    assert(epoch >= this.#epoch, 'epochs grow')
    if (epoch > this.#epoch) this.#epochStart = this.#last.sequence + 1
    this.#epoch = epoch
    for (const voter of this.#durable.keys()) if (!voters.has(voter)) this.#durable.delete(voter)
    return this.#advance()
  }

  #advance(): number {
    const reached = this.#quorumSequence()
    if (reached > this.#committed && this.#mayCommit(reached)) this.#committed = reached
    return this.#committed
  }

  #quorumSequence(): number {
    const durable = [...this.#durable.values()].sort((left, right) => right - left)
    if (durable.length === 0) return this.#committed
    const needed = this.#rule === 'all' ? durable.length : Math.floor(durable.length / 2) + 1
    return durable[needed - 1]!
  }

  #mayCommit(reached: number): boolean {
    return this.#rule === 'all' || reached >= this.#epochStart
  }
}
