// One time in office of a primary: it recovers what was before, then orders entries and answers for reads.
// A reign has an epoch of its own and never comes back: who begins again begins another one.
import { assert } from '../../kit/assert.ts'
import type { LogPosition } from '../log/contract.ts'
import type { LogEntry } from '../log/entry.ts'
import {
  type Decision,
  hasMajorities,
  heldByMajorities,
  type ReplicaId,
  votersOf,
} from './decision.ts'
import { Follower } from './follower.ts'
import { type MembershipStep, nextStep } from './membership.ts'
import type { ReplicaAnswer } from './message.ts'
import { ReadRounds } from './read-rounds.ts'
import { Recovery, type ReignParts } from './recovery.ts'

const NO_CHANGES = Uint8Array.of(0, 0, 0, 0)

/** Why a proposal or a read is not taken; nothing was done. */
export type NotTaken =
  /** Not primary, or not yet ready. */
  | { kind: 'not-serving'; primary: ReplicaId | undefined }
  /** Too much waits. */
  | { kind: 'busy' }

/** How it went since the last tick. */
export interface ReignTick {
  /** A write of the own log did not end. */
  isLate: boolean
  /** The own rows took nothing of what waits for them. */
  areRowsLate: boolean
  /** Those who have everything hear of us, too. */
  isBeat: boolean
}

/** The primary of one epoch. */
export class Reign {
  readonly epoch: number
  readonly #parts: ReignParts
  readonly #recovery: Recovery
  readonly #reads: ReadRounds
  readonly #followers = new Map<ReplicaId, Follower>()
  #decision: Decision
  /** Sequence of the first entry of this epoch: nothing is committed by counting before it is. */
  #first: number | undefined
  #ownMatched = 0
  #isServing = false
  #learner: ReplicaId | undefined
  #pending: { sequence: number; bytes: number }[] = []
  #pendingBytes = 0
  #lateTicks = 0
  #rowsLateTicks = 0

  constructor(decision: Decision, parts: ReignParts) {
    this.epoch = parts.epoch
    this.#decision = decision
    this.#parts = parts
    this.#reads = new ReadRounds(parts.limits.readsMax)
    this.#recovery = new Recovery(decision, parts)
    this.#recovery.begin()
  }

  get isServing(): boolean {
    return this.#isServing
  }

  /** Whether it did hear of majorities lately, and its own drive keeps up. */
  get isSteady(): boolean {
    const { lateTicks, rowsLateTicks } = this.#parts.limits
    const isNear = (id: ReplicaId): boolean =>
      id === this.#parts.self || (this.#followers.get(id)?.silentTicks ?? 0) < lateTicks
    if (this.#lateTicks >= lateTicks || this.#rowsLateTicks >= rowsLateTicks) return false
    return hasMajorities(this.#decision, isNear)
  }

  /** What comes after this sequence somebody lacks who is heard; undefined where nobody is. Who is silent may be gone for long. */
  get lackedAfter(): number | undefined {
    const heard = [...this.#followers.values()].filter((follower) => this.#isHeard(follower))
    return heard.length === 0 ? undefined : Math.min(...heard.map(({ matched }) => matched))
  }

  /** The same epoch was activated: fewer count from now on. */
  adopt(decision: Decision): void {
    this.#decision = decision
    // Before the log is chosen nobody is asked to match what may yet be replaced.
    if (this.#first !== undefined) this.#tend()
  }

  /** Orders a batch. */
  propose(batch: Uint8Array): LogPosition | NotTaken {
    if (!this.#isServing) return { kind: 'not-serving', primary: this.#parts.self }
    const { pendingEntries, pendingBytes } = this.#parts.limits
    const isFull = this.#pending.length >= pendingEntries || this.#pendingBytes >= pendingBytes
    return isFull ? { kind: 'busy' } : this.#append(batch)
  }

  /** A read of everything that was committed by now, and of the log up to `atLeast`. */
  read(read: number, atLeast: number): { kind: 'asked' } | NotTaken {
    if (!this.#isServing) return { kind: 'not-serving', primary: this.#parts.self }
    if (this.#reads.isFull) return { kind: 'busy' }
    this.#reads.ask(read, Math.max(atLeast, this.#parts.log.committed))
    return { kind: 'asked' }
  }

  receive(from: ReplicaId, answer: ReplicaAnswer): void {
    this.#followers.get(from)?.heard()
    if (!this.#recovery.isDone) this.#recovery.receive(from, answer)
    if (answer.kind === 'appended') this.#appended(from, answer.matched)
    if (answer.kind === 'behind') this.#behind(from, answer.committed)
    if (answer.kind === 'confirmed') this.#reads.confirm(from, answer.round, this.#decision)
  }

  /** Time passes. */
  tick({ isLate, areRowsLate, isBeat }: ReignTick): void {
    this.#lateTicks = isLate ? this.#lateTicks + 1 : 0
    this.#rowsLateTicks = areRowsLate ? this.#rowsLateTicks + 1 : 0
    if (!this.#recovery.isDone) this.#recovery.tick()
    const { tail } = this.#parts.log
    for (const [id, follower] of this.#followers) {
      follower.tick(tail.last.sequence)
      const isQuiet = follower.matched === tail.last.sequence && follower.silentTicks <= 1
      if (isBeat || !isQuiet) this.#sendAppend(id, follower.place(tail), [])
    }
    if (this.#reads.open !== undefined) this.#askAll(this.#reads.open)
  }

  /** Rows of another replica took the place of the own ones. */
  rowsCopied(): void {
    this.#recovery.rowsCopied()
  }

  /** What follows from all that happened so far: entries to send, reads to answer. */
  goOn(): void {
    if (this.#first === undefined && this.#recovery.isDone) this.#begin()
    if (this.#first === undefined) return
    this.#count()
    this.#serve(this.#first)
    for (const [id, follower] of this.#followers) this.#sendEntries(id, follower)
    const round = this.#reads.begin()
    if (round !== undefined) this.#askAll(round)
    for (const read of this.#reads.takeReady(this.#parts.log.applied)) {
      this.#parts.emit({ kind: 'read-ready', read })
    }
  }

  /** The next step towards the wanted replicas; a learner is taught from now on. */
  changeTowards(wanted: readonly ReplicaId[]): MembershipStep {
    const step = nextStep({
      self: this.#parts.self,
      decision: this.#decision,
      wanted,
      isServing: this.#isServing,
      hasLearned: (id) => this.#hasLearned(id),
    })
    const learner = step.kind === 'teach' ? step.learner : undefined
    if (learner !== this.#learner && step.kind !== 'decide') {
      this.#learner = learner
      this.#tend()
    }
    return step
  }

  /** The first of these that could lead soon: it counts, is heard, and lacks little or nothing. */
  heirAmong(ids: readonly ReplicaId[]): ReplicaId | undefined {
    if (!this.#isServing) return undefined
    const { replicas } = this.#decision
    const others = ids.filter((id) => id !== this.#parts.self && replicas.includes(id))
    return others.find((id) => this.#hasLearned(id))
  }

  #hasLearned(id: ReplicaId): boolean {
    const follower = this.#followers.get(id)
    if (follower === undefined || follower.matched === 0) return false
    const { learnedEntries } = this.#parts.limits
    const lacks = this.#parts.log.tail.last.sequence - follower.matched
    return lacks <= learnedEntries && this.#isHeard(follower)
  }

  #isHeard({ silentTicks }: Follower): boolean {
    return silentTicks < this.#parts.limits.lateTicks
  }

  /** An entry of the own epoch first: only through it is anything older committed. */
  #begin(): void {
    this.#tend()
    this.#first = this.#append(NO_CHANGES).sequence
  }

  /** Everybody that counts, and who learns, is sent entries; nobody else. */
  #tend(): void {
    const { self, log, limits } = this.#parts
    const ids = new Set([...votersOf(this.#decision), ...(this.#learner ? [this.#learner] : [])])
    ids.delete(self)
    for (const id of this.#followers.keys()) if (!ids.has(id)) this.#followers.delete(id)
    for (const id of ids) {
      if (this.#followers.has(id)) continue
      this.#followers.set(id, new Follower(log.tail.last.sequence, limits))
    }
  }

  /** The own replica takes an entry like every other; it counts once its drive has it. */
  #append(batch: Uint8Array): LogPosition {
    const { self, epoch, log } = this.#parts
    const previous = log.tail.last
    const sequence = previous.sequence + 1
    const { committed } = log
    const entry = { epoch, sequence, prevEpoch: previous.epoch, committed, batch }
    const entries = [entry]
    const wasTaken = log.receive(self, {
      kind: 'append',
      epoch,
      previous,
      entries,
      committed,
      steady: true,
    })
    assert(wasTaken, 'a reign ends before its own replica promises a newer one')
    this.#pending.push({ sequence, bytes: batch.length })
    this.#pendingBytes += batch.length
    return { epoch, sequence }
  }

  #appended(from: ReplicaId, matched: number): void {
    if (from === this.#parts.self) this.#ownMatched = Math.max(this.#ownMatched, matched)
    else this.#followers.get(from)?.appended(matched)
  }

  #behind(from: ReplicaId, committed: LogPosition): void {
    const { tail } = this.#parts.log
    const isOld = committed.sequence < tail.base.sequence
    const isOurs = tail.epochAt(committed.sequence) === committed.epoch
    assert(isOld || isOurs, 'a primary has all that is committed')
    this.#followers.get(from)?.behind(committed.sequence)
  }

  /** Commits what majorities hold, from the first entry of this epoch on (Raft, 5.4.2). */
  #count(): void {
    const reached = heldByMajorities(this.#decision, (id) => this.#matchedOf(id))
    if (this.#first === undefined || reached < this.#first) return
    if (reached <= this.#parts.log.committed) return
    this.#parts.log.commit(reached)
    const open = this.#pending.findIndex(({ sequence }) => sequence > reached)
    const done = this.#pending.splice(0, open === -1 ? this.#pending.length : open)
    for (const { bytes } of done) this.#pendingBytes -= bytes
  }

  #matchedOf(id: ReplicaId): number {
    return id === this.#parts.self ? this.#ownMatched : (this.#followers.get(id)?.matched ?? 0)
  }

  #serve(first: number): void {
    if (this.#isServing || this.#parts.log.applied < first) return
    this.#isServing = true
    this.#parts.emit({ kind: 'serving', epoch: this.epoch })
  }

  #sendEntries(id: ReplicaId, follower: Follower): void {
    const { tail } = this.#parts.log
    for (let next = follower.take(tail); next !== undefined; next = follower.take(tail)) {
      if (next.kind === 'entries') this.#sendAppend(id, next.previous, next.entries)
      else this.#sendInstall(id, next.base)
    }
  }

  #sendInstall(to: ReplicaId, base: LogPosition): void {
    const message = { kind: 'install', epoch: this.epoch, base } as const
    this.#parts.emit({ kind: 'send', to, message })
  }

  #sendAppend(to: ReplicaId, previous: LogPosition, entries: readonly LogEntry[]): void {
    const { committed } = this.#parts.log
    const steady = this.isSteady
    const message = {
      kind: 'append',
      epoch: this.epoch,
      previous,
      entries,
      committed,
      steady,
    } as const
    this.#parts.emit({ kind: 'send', to, message })
  }

  #askAll(round: number): void {
    for (const to of votersOf(this.#decision)) {
      this.#parts.emit({ kind: 'send', to, message: { kind: 'confirm', epoch: this.epoch, round } })
    }
  }
}
