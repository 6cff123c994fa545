// One metadata partition in this process: numbers its entries, sends them to the logs of its replicas,
// applies what is committed. Who its replicas are is the coordinator's to decide.

import { assert } from '../../kit/assert.ts'
import { Overloaded } from '../../kit/semaphore.ts'
import type { Clock } from '../../kit/world.ts'
import type { LogPosition, RowBatch } from '../../metadata/log/contract.ts'
import { type EntryHead, encodeBatch } from '../../metadata/log/entry.ts'
import { Primary } from '../../metadata/log/primary.ts'
import { acceptAppend } from '../../metadata/log/replica.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import type { MetaPartitionState, Replica } from '../../placement/coordinator.ts'
import { mayPass, saysNoSpace } from '../drive-errors.ts'
import { sealRows } from '../meta-rows/meta-rows.ts'
import type { ReplicaStatus } from '../meta-rows/status.ts'
import { Departure } from './departure.ts'
import type { HostDrive, RowsToApply } from './drive.ts'
import { isReader, isReplica, type Member } from './member.ts'
import { APPLY_ENTRIES, committedEntries, type Pending } from './pending.ts'
import { RowCache } from './row-cache.ts'

/** By which clock a replica is late, and who looks after a member that has trouble with its rows. */
export interface PartitionParts {
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  /** Rows of a member could not be changed or read. */
  onBadRows(member: Member, cause: unknown): void
  /** There was no room for a change. True once the rows are what they were before it and can be changed again. */
  resumeRows(member: Member): Promise<boolean>
  /** The coordinator counts a replica that the partition does not have: until a decision drops it nothing is committed. */
  onMissing(replica: Replica): void
}

// The partition above bounds its own commands far below this.
const PENDING_MAX = 8_192
// Rows for which nobody waits are applied so often, those of all partitions at the same times: a drive takes them as one batch.
const APPLY_EVERY_MS = 25
const RETRY_WHEN_REFUSED_MS = 500
// A learner has what it lacks on its way. Where nothing new is appended nobody else finds it late.
const CATCH_UP_MS = 5_000
// Thousands wait for the drive already.
const RETRY_WHEN_BUSY_MS = 100
// LevelDB makes writers wait while it compacts: that is no reason yet to copy everything elsewhere.
const APPLY_LATENESS = 5

/** The log of one partition, as its primary. */
export class HostedPartition {
  readonly id: number
  readonly cache = new RowCache()
  readonly #parts: PartitionParts
  readonly #members = new Map<number, Member>()
  /** Drives of replicas that count and are not here. */
  #missing: ReadonlySet<number> = new Set()
  readonly #pending: Pending[] = []
  readonly #tasks: { run(): Promise<void>; refuse(cause: unknown): void }[] = []
  #primary: Primary<number>
  #applied: LogPosition
  #working: Promise<void> = Promise.resolve()
  #isWorking = false
  /** Up to here onDurable was called. */
  #told = 0
  /** Up to here somebody waits for the rows. */
  #wanted = 0
  #endWaiting: () => void = () => {}
  #applying: { waiting: Set<Member>; firstDoneMs: number | undefined } | undefined
  #stopped: MetadataUnavailable | undefined

  /** Starts where recovery ended: every replica holds everything up to `tip`, in its log or its rows. */
  constructor(
    start: {
      id: number
      state: MetaPartitionState
      tip: LogPosition
      hosts: ReadonlyMap<number, HostDrive>
    },
    parts: PartitionParts,
  ) {
    this.id = start.id
    this.#parts = parts
    this.#applied = start.tip
    const voters = start.state.inSync.map(({ driveId }) => driveId)
    this.#primary = new Primary({ rule: 'all', epoch: start.state.epoch, last: start.tip, voters })
    for (const replica of start.state.inSync) {
      const host = start.hosts.get(replica.driveId)
      if (host !== undefined) this.#addMember(replica, host, 'voter', start.tip)
    }
  }

  /** Everything up to here is in the rows of every replica. */
  get applied(): LogPosition {
    return this.#applied
  }

  get stopped(): MetadataUnavailable | undefined {
    return this.#stopped
  }

  get members(): Member[] {
    return [...this.#members.values()]
  }

  /** In-sync replicas whose rows can be read, in the order of the set. */
  get readers(): Member[] {
    return this.members.filter(isReader)
  }

  /** Whether there are such replicas, and the partition goes on. */
  get isReadable(): boolean {
    if (this.#stopped !== undefined) return false
    for (const member of this.#members.values()) if (isReader(member)) return true
    return false
  }

  /** As PartitionLog says. Refused only when the partition is stopped or thousands wait already. */
  append(batch: RowBatch, onDurable?: () => void): Promise<LogPosition> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped)
    if (this.#pending.length >= PENDING_MAX) {
      return Promise.reject(
        new Overloaded('too many changes of a metadata partition are under way'),
      )
    }
    return new Promise((resolve, reject) => {
      const head = this.#primary.propose()
      const bytes = encodeBatch(batch)
      const pending = { head, batch, bytes, firstDurableMs: undefined, onDurable, resolve, reject }
      this.#pending.push(pending)
      if (onDurable === undefined) this.hurry()
      for (const member of this.#members.values()) this.#send(member, pending)
    })
  }

  /** Whatever was appended is applied as soon as it is committed. */
  hurry(): void {
    this.#wanted = this.#primary.last.sequence
    this.#endWaiting()
  }

  /** Runs `task` while nothing is applied: all replicas then have the same rows. */
  exclusive<T>(task: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#stopped !== undefined) {
        reject(this.#stopped)
        return
      }
      this.#tasks.push({ run: () => task().then(resolve, reject), refuse: reject })
      this.#endWaiting()
      this.#wake()
    })
  }

  /** Takes over what the coordinator decided: who left is waited for no more. */
  adopt({ epoch, inSync }: MetaPartitionState): void {
    if (this.#stopped !== undefined) return
    this.#waitForMissing(inSync)
    for (const member of this.members) {
      const counts = inSync.some((replica) => isReplica(replica, member))
      if (counts) member.role = 'voter'
      else if (member.role === 'voter') this.#remove(member)
    }
    this.#primary.adopt(epoch, this.#waitedFor())
    this.#goOnOrStop()
  }

  /** A learner: from now on it gets every entry and every change. Called while exclusive. */
  addLearner(replica: Replica, host: HostDrive): Member {
    host.attach(this.id, replica.incarnation, this.#applied)
    const member = this.#addMember(replica, host, 'learner', this.#applied)
    for (const pending of this.#pending) this.#send(member, pending)
    return member
  }

  /**
   * From now on nothing is committed without the learner; resolves when it holds all that was appended. False when it left
   * or does not get there.
   */
  async requireLearner(member: Member): Promise<boolean> {
    assert(member.role === 'learner', 'only a learner becomes required')
    if (!this.#isMember(member)) return false
    this.#primary.addVoter(member.driveId, member.durable)
    const { clock } = this.#parts
    const target = this.#primary.last.sequence
    const untilMs = clock.monotonicMs() + CATCH_UP_MS
    while (member.durable < target && this.#isMember(member)) {
      if (clock.monotonicMs() >= untilMs) return false
      await clock.sleep(10)
    }
    return this.#isMember(member)
  }

  /**
   * The coordinator is about to be asked to count the learner, which is required by now. False when it left, or its rows
   * may lack something: then it is not to be asked.
   */
  beginJoining(member: Member): boolean {
    assert(member.role === 'learner', 'a replica joins once')
    if (this.#stopped !== undefined || !this.#isMember(member) || !member.readable) return false
    assert(this.#primary.voters.includes(member.driveId), 'nothing is committed without it')
    member.role = 'joining'
    return true
  }

  /** The coordinator surely does not count the one that was joining. */
  endJoining(member: Member): void {
    if (member.role !== 'joining') return
    this.#remove(member)
    this.#goOnOrStop()
  }

  /** A copy is given up. One that may count already stays. */
  removeLearner(member: Member): void {
    if (member.role === 'learner') this.#remove(member)
  }

  /** Members that everyone waits for although another was done `lateMs` ago. */
  laggards(lateMs: number): Member[] {
    const nowMs = this.#parts.clock.monotonicMs()
    const isLate = (sinceMs: number | undefined, factor = 1): boolean =>
      sinceMs !== undefined && nowMs - sinceMs >= lateMs * factor
    if (isLate(this.#applying?.firstDoneMs, APPLY_LATENESS)) return [...this.#applying!.waiting]
    const oldest = this.#pending[0]
    if (!isLate(oldest?.firstDurableMs)) return []
    return this.members.filter(({ durable }) => durable < oldest!.head.sequence)
  }

  /** Nothing more is answered. */
  stop(cause: MetadataUnavailable): void {
    if (this.#stopped !== undefined) return
    this.#stopped = cause
    this.#endWaiting()
    for (const { reject } of this.#pending.splice(0)) reject(cause)
    for (const { refuse } of this.#tasks.splice(0)) refuse(cause)
    // Nobody is late any more where nothing is appended: whoever makes copies must not wait for a drive that hangs.
    for (const member of this.members) this.removeLearner(member)
  }

  /** Waits for what is being applied. */
  async settled(): Promise<void> {
    this.hurry()
    await this.#working
  }

  /** Forgets a member; its place in the in-sync set is not touched. */
  #remove(member: Member): void {
    if (!this.#isMember(member)) return
    this.#members.delete(member.driveId)
    this.#primary.adopt(this.#primary.epoch, this.#waitedFor())
    member.host.detach(this.id)
    member.departure.leave()
    this.#wake()
  }

  /** What is committed without an in-sync replica is lost where that one alone is left: such a set is not acted upon. */
  #waitForMissing(inSync: readonly Replica[]): void {
    const isHere = (replica: Replica): boolean =>
      this.members.some((member) => member.role !== 'learner' && isReplica(replica, member))
    const missing = inSync.filter((replica) => !isHere(replica))
    const before = this.#missing
    this.#missing = new Set(missing.map(({ driveId }) => driveId))
    for (const replica of missing.filter(({ driveId }) => !before.has(driveId))) {
      const other = this.#members.get(replica.driveId)
      if (other !== undefined) this.#remove(other)
      if (!this.#primary.voters.includes(replica.driveId))
        this.#primary.addVoter(replica.driveId, this.#primary.committed)
      this.#parts.onMissing(replica)
    }
  }

  #waitedFor(): Set<number> {
    return new Set([...this.#members.keys(), ...this.#missing])
  }

  #goOnOrStop(): void {
    const lives = this.members.some(
      ({ role, host }) => role !== 'learner' && host.drive.failure === undefined,
    )
    if (lives) this.#wake()
    else
      this.stop(new MetadataUnavailable(`metadata partition ${this.id} has lost its last replica`))
  }

  #isMember(member: Member): boolean {
    return this.#members.get(member.driveId) === member
  }

  #addMember(
    { driveId, incarnation }: Replica,
    host: HostDrive,
    role: Member['role'],
    at: LogPosition,
  ): Member {
    assert(!this.#members.has(driveId), 'a drive holds one replica of a partition')
    const departure = new Departure()
    const sent = { promisedEpoch: 0, last: at }
    const durable = at.sequence
    const member: Member = {
      ...{ driveId, incarnation, host, role, sent, durable },
      ...{ readable: true, paused: false, departure },
    }
    this.#members.set(driveId, member)
    return member
  }

  #send(member: Member, pending: Pending): void {
    const accepted = acceptAppend(member.sent, pending.head)
    if (accepted.kind !== 'accepted') return // It waits for room, and gets this one after those before.
    member.sent = accepted.state
    const { host, incarnation } = member
    const record = { partition: this.id, incarnation, ...pending.head }
    host.log.append(record, pending.bytes).then(
      () => this.#acknowledge(member, pending.head.sequence),
      (error) => this.#appendFailed(member, pending.head, error),
    )
  }

  #acknowledge(member: Member, sequence: number): void {
    if (!this.#isMember(member) || sequence !== member.durable + 1) return
    member.durable = sequence
    const pending = this.#pending[sequence - (this.#pending[0]?.head.sequence ?? 0)]
    if (pending !== undefined) pending.firstDurableMs ??= this.#parts.clock.monotonicMs()
    this.#primary.acknowledge(member.driveId, sequence)
    this.#wake()
  }

  /** A drive that is full or busy is asked again later; a failed one is the host's to deal with. */
  #appendFailed(member: Member, { sequence, prevEpoch }: EntryHead, error: unknown): void {
    if (!mayPass(error) || !this.#isMember(member)) return
    if (member.role === 'learner') {
      this.#remove(member)
      return
    }
    if (sequence !== member.durable + 1) return
    member.sent = { promisedEpoch: 0, last: { epoch: prevEpoch, sequence: sequence - 1 } }
    const retry = (): void => {
      if (this.#stopped !== undefined || !this.#isMember(member)) return
      for (const pending of this.#pending) this.#send(member, pending)
    }
    this.#parts.clock.sleep(RETRY_WHEN_REFUSED_MS).then(retry, retry)
  }

  #wake(): void {
    this.#tellDurable()
    if (this.#isWorking) return
    this.#isWorking = true
    this.#working = this.#work()
  }

  async #work(): Promise<void> {
    // What becomes durable in the same turn of the event loop is applied together.
    await Promise.resolve()
    let hasWaited = false
    for (;;) {
      const task = this.#tasks.shift()
      const ready =
        task === undefined ? committedEntries(this.#pending, this.#primary.committed) : []
      if (task !== undefined) await task.run()
      else if (ready.length === 0) break
      else if (!hasWaited && this.#canWait(ready)) {
        hasWaited = true
        await this.#untilNextTime()
      } else {
        hasWaited = false
        await this.#apply(ready)
      }
    }
    this.#isWorking = false
  }

  /** Those who wait for no more than that hear that what they appended is committed. */
  #tellDurable(): void {
    const first = this.#pending[0]?.head.sequence
    if (first === undefined) return
    for (let at = Math.max(0, this.#told + 1 - first); at < this.#pending.length; at += 1) {
      const { head, onDurable } = this.#pending[at]!
      if (head.sequence > this.#primary.committed) return
      this.#told = head.sequence
      onDurable?.()
      if (at + 1 === APPLY_ENTRIES) this.#endWaiting()
    }
  }

  #canWait(ready: readonly Pending[]): boolean {
    return ready.length < APPLY_ENTRIES && this.#wanted < ready[0]!.head.sequence
  }

  #untilNextTime(): Promise<void> {
    const { clock } = this.#parts
    return new Promise((resolve) => {
      this.#endWaiting = resolve
      clock.sleep(APPLY_EVERY_MS - (clock.monotonicMs() % APPLY_EVERY_MS)).then(resolve, resolve)
    })
  }

  async #apply(ready: readonly Pending[]): Promise<void> {
    const { epoch, sequence } = ready.at(-1)!.head
    const applied = { epoch, sequence }
    const batches = ready.map(({ batch }) => batch)
    const changes = {
      batches,
      sealed: sealRows(this.id, batches),
      bytes: ready.reduce((sum, { bytes }) => sum + bytes.length, 0),
    }
    const { members } = this
    this.#applying = { waiting: new Set(members), firstDoneMs: undefined }
    await Promise.all(
      members.map((member) => member.departure.until(this.#applyOn(member, applied, changes))),
    )
    this.#applying = undefined
    if (this.#stopped !== undefined) return
    this.#applied = applied
    this.cache.apply(batches)
    for (const { head, resolve } of this.#pending.splice(0, ready.length)) {
      resolve({ epoch: head.epoch, sequence: head.sequence })
    }
  }

  async #applyOn(member: Member, applied: LogPosition, changes: RowsToApply): Promise<void> {
    if (!member.readable) return
    const status = { incarnation: member.incarnation, applied }
    try {
      while (!(await this.#applyOnce(member, status, changes))) {
        if (!this.#isMember(member) || this.#stopped !== undefined) return
      }
    } catch (error) {
      member.readable = false
      if (this.#isMember(member)) this.#parts.onBadRows(member, error)
    }
    if (this.#applying?.waiting.delete(member)) {
      this.#applying.firstDoneMs ??= this.#parts.clock.monotonicMs()
    }
  }

  /** False when there was no room, or too much to do, and it is worth trying again: what is applied is applied whole or not at all. */
  async #applyOnce(member: Member, status: ReplicaStatus, changes: RowsToApply): Promise<boolean> {
    try {
      await member.host.apply(this.id, status, changes)
      return true
    } catch (error) {
      // The rows are as they were. Who does not come to it while others do is late, and leaves.
      if (error instanceof Overloaded) await this.#parts.clock.sleep(RETRY_WHEN_BUSY_MS)
      else if (!saysNoSpace(error) || !(await this.#parts.resumeRows(member))) throw error
      return false
    }
  }
}
