// One replica on a drive of this node: does for the protocol what it asks to be done, and tells it what came of it.
import { assert } from '../../kit/assert.ts'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { LogPosition } from '../../metadata/log/contract.ts'
import { decodeBatch, type LogEntry } from '../../metadata/log/entry.ts'
import { type Decision, type ReplicaId, votersOf } from '../../metadata/replication/decision.ts'
import type { DurableState, Effect, Limits } from '../../metadata/replication/effects.ts'
import { positionOf } from '../../metadata/replication/log-tail.ts'
import type { Envelope, Message } from '../../metadata/replication/message.ts'
import { PartitionReplica } from '../../metadata/replication/partition-replica.ts'
import { parseReplicaId } from '../../metadata/replication/replica-id.ts'
import { mayRetire } from '../../metadata/replication/replica-log.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import { Pacer } from '../upkeep/pacer.ts'
import type { Decisions, Reigning, ReplicaStatus, RowsPage } from './contract.ts'
import { FenceWaiters } from './fence-waiters.ts'
import { HostedReign } from './hosted-reign.ts'
import { ReignRows } from './reign-rows.ts'
import { Renewals } from './renewals.ts'
import type { ReplicaDrive } from './replica-drive.ts'
import { ReplicaJournal } from './replica-journal.ts'
import type { ReplicaState } from './replica-state.ts'
import { RowCopies } from './row-copies.ts'
import { DigestJob } from './rows-digest.ts'
import { RowsQueue } from './rows-queue.ts'
import { readRows } from './serve-rows.ts'
import type { Suspects, Suspicion } from './suspects.ts'
import { UnwantedReign } from './unwanted-reign.ts'
import { whenRoom } from './when-room.ts'

/** Who a replica is and what it begins with. */
export interface HostedReplicaOptions {
  id: ReplicaId
  partition: number
  state: ReplicaState
  durable: DurableState
  limits: Limits
}

/** What a replica lives by, and who hears of it. `below` draws a whole number from 0 up to its argument, which it never is. */
export interface HostedReplicaParts {
  drive: ReplicaDrive
  clock: World['clock']
  log: Log
  decisions: Decisions
  below: (below: number) => number
  send: (envelope: Envelope) => void
  copyRows: (source: ReplicaId, signal: AbortSignal) => AsyncIterable<RowsPage>
  onReign: (reign: Reigning) => void
  suspects: Suspects
  /** It does not answer any more, in this life of the process or for ever. */
  onEnd: (error: unknown) => void
}

// Digests rest twice as long as they read.
const DIGEST_TRANQUILITY = 2

/** A replica that lives. */
export class HostedReplica {
  readonly id: ReplicaId
  readonly partition: number
  readonly drive: ReplicaDrive
  readonly incarnation: string
  readonly #parts: HostedReplicaParts
  readonly #core: PartitionReplica
  readonly #journal: ReplicaJournal
  readonly #rows: RowsQueue
  readonly #ending = new AbortController()
  #slot: number
  #reign: HostedReign | undefined
  readonly #unwanted: UnwantedReign
  readonly #copies: RowCopies
  readonly #fences = new FenceWaiters()
  #idleTicks = 0
  readonly #renewals: Renewals

  constructor(options: HostedReplicaOptions, parts: HostedReplicaParts) {
    const { id, partition, state, durable, limits } = options
    const name = parseReplicaId(id)
    assert(name !== undefined, 'a replica has the name of a drive and an incarnation')
    this.id = id
    this.partition = partition
    this.drive = parts.drive
    this.incarnation = name.incarnation
    this.#parts = parts
    this.#unwanted = new UnwantedReign(id, parts.suspects)
    this.#slot = state.rows.slot
    if (state.suspicion !== undefined) parts.suspects.recall(id, state.suspicion)
    this.#journal = new ReplicaJournal(
      { partition, incarnation: name.incarnation, state },
      { log: parts.drive.log, clock: parts.clock, onFailure: (error) => this.end(error) },
    )
    this.#rows = new RowsQueue(
      (entries) => this.#applyToRows(entries),
      (error) => this.end(error),
    )
    this.#core = new PartitionReplica({ self: id, limits, state: durable }, { below: parts.below })
    this.#copies = new RowCopies({
      ...{ partition, incarnation: name.incarnation, drive: parts.drive, clock: parts.clock },
      ...{ log: parts.log, ended: this.ended, pages: parts.copyRows },
      onCopied: (position, copy) => this.#do(() => this.#core.rowsCopied(position, copy)),
      namedSlot: () => this.#journal.state.rows.slot,
    })
    this.#renewals = new Renewals({
      ...{ id, partition, incarnation: name.incarnation, drive: parts.drive, clock: parts.clock },
      ...{ log: parts.log, copyRows: parts.copyRows, ended: this.ended },
      ...{ journal: this.#journal, rows: this.#rows, slot: () => this.#slot },
      mayMove: () => this.#core.reign === undefined,
      moveTo: (slot, position) => this.#moveTo(slot, position),
    })
    // What was found while the drive was being closed is not in the state yet.
    const suspicion = parts.suspects.get(id)
    if (suspicion !== undefined) this.#journal.suspect(suspicion)
    this.#carryOut()
  }

  get ended(): AbortSignal {
    return this.#ending.signal
  }

  get slot(): number {
    return this.#slot
  }

  /** Whether a recovery made it and it never heard that anybody counts on it. */
  get isUnnamed(): boolean {
    return this.#journal.state.isUnnamed === true
  }

  /** The reign that may be asked now. */
  get reign(): Reigning | undefined {
    return this.#reign
  }

  get status(): ReplicaStatus {
    const { id, partition } = this
    const { decision, reign } = this.#core
    const isServing = this.#core.isServing && this.#reign !== undefined
    const counts = decision !== undefined && votersOf(decision).includes(id)
    const role = reign !== undefined ? 'primary' : counts ? 'replica' : 'learner'
    const { sequence: applied } = this.drive.appliedIn(this.#slot)
    const epoch = decision?.epoch ?? 0
    return { partition, replica: id, role, isServing, epoch, applied }
  }

  /** What the coordinator says. */
  observe(decision: Decision): void {
    this.#do(() => this.#core.observe(decision))
  }

  /** The coordinator says that nobody leads in this epoch. Resolves when no reign before it can change anything here, whatever happens. */
  fence(epoch: number): Promise<void> {
    const fenced = this.#fences.wait(epoch)
    if (this.ended.aborted) this.#fences.fail(this.ended.reason)
    else this.#do(() => this.#core.fence(epoch))
    return fenced
  }

  /** As fence(), for who does not wait for it. */
  observeFence(epoch: number): void {
    this.#do(() => this.#core.fence(epoch))
  }

  /** A message of another replica of the partition. */
  receive(from: ReplicaId, message: Message): void {
    this.#idleTicks = 0
    this.#do(() => this.#core.receive(from, message))
  }

  /** Time passes: about 500 ms. `isBeat`: the same for all replicas, so that their signs of life go together. */
  tick(isBeat: boolean): void {
    this.#idleTicks += 1
    this.#reign?.tick()
    this.#do(() => this.#core.tick(isBeat))
    this.#do(() => this.#handOverIfSuspected())
    if (this.#suspicion !== undefined) this.#renewals.tick(this.#core.decision?.primary)
  }

  /** What its rows come to as of exactly `sequence`; ends with the signal. */
  startDigest(sequence: number, signal: AbortSignal): DigestJob {
    const ended = AbortSignal.any([signal, this.ended])
    const pacer = new Pacer(this.#parts.clock, () => DIGEST_TRANQUILITY)
    const source = {
      ...{ drive: this.drive, slot: () => this.#slot, pace: () => pacer.rest(ended), ended },
      see: (look: () => void) => this.#rows.see(look),
      seeAt: (at: number, look: () => void) => this.#rows.seeAt(at, look),
    }
    return new DigestJob(source, sequence)
  }

  /** Makes its rows anew from those of another replica, while it goes on. Throws when that can not be now. */
  async renewRows(source: ReplicaId): Promise<void> {
    await this.#renewals.renew(source)
  }

  /** Rows are durable up to here. */
  rowsDurable(sequence: number): void {
    this.#do(() => this.#core.rowsDurable(sequence))
  }

  /** Writes its state anew, so that older log files are not needed for it. */
  async keepState(): Promise<void> {
    if (!this.ended.aborted) await this.#journal.keepState()
  }

  /** All rows as of one position. Throws when they are not those of the others, and at a row that is rotten. */
  readRows(signal: AbortSignal, onBadRow?: (why: string) => void): AsyncGenerator<RowsPage> {
    if (this.#differs) throw new Error('these rows are not those of the others')
    const ended = AbortSignal.any([signal, this.ended])
    const see = (look: () => void): void => this.#rows.see(look)
    return readRows({ drive: this.drive, slot: () => this.#slot, see, onBadRow }, ended)
  }

  /**
   * As readRows(), for another replica: a row that is rotten is found by it, unless that was known. Then its drive was opened anew, and maybe
   * nobody has better rows: it goes on.
   */
  serveRows(signal: AbortSignal): AsyncGenerator<RowsPage> {
    return this.readRows(signal, (why) => {
      if (this.#suspicion === undefined) this.suspect('rotten', why)
    })
  }

  /** Where its log ends, whether that was committed or not. */
  get logEnd(): LogPosition {
    return this.#core.log.tail.last
  }

  /** Its log behind a sequence; undefined where not all of that is in memory any more. */
  logAfter(sequence: number): readonly LogEntry[] | undefined {
    const { tail } = this.#core.log
    if (sequence < tail.base.sequence) return undefined
    return tail.between(sequence, tail.last.sequence)
  }

  /** Whether nobody counts on it, and nobody spoke with it for so many ticks. */
  isRetired(decision: Decision, idleTicks: number): boolean {
    const { id } = this
    if (this.#idleTicks < idleTicks || this.#core.reign !== undefined) return false
    if (votersOf(this.#core.decision ?? decision).includes(id)) return false
    return mayRetire({ promised: this.#core.log.promised, id }, decision)
  }

  /** Deletes it: it never answers again. */
  async retire(): Promise<void> {
    const gone = this.#journal.keepEnd()
    this.#stop(new MetadataUnavailable('the replica is deleted'), { keepsJournal: true })
    await gone
    this.#journal.close()
    await this.#rows.close()
    this.drive.detach(this.incarnation)
    await this.drive.freeSlot(this.#slot)
  }

  /** Nothing is written of it any more, also where it is being deleted. */
  giveUp(): void {
    this.#journal.close()
  }

  /** It does not answer any more; what it has stays as it is. */
  end(error: unknown): void {
    if (this.ended.aborted) return
    this.#stop(error, { keepsJournal: false })
    this.#parts.onEnd(error)
  }

  /**
   * Its rows are not to be trusted: somebody else is to lead, and then they are made anew. Where they differ its log is as good as before,
   * and it goes on; where one can not be read its drive is opened anew, which looks at them first.
   */
  suspect(suspicion: Suspicion, why: string): void {
    this.#parts.suspects.note(this.id, suspicion)
    this.#journal.suspect(suspicion)
    if (suspicion === 'rotten') this.end(new Error(`a row is damaged: ${why}`))
    else if (this.#reign !== undefined) {
      this.#withhold(why)
      this.#do(() => this.#handOverIfSuspected())
    }
  }

  /** Resolves when nothing of it is under way. */
  async closed(): Promise<void> {
    await this.#rows.close()
  }

  #stop(error: unknown, { keepsJournal }: { keepsJournal: boolean }): void {
    this.#ending.abort(error)
    this.#fences.fail(error)
    this.#endReign()
    if (!keepsJournal) this.#journal.close()
    void this.#rows.close()
  }

  /** What the protocol asserts and does not hold is the end of this replica: it must not go on in doubt. */
  #do(work: () => void): void {
    if (this.ended.aborted) return
    try {
      work()
      this.#carryOut()
    } catch (error) {
      this.end(error)
    }
  }

  #carryOut(): void {
    for (const effect of this.#core.take()) {
      if (this.ended.aborted) return
      this.#carryOutOne(effect)
    }
    this.#fences.tell((epoch) => this.#core.isFenced(epoch))
  }

  #carryOutOne(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        this.#send(effect)
        return
      case 'write':
        this.#write(effect)
        return
      case 'apply':
        this.#rows.apply(effect.entries)
        return
      case 'read-ready': {
        const reign = this.#reign
        this.#rows.see(() => reign?.ready(effect.read))
        return
      }
      case 'serving':
        this.#rows.see(() => this.#do(() => this.#beginReign(effect.epoch)))
        return
      case 'deposed':
        this.#endReign()
        return
      case 'decide':
        void this.#decide(effect.from, effect.to)
        return
      case 'copy-rows':
        void this.#copies.make(effect.source)
        return
    }
  }

  #send({ to, message }: Effect & { kind: 'send' }): void {
    this.#parts.send({ partition: this.partition, from: this.id, to, message })
  }

  #write({ number, changes }: Effect & { kind: 'write' }): void {
    const rows = changes.find((change) => change.kind === 'rows')
    const slotOf = (copy: number): number => this.#copies.slotOf(copy)
    this.#journal.write(changes, slotOf, () => {
      if (rows !== undefined) this.#rows.see(() => this.#putInPlace(rows.copy, rows.position))
      this.#do(() => this.#core.durable(number))
    })
  }

  async #applyToRows(entries: readonly LogEntry[]): Promise<void> {
    const applied = positionOf(entries.at(-1)!)
    const batches = entries.map(({ batch }) => decodeBatch(batch))
    const bytes = entries.reduce((sum, { batch }) => sum + batch.length, 0)
    await this.#whenRoom(() => this.drive.apply(this.#slot, { applied, batches, bytes }))
    this.#renewals.applied(entries)
    this.#do(() => this.#core.rowsReached(applied.sequence))
    this.#reign?.applied(entries)
  }

  get #suspicion(): Suspicion | undefined {
    return this.#parts.suspects.get(this.id)
  }

  get #differs(): boolean {
    return this.#suspicion === 'differs'
  }

  #beginReign(epoch: number): void {
    if (this.#core.reign !== epoch) return
    if (this.#differs) {
      this.#withhold('it was found before')
      return
    }
    const { partition, drive } = this
    this.#reign = new HostedReign(
      { partition, epoch },
      {
        core: this.#core,
        carryOut: () => this.#do(() => undefined),
        rows: (ended) =>
          new ReignRows({
            ...{ partition, drive, ended, slot: () => this.#slot },
            onBadRow: (why) => this.suspect('rotten', why),
          }),
      },
    )
    // Before it is asked for anything: what it is asked for may be the row that can not be read.
    this.#handOverIfSuspected()
    this.#parts.onReign(this.#reign)
  }

  #endReign(): void {
    const reign = this.#reign
    this.#reign = undefined
    reign?.end()
    if (reign !== undefined) this.#core.want([])
  }

  /** Nothing is served in this reign any more, whatever becomes of the rows meanwhile: reads of it would be mixed up with those before. */
  #withhold(why: string): void {
    const { partition } = this
    this.#parts.log.warn({ partition, why }, 'rows differ: another replica is asked to lead')
    this.#endReign()
    this.#unwanted.withhold(this.#core.reign)
  }

  #handOverIfSuspected(): void {
    const { decision, reign, isServing } = this.#core
    if (!isServing) return
    const nowMs = this.#parts.clock.monotonicMs()
    const heirs = this.#unwanted.heirs({ decision, reign, nowMs })
    if (heirs !== undefined) this.#core.handOver(heirs)
  }

  async #decide(from: Decision, to: Decision): Promise<void> {
    const { decisions, log } = this.#parts
    // Others have the rows.
    const takesOver = to.primary === this.id && from.primary !== this.id
    if (takesOver && this.#differs) return
    try {
      await decisions.decide(this.partition, from, to)
    } catch (error) {
      const data = { partition: this.partition, error: String(error) }
      log.info(data, 'the coordinator does not decide on a metadata partition: tried again later')
    }
    const decision = decisions.get(this.partition)
    if (decision !== undefined) this.observe(decision)
  }

  /** Copied rows take the place of the rows, which the log says already. */
  #putInPlace(copy: number, position: LogPosition): void {
    const before = this.#slot
    this.#moveTo(this.#copies.take(copy), position)
    this.#whenRoom(() => this.drive.freeSlot(before)).catch((error) => this.end(error))
  }

  #whenRoom(work: () => Promise<void>): Promise<void> {
    return whenRoom(work, { clock: this.#parts.clock, ended: this.ended })
  }

  /** Called between two changes of the rows: what comes after it finds rows that nobody suspects. */
  #moveTo(slot: number, position: LogPosition): void {
    this.#slot = slot
    this.drive.attach(this.incarnation, slot, position)
    this.#parts.suspects.clear(this.id)
  }
}

/** Tells a replica what the coordinator decided of its partition, as last heard. */
export function observeDecided(
  replica: HostedReplica,
  decisions: Pick<Decisions, 'get' | 'fenceOf'>,
): void {
  const decision = decisions.get(replica.partition)
  if (decision !== undefined) replica.observe(decision)
  const fence = decisions.fenceOf(replica.partition)
  if (fence !== undefined) replica.observeFence(fence)
}
