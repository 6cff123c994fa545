// One replica: what it promised, what it holds, what of it is durable and what is committed.
// Every answer that others rely on waits until everything it says is on the drive.
import { assert } from '../../kit/assert.ts'
import type { LogPosition } from '../log/contract.ts'
import type { LogEntry } from '../log/entry.ts'
import { type Decision, decidedEpoch, type ReplicaId } from './decision.ts'
import type { DiskChange, DurableState, Effect, Emit, Limits } from './effects.ts'
import { LogTail } from './log-tail.ts'
import type { PrimaryMessage } from './message.ts'

interface ReplicaLogParts {
  self: ReplicaId
  limits: Limits
  emit: Emit
}

/** The log of one replica. */
export class ReplicaLog {
  readonly tail: LogTail
  readonly #parts: ReplicaLogParts
  #promised: number
  #promisedTo: ReplicaId | undefined
  #committed: number
  #applied: number
  /** Rows hold everything up to here. */
  #inRows: number
  /** Of what was handed to the rows, and is not in them yet. */
  #unappliedBytes = 0
  /** The log as it is now is durable up to this sequence. */
  #durable: number
  /** How far the log will be durable once a write is. */
  #marks: { write: number; sequence: number }[] = []
  #issuedWrites = 0
  #durableWrites = 0
  #promiseWrite = 0
  /** The write that puts copied rows in place: nothing is applied before. */
  #rowsWrite = 0
  #isCopying = false
  #held: { write: number; effect: Effect }[] = []

  constructor(state: DurableState, parts: ReplicaLogParts) {
    this.#parts = parts
    this.tail = new LogTail(state.base, state.entries)
    this.#promised = state.promised
    this.#promisedTo = state.promisedTo
    this.#applied = state.base.sequence
    this.#inRows = state.base.sequence
    this.#durable = this.tail.last.sequence
    this.#committed = state.entries.reduce(
      (highest, { committed }) => Math.max(highest, committed),
      state.base.sequence,
    )
  }

  /** Nothing of older reigns is taken. */
  get promised(): number {
    return this.#promised
  }

  /** Everything up to this sequence is known to be committed. */
  get committed(): number {
    return this.#committed
  }

  /** Everything up to this sequence was handed to the rows. */
  get applied(): number {
    return this.#applied
  }

  /** Rows hold everything up to this sequence, and maybe more. */
  get inRows(): number {
    return this.#inRows
  }

  /** Where the log is surely the same as that of every later primary. */
  get committedPosition(): LogPosition {
    const epoch = this.tail.epochAt(this.#committed)
    assert(epoch !== undefined, 'what is committed is in the log or below its base')
    return { epoch, sequence: this.#committed }
  }

  /** The number of the last write that is durable. */
  get durableWrites(): number {
    return this.#durableWrites
  }

  /** Whether what was promised last is durable, and no copy of rows is under way that came from a reign before it. */
  get isPromiseKept(): boolean {
    return !this.#isCopying && Math.max(this.#promiseWrite, this.#rowsWrite) <= this.#durableWrites
  }

  /** Whether writes are under way. */
  get isWriting(): boolean {
    return this.#issuedWrites > this.#durableWrites
  }

  /** Hands to the rows what is known to be committed already. */
  start(): void {
    this.#apply()
  }

  /** Answers a primary. Returns whether it was not refused. */
  receive(from: ReplicaId, message: PrimaryMessage): boolean {
    const { epoch } = message
    if (this.#isBound(from, epoch)) {
      const answer = { kind: 'refused', epoch, promised: this.#promised } as const
      this.#parts.emit({ kind: 'send', to: from, message: answer })
      return false
    }
    const changes = this.#promise(epoch, from)
    const taken = this.#isFullFor(from) ? this.#withoutNew(message) : message
    if (taken.kind === 'append') changes.push(...this.#take(taken))
    const write = this.#write(changes)
    if (changes.some(({ kind }) => kind === 'promise')) this.#promiseWrite = write
    this.#answer(from, taken)
    this.#apply()
    return true
  }

  /** A reign of `to` begins here, or of nobody: nothing of it may be said before this is durable. */
  promise(epoch: number, to: ReplicaId): void {
    assert(epoch > this.#promised, 'a reign begins in an epoch that was never used')
    this.#promiseWrite = this.#write(this.#promise(epoch, to))
  }

  /** Hands an effect on once the last promise is durable. */
  afterPromise(effect: Effect): void {
    this.#hold(this.#promiseWrite, effect)
  }

  /** Keeps something else of the partition, in order with the log. */
  keep(change: DiskChange): void {
    this.#write([change])
  }

  /** The primary, which lives beside this replica, counted majorities up to `sequence`. */
  commit(sequence: number): void {
    assert(sequence <= this.tail.last.sequence, 'what is committed is in the log of the primary')
    this.#committed = Math.max(this.#committed, sequence)
    this.#apply()
  }

  /** Every write up to `number` is durable. */
  durable(number: number): void {
    assert(number <= this.#issuedWrites, 'only what was asked for becomes durable')
    if (number <= this.#durableWrites) return
    this.#durableWrites = number
    for (const { write, sequence } of this.#marks) {
      if (write <= number) this.#durable = Math.max(this.#durable, sequence)
    }
    this.#marks = this.#marks.filter(({ write }) => write > number)
    const released = this.#held.filter(({ write }) => write <= number)
    this.#held = this.#held.filter(({ write }) => write > number)
    for (const { effect } of released) this.#parts.emit(effect)
    this.#apply()
  }

  /** Asks for rows of another replica, unless that is under way. */
  copyRows(source: ReplicaId): void {
    if (this.#isCopying) return
    this.#isCopying = true
    this.#parts.emit({ kind: 'copy-rows', source })
  }

  /** Rows as of `position` were copied and are durable beside the own ones; undefined when that failed. */
  rowsCopied(position: LogPosition | undefined, copy: number): void {
    this.#isCopying = false
    if (position === undefined || position.sequence <= this.#committed) return
    const keepsTail = this.tail.epochAt(position.sequence) === position.epoch
    this.tail.rebase(position)
    this.#committed = position.sequence
    this.#applied = position.sequence
    this.#inRows = position.sequence
    this.#unappliedBytes = 0
    if (!keepsTail) this.#clip(position.sequence)
    this.#rowsWrite = this.#write([{ kind: 'rows', copy, position, keepsTail }])
    this.#marks.push({ write: this.#rowsWrite, sequence: position.sequence })
  }

  /** Rows hold everything up to `sequence`. */
  rowsReached(sequence: number): void {
    assert(sequence <= this.#applied, 'rows hold only what was applied')
    // Those that were copied are further than what was under way.
    if (sequence <= this.#inRows) return
    this.#unappliedBytes -= bytesOf(this.tail.between(this.#inRows, sequence))
    this.#inRows = sequence
  }

  /** Rows are durable up to `sequence`, which was applied: a restart will not need the log before. What comes after `lackedAfter` others lack. */
  rowsDurable(sequence: number, lackedAfter: number | undefined): void {
    this.rowsReached(sequence)
    const { retainEntries, retainBytes, lackedEntries, lackedBytes } = this.#parts.limits
    const portion = { entries: lackedEntries, bytes: lackedBytes }
    const lacked = lackedAfter === undefined ? undefined : { after: lackedAfter, portion }
    this.tail.forget(sequence, { entries: retainEntries, bytes: retainBytes }, lacked)
  }

  /**
   * Whether something else was promised than this epoch to this primary. Etcd gives an epoch once; one that was restored, and is believed by
   * who does not know better, gives it to another primary again, whom nobody may follow who followed the first.
   */
  #isBound(to: ReplicaId, epoch: number): boolean {
    const isOfAnother = this.#promisedTo !== undefined && this.#promisedTo !== to
    return epoch < this.#promised || (epoch === this.#promised && isOfAnother)
  }

  #promise(epoch: number, to: ReplicaId): DiskChange[] {
    if (epoch === this.#promised && to === this.#promisedTo) return []
    this.#promised = epoch
    this.#promisedTo = to
    return [{ kind: 'promise', epoch, to }]
  }

  /**
   * Whether so much waits for the rows that nothing new is taken: it is committed, and goes without another word of the primary. What is not committed does not
   * count, for maybe nothing is before this replica takes more. What a primary gives itself is taken: that is bounded by what it proposes.
   */
  #isFullFor(from: ReplicaId): boolean {
    const { unappliedEntries, unappliedBytes } = this.#parts.limits
    const entries = this.#applied - this.#inRows
    if (from === this.#parts.self) return false
    return entries >= unappliedEntries || this.#unappliedBytes >= unappliedBytes
  }

  /** What is committed by now is heard all the same. */
  #withoutNew(message: PrimaryMessage): PrimaryMessage {
    if (message.kind !== 'append') return message
    const first = this.#firstNew(message.entries)
    return first === -1 ? message : { ...message, entries: message.entries.slice(0, first) }
  }

  /** Puts entries into the log where they fit; what it already has stays, what differs goes. */
  #take({ previous, entries, committed }: PrimaryMessage & { kind: 'append' }): DiskChange[] {
    if (!this.#matches(previous)) return []
    const first = this.#firstNew(entries)
    const fresh = first === -1 ? [] : entries.slice(first)
    if (fresh.length > 0) this.#replaceFrom(fresh)
    // Beyond what this message matched, the log may still hold what is not committed at all.
    const matched = previous.sequence + entries.length
    this.#committed = Math.max(this.#committed, Math.min(committed, matched))
    return fresh.length > 0 ? [{ kind: 'entries', entries: fresh }] : []
  }

  /** The place of the first entry that the log does not have; -1 where it has all of them. */
  #firstNew(entries: readonly LogEntry[]): number {
    return entries.findIndex((entry) => !this.#matches(entry))
  }

  #replaceFrom(entries: readonly LogEntry[]): void {
    const first = entries[0]!.sequence
    assert(first > this.#committed, 'nothing that is committed is cut off')
    if (first <= this.tail.last.sequence) this.#clip(first - 1)
    for (const entry of entries) this.tail.append(entry)
    this.#marks.push({ write: this.#issuedWrites + 1, sequence: this.tail.last.sequence })
  }

  /** What comes after `sequence` is not what is durable there any more. */
  #clip(sequence: number): void {
    this.#durable = Math.min(this.#durable, sequence)
    for (const mark of this.#marks) mark.sequence = Math.min(mark.sequence, sequence)
  }

  /** Below the base everything is committed, and so the same everywhere. */
  #matches({ epoch, sequence }: LogPosition): boolean {
    return sequence < this.tail.base.sequence || this.tail.epochAt(sequence) === epoch
  }

  #answer(from: ReplicaId, message: PrimaryMessage): void {
    const { epoch } = message
    switch (message.kind) {
      case 'append':
        this.#answerAppend(from, message)
        return
      case 'fence': {
        const last = this.tail.last
        this.#sendDurable(from, { kind: 'fenced', epoch, last })
        return
      }
      case 'fetch':
        this.#answerFetch(from, message)
        return
      case 'confirm': {
        const answer = { kind: 'confirmed', epoch, round: message.round } as const
        this.afterPromise({ kind: 'send', to: from, message: answer })
        return
      }
      case 'install':
        this.#answerInstall(from, message)
        return
    }
  }

  #answerAppend(from: ReplicaId, message: PrimaryMessage & { kind: 'append' }): void {
    const { epoch, previous, entries } = message
    // Whoever is told that gets no more than one message for each answer that does not come: the network carries little in vain.
    const isRefused = entries.length === 0 && this.#isFullFor(from)
    if (isRefused || !this.#matches(previous)) {
      this.#sendBehind(from, epoch)
      return
    }
    const matched = previous.sequence + entries.length
    this.#sendDurable(from, { kind: 'appended', epoch, matched })
  }

  #answerFetch(from: ReplicaId, { epoch, after }: PrimaryMessage & { kind: 'fetch' }): void {
    const { base } = this.tail
    if (after.sequence < base.sequence) {
      this.#sendDurable(from, { kind: 'trimmed', epoch, base })
      return
    }
    // The question is late: since then this reign chose another log than this one was, and replaced its end.
    if (!this.#matches(after)) return
    const { messageEntries: count, messageBytes: bytes } = this.#parts.limits
    const entries = this.tail.after(after.sequence, { entries: count, bytes })
    this.#sendDurable(from, { kind: 'fetched', epoch, after, entries })
  }

  #answerInstall(from: ReplicaId, { epoch, base }: PrimaryMessage & { kind: 'install' }): void {
    if (this.#committed >= base.sequence) {
      this.#sendBehind(from, epoch)
      return
    }
    this.copyRows(from)
  }

  #sendBehind(from: ReplicaId, epoch: number): void {
    this.#sendDurable(from, { kind: 'behind', epoch, committed: this.committedPosition })
  }

  #sendDurable(to: ReplicaId, message: (Effect & { kind: 'send' })['message']): void {
    this.#hold(this.#issuedWrites, { kind: 'send', to, message })
  }

  /** While a drive hangs, answers beyond the limit are lost, as any message may be. */
  #hold(write: number, effect: Effect): void {
    if (write <= this.#durableWrites) this.#parts.emit(effect)
    else if (this.#held.length < this.#parts.limits.answersMax) this.#held.push({ write, effect })
  }

  #write(changes: readonly DiskChange[]): number {
    if (changes.length === 0) return this.#issuedWrites
    this.#issuedWrites += 1
    this.#parts.emit({ kind: 'write', number: this.#issuedWrites, changes })
    return this.#issuedWrites
  }

  #apply(): void {
    if (this.#rowsWrite > this.#durableWrites) return
    const to = Math.min(this.#committed, this.#durable)
    if (to <= this.#applied) return
    const entries = this.tail.between(this.#applied, to)
    this.#applied = to
    this.#unappliedBytes += bytesOf(entries)
    this.#parts.emit({ kind: 'apply', entries })
  }
}

function bytesOf(entries: readonly LogEntry[]): number {
  return entries.reduce((sum, { batch }) => sum + batch.length, 0)
}

/** Whether a replica that is in no set any more may be deleted: `decision` is not older than what it took part in. */
export function mayRetire(
  { promised, id }: { promised: number; id: ReplicaId },
  decision: Decision,
): boolean {
  return (
    decision.previous === undefined &&
    !decision.replicas.includes(id) &&
    decision.epoch >= decidedEpoch(promised)
  )
}
