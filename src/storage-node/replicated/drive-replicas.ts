// The replicas on one drive: opened with it, ticked, marked, made anew, and closed with it.
import type { Log } from '../../kit/log.ts'
import { Turns } from '../../kit/turns.ts'
import type { World } from '../../kit/world.ts'
import { BEGINNING } from '../../metadata/log/entry.ts'
import {
  type Decision,
  NOBODY,
  type ReplicaId,
  votersOf,
} from '../../metadata/replication/decision.ts'
import { type Limits, NEW_REPLICA } from '../../metadata/replication/effects.ts'
import { replicaIdOf } from '../../metadata/replication/replica-id.ts'
import { noteClosed } from '../meta-rows/check.ts'
import type { DriveLogOptions } from '../metalog/drive-log.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import type { FilesLook } from '../upkeep/file-scrub.ts'
import type { LeftLogPage, RowsPage } from './contract.ts'
import { copyRows } from './copy-rows.ts'
import { DamagedReplicas } from './damaged-replicas.ts'
import { HostedReplica, type HostedReplicaParts, observeDecided } from './hosted-replica.ts'
import { type OpenDriveParts, type OpenedDrive, openDrive } from './open-drive.ts'
import { pagesOf, readLeftLog } from './read-left-log.ts'
import type { ReplicaDrive } from './replica-drive.ts'
import { newReplicaState } from './replica-state.ts'

/** Sizes and times. */
export interface ReplicaLimits extends DriveLogOptions {
  protocol: Limits
  /** A marker is written after so many bytes of changes, or after so many ticks. */
  markerBytes: number
  markerTicks: number
  /** A replica that is in no set any more is deleted when nobody spoke with it for so many ticks. */
  retireTicks: number
}

/** What a drive and its replicas are opened with, and who hears that opening it anew may help. */
export interface DriveReplicasParts extends OpenDriveParts {
  world: World
  /** What replicas need beside their drive. */
  replica: Omit<HostedReplicaParts, 'drive' | 'clock' | 'log' | 'onEnd' | 'copyRows'> & {
    copyRows: (
      source: ReplicaId,
      partition: number,
      signal: AbortSignal,
    ) => ReturnType<HostedReplicaParts['copyRows']>
  }
  /** A replica ended for a reason that may go away when the drive is opened anew. */
  onTrouble: (driveId: number) => void
}

/** A drive with its replicas. */
export class DriveReplicas {
  readonly drive: MetaDrive
  readonly #host: ReplicaDrive
  readonly #limits: ReplicaLimits
  readonly #parts: DriveReplicasParts
  readonly #log: Log
  readonly #replicas = new Map<ReplicaId, HostedReplica>()
  readonly #damaged: DamagedReplicas
  /** Those that are being made or deleted: nobody finds them among the others. */
  readonly #passing = new Set<HostedReplica>()
  readonly #endedIds = new Set<ReplicaId>()
  readonly #making = new Turns()
  readonly #marking = new Turns()
  #ticksSinceMarker = 0
  #isMarking = false
  #isClosed = false
  readonly #closing = new AbortController()

  private constructor(opened: OpenedDrive, limits: ReplicaLimits, parts: DriveReplicasParts) {
    this.drive = opened.host.drive
    this.#host = opened.host
    this.#limits = limits
    this.#parts = parts
    this.#log = parts.log.child({ drive: this.drive.id })
    const driveId = this.drive.id
    this.#damaged = new DamagedReplicas(opened.damaged, {
      ...{ host: opened.host, clock: parts.world.clock },
      onFailure: (error) => this.#said(error),
    })
    for (const found of opened.found) this.#begin(replicaIdOf({ driveId, ...found }), found)
  }

  /** Opens the metadata of a drive and begins its replicas. Rejects when it can not be opened: nothing was changed then. */
  static async open(
    drive: MetaDrive,
    limits: ReplicaLimits,
    parts: DriveReplicasParts,
  ): Promise<DriveReplicas> {
    return new DriveReplicas(await openDrive(drive, limits, parts), limits, parts)
  }

  /** Those that answer. */
  get replicas(): ReadonlyMap<ReplicaId, HostedReplica> {
    return this.#replicas
  }

  /** Whether there is or was such a replica here that can not answer any more. */
  isDamaged(id: ReplicaId): boolean {
    return this.#damaged.has(id)
  }

  /** What the log of the drive has of a replica behind the sequence `after`, whether that answers or not. */
  async *readLog(id: ReplicaId, incarnation: string, after: number): AsyncGenerator<LeftLogPage> {
    const atHand = this.#replicas.get(id)?.logAfter(after)
    if (atHand !== undefined) {
      yield* pagesOf(atHand, true)
      return
    }
    const reached = this.#damaged.reachedBy(id)
    yield* readLeftLog({ incarnation, after, reached }, this.#host.log)
  }

  /** Whether it is on the drive and does not answer before that is opened anew. */
  hasEnded(id: ReplicaId): boolean {
    return this.#endedIds.has(id)
  }

  /** Time passes. */
  tick(isBeat: boolean): void {
    for (const replica of this.#replicas.values()) {
      replica.tick(isBeat)
      const decision = this.#parts.replica.decisions.get(replica.partition)
      if (decision?.previous === undefined && decision !== undefined) {
        this.#retireIfUnneeded(replica, decision)
      }
    }
    this.#damaged.release((partition) => this.#parts.replica.decisions.get(partition))
    this.#ticksSinceMarker += 1
    const { markerBytes, markerTicks } = this.#limits
    const isDue = this.#ticksSinceMarker >= markerTicks || this.#host.unmarkedBytes >= markerBytes
    if (isDue && !this.#isMarking) void this.mark()
  }

  /** Makes rows durable, so that the log before them is not needed. A drive that has no room now is tried again later. */
  async mark(): Promise<void> {
    this.#isMarking = true
    this.#ticksSinceMarker = 0
    try {
      await this.#marking.run(() => this.#mark())
    } catch (error) {
      if (!this.#isClosed) this.#log.warn({ error }, 'rows of metadata could not be made durable')
    } finally {
      this.#isMarking = false
    }
  }

  /** Reads all files of the log. What rotted is replaced: rows are made durable, states written anew, and the files deleted. */
  async scrubLog(pace: () => Promise<void>): Promise<FilesLook> {
    if (this.#isClosed || this.drive.failure !== undefined) return { files: 0, damaged: 0 }
    const { files, rotten } = await this.#host.log.findRotten(pace)
    if (rotten.length > 0) {
      this.#log.error({ files: rotten }, 'a metadata log is damaged, and is replaced')
      await this.#marking.run(() => this.#replaceLog(rotten))
    }
    return { files, damaged: rotten.length }
  }

  async #replaceLog(rotten: readonly string[]): Promise<void> {
    if (this.#isClosed) return
    await this.#host.log.leaveFile(rotten)
    // Files stay that the marker before last may need, and what it says was said by the one before.
    for (let marker = 0; marker < 3; marker += 1) await this.#host.mark({ force: true })
    await this.#keepStates()
    await this.#host.dropFiles(rotten)
  }

  /** The replica of a partition that lives here, or a new one, once it is durable. */
  prepare(partition: number): Promise<ReplicaId> {
    return this.#inTurn(async () => {
      const here = this.#oneOf(partition)
      if (here !== undefined) return here.id
      const incarnation = Buffer.from(this.#parts.world.random.bytes(8)).toString('hex')
      return await this.#make(partition, incarnation)
    })
  }

  /** A replica under a name that the coordinator gave, unless it is here. Only for one that never lived. */
  found(partition: number, incarnation: string): Promise<ReplicaId> {
    return this.#inTurn(async () => {
      const id = replicaIdOf({ driveId: this.drive.id, incarnation })
      if (this.#replicas.has(id)) return id
      if (this.#damaged.has(id)) throw new Error(`replica ${id} is damaged`)
      return await this.#make(partition, incarnation)
    })
  }

  /** Whether all that it has of replicas answers here, has ended, or is known to be damaged: what is none of these is not there. */
  get isOpen(): boolean {
    return !this.#isClosed && this.drive.failure === undefined
  }

  /** A replica with rows that were made anew, once it is durable; nothing is left of it when they do not come to their end. */
  async install(
    partition: number,
    incarnation: string,
    pages: AsyncIterable<RowsPage>,
  ): Promise<void> {
    const { clock } = this.#parts.world
    const signal = this.#closing.signal
    const copied = await copyRows(pages, incarnation, { drive: this.#host, clock, signal })
    const { slot, position } = copied
    await this.#inTurn(async () => {
      this.#host.attach(incarnation, slot, position)
      const promise = { promised: position.epoch, promisedTo: NOBODY }
      const begun = { ...promise, last: position, isUnnamed: true }
      const state = { ...newReplicaState(slot), ...begun }
      const durable = { ...NEW_REPLICA, ...promise, base: position }
      const id = replicaIdOf({ driveId: this.drive.id, incarnation })
      const found = { partition, state: { ...state, rows: { slot, position } }, durable }
      const replica = this.#newReplica(id, found)
      await this.#pass(replica, () => replica.keepState())
      this.#replicas.set(id, replica)
      this.#observe(replica)
    })
  }

  /** Deletes a replica that was installed and that no decision names. Throws when one does. */
  async discard(id: ReplicaId): Promise<void> {
    await this.#inTurn(async () => {
      const replica = this.#replicas.get(id)
      if (replica === undefined) return
      const decision = this.#parts.replica.decisions.get(replica.partition)
      const isNamed = decision !== undefined && votersOf(decision).includes(id)
      if (isNamed || !replica.isUnnamed) throw new Error(`replica ${id} is one that counts`)
      this.#replicas.delete(id)
      await this.#pass(replica, () => replica.retire())
    })
  }

  /** Ends all replicas, makes the rows durable and closes the drive. What hangs on a failed drive is left alone. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#closing.abort(new Error('the drive is closed'))
    const ending = [...this.#replicas.values()]
    for (const replica of ending) replica.end(new Error('the drive is closed'))
    // A full drive would never take what they write.
    for (const replica of this.#passing) replica.giveUp()
    const closed = this.#closeFiles(ending)
    if (this.drive.failure === undefined) await closed
  }

  async #closeFiles(ending: readonly HostedReplica[]): Promise<void> {
    await Promise.all([this.#making.ended(), this.#marking.ended()])
    await Promise.all(ending.map((replica) => replica.closed()))
    if (this.drive.failure === undefined)
      await this.#markTwice().catch((error) => this.#said(error))
    // Whatever happens to the rows: LevelDB would go on writing to a directory that another drive may take.
    await this.#host.close().catch((error) => this.#said(error))
    if (this.drive.failure !== undefined) return
    const parts = { world: this.#parts.world, drive: this.drive }
    await noteClosed(parts).catch((error) => this.#said(error))
  }

  /** So that the next start need not replay what the marker before last would ask for. */
  async #markTwice(): Promise<void> {
    for (let marker = 0; marker < 2; marker += 1) await this.#host.mark({ force: true })
  }

  #said(error: unknown): void {
    this.#log.warn({ error }, 'the metadata of a drive was not closed cleanly')
  }

  async #mark(): Promise<void> {
    if (this.#isClosed) return
    const marked = await this.#host.mark()
    if (marked === undefined) return
    for (const replica of this.#replicas.values()) {
      const sequence = marked.get(replica.incarnation)
      if (sequence !== undefined) replica.rowsDurable(sequence)
    }
    await this.#keepStates()
    await this.#host.trim()
  }

  async #keepStates(): Promise<void> {
    await Promise.all([...this.#replicas.values()].map((replica) => replica.keepState()))
  }

  /** As a drive that is being closed waits for it: what did not begin by then does not begin any more. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#making.run(async () => {
      this.#closing.signal.throwIfAborted()
      return await work()
    })
  }

  /** Writes what a replica begins or ends with. Given up when the drive is closed. */
  async #pass(replica: HostedReplica, write: () => Promise<void>): Promise<void> {
    this.#passing.add(replica)
    try {
      this.#closing.signal.throwIfAborted()
      await write()
    } finally {
      this.#passing.delete(replica)
    }
  }

  /** The one that counts, or else any but those of recoveries that came to nothing: their rows are of no history that anybody has. */
  #oneOf(partition: number): HostedReplica | undefined {
    const here = [...this.#replicas.values()].filter((one) => one.partition === partition)
    const decision = this.#parts.replica.decisions.get(partition)
    const counting = here.find(({ id }) => decision && votersOf(decision).includes(id))
    return counting ?? here.find(({ isUnnamed }) => !isUnnamed)
  }

  async #make(partition: number, incarnation: string): Promise<ReplicaId> {
    const id = replicaIdOf({ driveId: this.drive.id, incarnation })
    const slot = await this.#host.takeSlot(incarnation, BEGINNING)
    this.#host.attach(incarnation, slot, BEGINNING)
    const state = newReplicaState(slot)
    const replica = this.#newReplica(id, { partition, state, durable: NEW_REPLICA })
    // Before anybody hears its name.
    await this.#pass(replica, () => replica.keepState())
    this.#replicas.set(id, replica)
    this.#observe(replica)
    return id
  }

  #begin(
    id: ReplicaId,
    found: Pick<OpenedDrive['found'][number], 'partition' | 'state' | 'durable'>,
  ): void {
    const replica = this.#newReplica(id, found)
    this.#replicas.set(id, replica)
    this.#observe(replica)
  }

  #newReplica(
    id: ReplicaId,
    found: Pick<OpenedDrive['found'][number], 'partition' | 'state' | 'durable'>,
  ): HostedReplica {
    const { world, replica } = this.#parts
    const { partition } = found
    return new HostedReplica(
      { id, ...found, limits: this.#limits.protocol },
      {
        ...replica,
        drive: this.#host,
        clock: world.clock,
        log: this.#log,
        copyRows: (source, signal) => replica.copyRows(source, partition, signal),
        onEnd: (error) => this.#ended(id, error),
      },
    )
  }

  #observe(replica: HostedReplica): void {
    observeDecided(replica, this.#parts.replica.decisions)
  }

  #ended(id: ReplicaId, error: unknown): void {
    const replica = this.#replicas.get(id)
    this.#replicas.delete(id)
    this.#endedIds.add(id)
    if (replica !== undefined) this.#host.holdBack(replica.incarnation)
    if (this.#isClosed) return
    this.#log.error({ replica: id, error }, 'a replica of metadata ended')
    if (this.drive.failure === undefined) this.#parts.onTrouble(this.drive.id)
  }

  #retireIfUnneeded(replica: HostedReplica, decision: Decision): void {
    if (!replica.isRetired(decision, this.#limits.retireTicks)) return
    this.#replicas.delete(replica.id)
    this.#log.info({ replica: replica.id }, 'a replica of metadata is not needed any more')
    const retired = this.#inTurn(() => this.#pass(replica, () => replica.retire()))
    void retired.catch((error) => this.#said(error))
  }
}
