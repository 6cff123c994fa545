// How a reign begins: promises of majorities, the furthest log among theirs, and a copy of what the own log lacks of it.

import type { LogPosition } from '../log/contract.ts'
import { isSamePosition } from '../log/entry.ts'
import { type Decision, hasMajorities, type ReplicaId, votersOf } from './decision.ts'
import type { Emit, Limits } from './effects.ts'
import { comparePositions } from './log-tail.ts'
import type { Message, ReplicaAnswer } from './message.ts'
import type { ReplicaLog } from './replica-log.ts'

/** What a reign works with. */
export interface ReignParts {
  self: ReplicaId
  epoch: number
  log: ReplicaLog
  limits: Limits
  emit: Emit
}

type Phase =
  | { kind: 'fencing'; answers: Map<ReplicaId, LogPosition> }
  /** `from`: what the own log has of the other one by now. */
  | {
      kind: 'copying'
      source: ReplicaId
      target: LogPosition
      from: LogPosition
      idleTicks: number
    }
  | { kind: 'done' }

/** Gathers what may have been committed before this reign. */
export class Recovery {
  readonly #parts: ReignParts
  readonly #decision: Decision
  #phase: Phase = { kind: 'fencing', answers: new Map() }

  constructor(decision: Decision, parts: ReignParts) {
    this.#decision = decision
    this.#parts = parts
  }

  /** The own log holds everything that could have been committed before. */
  get isDone(): boolean {
    return this.#phase.kind === 'done'
  }

  /** Asks everybody for a promise: only once the own one is durable, so that this epoch is never used again. */
  begin(): void {
    for (const id of votersOf(this.#decision)) {
      const message = { kind: 'fence', epoch: this.#parts.epoch } as const
      this.#parts.log.afterPromise({ kind: 'send', to: id, message })
    }
  }

  receive(from: ReplicaId, answer: ReplicaAnswer): void {
    if (answer.kind === 'fenced') this.#fenced(from, answer.last)
    if (this.#phase.kind !== 'copying' || from !== this.#phase.source) return
    if (answer.kind === 'fetched') this.#fetched(answer)
    if (answer.kind === 'trimmed') this.#parts.log.copyRows(from)
  }

  tick(): void {
    if (this.#phase.kind === 'fencing') this.#fenceAgain(this.#phase.answers)
    if (this.#phase.kind !== 'copying') return
    this.#phase.idleTicks += 1
    // Who held the furthest log is gone: any other majority holds all that was committed as well.
    if (this.#phase.idleTicks > 4 * this.#parts.limits.resendTicks) this.#startOver()
    else if (this.#phase.idleTicks % this.#parts.limits.resendTicks === 0) this.#fetch()
  }

  /** Rows were copied: entries are wanted from there on. */
  rowsCopied(): void {
    if (this.#phase.kind !== 'copying') return
    const committed = this.#parts.log.committedPosition
    if (committed.sequence > this.#phase.from.sequence) this.#phase.from = committed
    this.#goOn()
  }

  #fenced(from: ReplicaId, last: LogPosition): void {
    if (this.#phase.kind !== 'fencing') return
    const { answers } = this.#phase
    answers.set(from, last)
    if (!hasMajorities(this.#decision, (id) => answers.has(id))) return
    this.#choose(answers)
  }

  #choose(answers: ReadonlyMap<ReplicaId, LogPosition>): void {
    const { self, log } = this.#parts
    let source = self
    let target = log.tail.last
    for (const [id, last] of answers) {
      if (comparePositions(last, target) > 0) [source, target] = [id, last]
    }
    const from = log.committedPosition
    this.#phase = { kind: 'copying', source, target, from, idleTicks: 0 }
    this.#goOn()
  }

  /** Entries of another log take the place of what the own one has there: the own one takes them like any replica. */
  #fetched({ after, entries }: ReplicaAnswer & { kind: 'fetched' }): void {
    if (this.#phase.kind !== 'copying' || !isSamePosition(after, this.#phase.from)) return
    const last = entries.at(-1)
    if (last === undefined) return
    const { self, epoch, log } = this.#parts
    const { committed } = log
    log.receive(self, { kind: 'append', epoch, previous: after, entries, committed, steady: true })
    this.#phase.from = { epoch: last.epoch, sequence: last.sequence }
    this.#goOn()
  }

  #goOn(): void {
    if (this.#phase.kind !== 'copying') return
    this.#phase.idleTicks = 0
    if (isSamePosition(this.#parts.log.tail.last, this.#phase.target)) {
      this.#phase = { kind: 'done' }
      return
    }
    this.#fetch()
  }

  #fetch(): void {
    if (this.#phase.kind !== 'copying') return
    const { source, from } = this.#phase
    this.#send(source, { kind: 'fetch', epoch: this.#parts.epoch, after: from })
  }

  #startOver(): void {
    this.#phase = { kind: 'fencing', answers: new Map() }
    this.begin()
  }

  #fenceAgain(answers: ReadonlyMap<ReplicaId, LogPosition>): void {
    for (const id of votersOf(this.#decision)) {
      const message = { kind: 'fence', epoch: this.#parts.epoch } as const
      if (!answers.has(id)) this.#parts.log.afterPromise({ kind: 'send', to: id, message })
    }
  }

  #send(to: ReplicaId, message: Message): void {
    this.#parts.emit({ kind: 'send', to, message })
  }
}
