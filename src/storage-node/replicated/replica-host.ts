// The replicas of metadata partitions on the drives of one node: they keep logs with those of other nodes, and one of each
// partition serves it. Protocol: docs/formats/replication.md.
import { prepareDigests } from '../../digest/digest.ts'
import { assert } from '../../kit/assert.ts'
import { asBuffer, mebibytes } from '../../kit/bytes.ts'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import { USUAL_LIMITS } from '../../metadata/replication/effects.ts'
import {
  BadMessage,
  decodeMessage,
  type Envelope,
  encodeMessage,
} from '../../metadata/replication/message.ts'
import { parseReplicaId } from '../../metadata/replication/replica-id.ts'
import type { OpenLevel } from '../drive-lock.ts'
import { openRowsLevel } from '../meta-rows/open.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import type { FilesLook } from '../upkeep/file-scrub.ts'
import type {
  Decisions,
  LeftLogPage,
  Reigning,
  ReplicaStanding,
  ReplicaStatus,
  ReplicasOfNode,
  ReplicaTransport,
  RowsPage,
} from './contract.ts'
import { DriveReplicas, type ReplicaLimits } from './drive-replicas.ts'
import { type HostedReplica, observeDecided } from './hosted-replica.ts'
import type { DigestJob } from './rows-digest.ts'
import { Suspects, type Suspicion } from './suspects.ts'

/** Where replicas live, and their sizes. */
export interface ReplicaHostOptions {
  /** The drives that are here and work. */
  drives: ReadonlyMap<number, MetaDrive>
  limits?: Partial<ReplicaLimits>
}

/** What a host runs on; `openLevel` is openRowsLevel() when left out. */
export interface ReplicaHostParts {
  world: World
  log: Log
  decisions: Decisions
  transport: ReplicaTransport
  openLevel?: OpenLevel
}

const LIMITS: ReplicaLimits = {
  fileBytes: mebibytes(8),
  retainBytes: mebibytes(64),
  // A node has replicas of many partitions.
  protocol: { ...USUAL_LIMITS, retainBytes: mebibytes(1) },
  markerBytes: mebibytes(8),
  markerTicks: 20,
  retireTicks: 1200,
}

const TICK_MS = 500
const OBSERVE_TICKS = 4
// Six ticks without a sign of life are suspicious (USUAL_LIMITS): three of them may be lost.
const BEAT_TICKS = 2
// A drive whose replicas ended is opened anew, and later and later when that does not help.
const REOPEN_MS = 10_000
const REOPEN_MS_MAX = 3_600_000

/** A drive that is to be opened anew. */
interface Reopening {
  drive: MetaDrive
  giveUp: AbortController
  /** Resolves when it is open, or given up. */
  ended: Promise<void>
}

/** Nothing was done: it was never made here, or not yet, or it is deleted. */
class ReplicaNotHere extends Error {
  override readonly name = 'ReplicaNotHere'
  readonly code = 'REPLICA_NOT_HERE'
}

/** All replicas of a node. */
export class ReplicaHost implements ReplicasOfNode {
  readonly #limits: ReplicaLimits
  readonly #parts: ReplicaHostParts
  readonly #drives = new Map<number, DriveReplicas>()
  readonly #listeners = new Set<(reign: Reigning) => void>()
  readonly #closing = new AbortController()
  /** How long the last opening of a drive waited, and when that was asked for. */
  readonly #reopened = new Map<number, { waitMs: number; atMs: number }>()
  readonly #reopening = new Map<number, Reopening>()
  readonly #suspects = new Suspects()
  #stopWatching: () => void = () => {}
  #ticks = 0

  private constructor(limits: ReplicaLimits, parts: ReplicaHostParts) {
    this.#limits = limits
    this.#parts = parts
  }

  /**
   * Begins every replica that is whole on these drives. Nothing happens by itself before start(). A drive that can not be opened is logged, and
   * its replicas do not answer.
   */
  static async open(options: ReplicaHostOptions, parts: ReplicaHostParts): Promise<ReplicaHost> {
    await prepareDigests()
    const host = new ReplicaHost({ ...LIMITS, ...options.limits }, parts)
    await Promise.all([...options.drives.values()].map((drive) => host.addDrive(drive)))
    host.#stopWatching = parts.decisions.watch((partition) => host.#observe(partition))
    return host
  }

  /** Time passes from now on. */
  start(): void {
    void this.#run()
  }

  /** Time passes: every 500 ms, by start() or by a simulation. */
  tick(): void {
    this.#ticks += 1
    // Watches have gaps.
    if (this.#ticks % OBSERVE_TICKS === 0) {
      for (const replica of this.#all()) this.#observe(replica.partition)
    }
    const isBeat = this.#ticks % BEAT_TICKS === 0
    for (const drive of this.#drives.values()) drive.tick(isBeat)
  }

  receive(bytes: Uint8Array): void {
    try {
      const { partition, from, to, message } = decodeMessage(bytes)
      const replica = this.#find(to)
      if (replica?.partition === partition) replica.receive(from, message)
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error
      this.#parts.log.warn({ error: error.message }, 'a message of a replica is not understood')
    }
  }

  serveRows(source: ReplicaId, partition: number, signal: AbortSignal): AsyncIterable<RowsPage> {
    return this.#need(source, partition).serveRows(signal)
  }

  async prepare(driveId: number, partition: number): Promise<ReplicaId> {
    return await this.#driveOf(driveId).prepare(partition)
  }

  lives(replica: ReplicaId, partition: number): boolean {
    return this.#find(replica)?.partition === partition
  }

  async make(driveId: number, partition: number): Promise<ReplicaId> {
    if (this.hasDrive(driveId)) return await this.prepare(driveId, partition)
    return await this.#parts.transport.prepare(driveId, partition)
  }

  hasDrive(driveId: number): boolean {
    return this.#drives.has(driveId)
  }

  /** Makes a replica that the coordinator named, durably. Only for one that never lived: whose partition never had a primary. */
  async found(id: ReplicaId, partition: number): Promise<void> {
    const name = parseReplicaId(id)
    assert(name !== undefined, 'the coordinator gives names of replicas')
    await this.#driveOf(name.driveId).found(partition, name.incarnation)
  }

  /** How it is with a replica that is to be on a drive of this node. */
  standing(id: ReplicaId, partition: number): ReplicaStanding {
    const name = parseReplicaId(id)
    const drive = name && this.#drives.get(name.driveId)
    if (!drive?.isOpen || drive.hasEnded(id)) return { kind: 'closed' }
    const replica = drive.replicas.get(id)
    if (replica?.partition !== partition) {
      return { kind: drive.isDamaged(id) ? 'damaged' : 'gone' }
    }
    if (this.#suspects.get(id) !== undefined) return { kind: 'suspect' }
    return { kind: 'lives', end: replica.logEnd }
  }

  /**
   * Nobody leads the partition in this epoch: resolves when none of its replicas that live here takes anything of a reign before it any more,
   * whatever happens. Rejects when one of them can not promise that.
   */
  async fence(partition: number, epoch: number): Promise<void> {
    const own = [...this.#all()].filter((replica) => replica.partition === partition)
    await Promise.all(own.map((replica) => replica.fence(epoch)))
  }

  /** The rows of a replica that lives here, as of one position. Throws when they are not those of the others. */
  readReplica(id: ReplicaId, partition: number, signal: AbortSignal): AsyncGenerator<RowsPage> {
    return this.#need(id, partition).readRows(signal)
  }

  /** What is left of the log of a replica behind the sequence `after`, also where that is damaged. Throws where its drive is not open. */
  readLog(id: ReplicaId, after: number): AsyncGenerator<LeftLogPage> {
    const name = parseReplicaId(id)
    assert(name !== undefined, 'a replica has a name')
    const drive = this.#driveOf(name.driveId)
    if (!drive.isOpen) throw new Error(`drive ${name.driveId} is not open`)
    return drive.readLog(id, name.incarnation, after)
  }

  /** Makes a replica under a new name with these rows, durably. It counts for nothing before a record names it. */
  async install(id: ReplicaId, partition: number, pages: AsyncIterable<RowsPage>): Promise<void> {
    const name = parseReplicaId(id)
    assert(name !== undefined, 'a new replica has a name')
    await this.#driveOf(name.driveId).install(partition, name.incarnation, pages)
  }

  /** Deletes a replica that was installed and that no decision names. Throws when one does. */
  async discard(id: ReplicaId): Promise<void> {
    const name = parseReplicaId(id)
    assert(name !== undefined, 'a replica has a name')
    await this.#driveOf(name.driveId).discard(id)
  }

  /** What the rows of a replica that lives here come to, as of exactly `sequence`; ends with the signal. Throws when it does not live here. */
  startDigest(
    id: ReplicaId,
    partition: number,
    at: { sequence: number; signal: AbortSignal },
  ): DigestJob {
    return this.#need(id, partition).startDigest(at.sequence, at.signal)
  }

  /**
   * Whoever leads found that the rows of a replica that lives here are not those of the others: makes them anew from those of another one.
   * Throws when that can not be now: the replica tries again by itself, and serves nothing until then.
   */
  async renewRows(id: ReplicaId, partition: number, source: ReplicaId): Promise<void> {
    const replica = this.#need(id, partition)
    replica.suspect('differs', 'whoever leads has it otherwise')
    await replica.renewRows(source)
  }

  /** The rows of a replica that lives here are not to be trusted. */
  suspect(id: ReplicaId, partition: number, suspicion: Suspicion): void {
    this.#need(id, partition).suspect(suspicion, 'the other replicas have it otherwise')
  }

  /** How often rows were met that are not as they should be. */
  get damageCount(): number {
    return this.#suspects.count
  }

  /** Reads the logs of all drives, and replaces what rotted in them by what replicas have in memory and in their rows. */
  async scrubLogs(pace: () => Promise<void>): Promise<FilesLook> {
    const look = { files: 0, damaged: 0 }
    for (const drive of [...this.#drives.values()]) {
      const { files, damaged } = await drive.scrubLog(pace)
      look.files += files
      look.damaged += damaged
    }
    return look
  }

  onReign(listener: (reign: Reigning) => void): () => void {
    this.#listeners.add(listener)
    for (const { reign } of this.#all()) if (reign !== undefined) listener(reign)
    return () => this.#listeners.delete(listener)
  }

  replicas(): ReplicaStatus[] {
    return [...this.#all()].map(({ status }) => status)
  }

  /** Takes a drive in. One that can not be opened now is tried again. */
  async addDrive(drive: MetaDrive): Promise<void> {
    assert(!this.#drives.has(drive.id), 'a drive is closed before it is taken in again')
    drive.onFailure(() => void this.driveFailed(drive.id))
    if (!(await this.#tryToOpen(drive, this.#closing.signal))) this.#openLater(drive)
  }

  /** As closeDrive(), for who does not wait for it: never rejects. */
  async driveFailed(driveId: number): Promise<void> {
    try {
      await this.closeDrive(driveId)
    } catch (error) {
      const data = { drive: driveId, error }
      this.#parts.log.error(data, 'the metadata of a drive that failed could not be closed')
    }
  }

  /** Ends the replicas of a drive and closes what is open on it. They begin again when it is taken in again. */
  async closeDrive(driveId: number): Promise<void> {
    const drive = this.#drives.get(driveId)
    this.#drives.delete(driveId)
    await Promise.all([this.#giveUpOpening(driveId), drive?.close()])
  }

  /** Ends all replicas and closes what is open on the drives. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#stopWatching()
    await Promise.all([...this.#reopening.values()].map(({ ended }) => ended))
    const drives = [...this.#drives.values()]
    this.#drives.clear()
    await Promise.all(drives.map((drive) => drive.close()))
  }

  async #run(): Promise<void> {
    const { clock } = this.#parts.world
    const { signal } = this.#closing
    while (!signal.aborted) {
      // Aborted: it is time to stop.
      await clock.sleep(TICK_MS, signal).catch(() => undefined)
      if (!signal.aborted) this.tick()
    }
  }

  /** False when it is worth trying again. Once the signal aborts nothing stays open. */
  async #tryToOpen(drive: MetaDrive, signal: AbortSignal): Promise<boolean> {
    const { world, log, openLevel = openRowsLevel } = this.#parts
    const isOver = (): boolean => drive.failure !== undefined || signal.aborted
    try {
      const opened = await DriveReplicas.open(drive, this.#limits, {
        ...{ world, log, openLevel, replica: this.#replicaParts() },
        onTrouble: (driveId) => this.#reopen(driveId),
      })
      if (isOver()) await opened.close()
      else {
        this.#drives.set(drive.id, opened)
        // From now on it may have to be opened anew once more.
        this.#reopening.delete(drive.id)
      }
      return true
    } catch (error) {
      log.error({ drive: drive.id, error }, 'the metadata of a drive can not be opened')
      return isOver()
    }
  }

  #replicaParts(): Parameters<typeof DriveReplicas.open>[2]['replica'] {
    const { decisions, world } = this.#parts
    return {
      decisions,
      suspects: this.#suspects,
      below: (below) => asBuffer(world.random.bytes(4)).readUInt32LE(0) % below,
      send: (envelope) => this.#send(envelope),
      copyRows: (source, partition, signal) => this.#copyRows(source, partition, signal),
      onReign: (reign) => {
        for (const listener of this.#listeners) listener(reign)
      },
    }
  }

  /** It is closed first: what its replicas have under way there is over when they begin again. */
  #reopen(driveId: number): void {
    const closing = this.#drives.get(driveId)
    if (closing === undefined) return
    this.#drives.delete(driveId)
    this.#openLater(closing.drive, closing.close())
  }

  #openLater(drive: MetaDrive, closed: Promise<void> = Promise.resolve()): void {
    // One of a drive that failed meanwhile, and came back with its number, is not this one's.
    if (this.#reopening.get(drive.id)?.drive === drive) return
    const giveUp = new AbortController()
    const signal = AbortSignal.any([this.#closing.signal, giveUp.signal])
    const ended = this.#openAgain(drive, closed, signal)
    const reopening = { drive, giveUp, ended }
    this.#reopening.set(drive.id, reopening)
    void ended.finally(() => {
      if (this.#reopening.get(drive.id) === reopening) this.#reopening.delete(drive.id)
    })
  }

  /** Until it is open, has failed or is given up. Never rejects. */
  async #openAgain(drive: MetaDrive, closed: Promise<void>, signal: AbortSignal): Promise<void> {
    // What could not be closed can not be opened either, and that is told.
    await closed.catch(() => undefined)
    do {
      const waitMs = this.#nextWait(drive.id)
      await this.#parts.world.clock.sleep(waitMs, signal).catch(() => undefined)
      if (signal.aborted || drive.failure !== undefined) return
    } while (!(await this.#tryToOpen(drive, signal)))
  }

  async #giveUpOpening(driveId: number): Promise<void> {
    const reopening = this.#reopening.get(driveId)
    reopening?.giveUp.abort()
    await reopening?.ended
  }

  #nextWait(driveId: number): number {
    const atMs = this.#parts.world.clock.monotonicMs()
    const last = this.#reopened.get(driveId)
    const isFirst = last === undefined || atMs - last.atMs > 2 * REOPEN_MS_MAX
    const waitMs = isFirst ? REOPEN_MS : Math.min(2 * last.waitMs, REOPEN_MS_MAX)
    this.#reopened.set(driveId, { waitMs, atMs })
    return waitMs
  }

  #send(envelope: Envelope): void {
    const { partition, from, to, message } = envelope
    const here = this.#find(to)
    if (here === undefined) this.#parts.transport.send(to, encodeMessage(envelope))
    else if (here.partition === partition) queueMicrotask(() => here.receive(from, message))
  }

  #copyRows(source: ReplicaId, partition: number, signal: AbortSignal): AsyncIterable<RowsPage> {
    const isHere = this.#find(source) !== undefined
    if (isHere) return this.serveRows(source, partition, signal)
    return this.#parts.transport.copyRows(source, partition, signal)
  }

  #observe(partition: number): void {
    for (const replica of this.#all()) {
      if (replica.partition === partition) observeDecided(replica, this.#parts.decisions)
    }
  }

  *#all(): Generator<HostedReplica> {
    for (const { replicas } of this.#drives.values()) yield* replicas.values()
  }

  #find(id: ReplicaId): HostedReplica | undefined {
    const driveId = parseReplicaId(id)?.driveId
    return driveId === undefined ? undefined : this.#drives.get(driveId)?.replicas.get(id)
  }

  #need(id: ReplicaId, partition: number): HostedReplica {
    const replica = this.#find(id)
    if (replica?.partition !== partition)
      throw new ReplicaNotHere(`replica ${id} does not live here`)
    return replica
  }

  #driveOf(driveId: number): DriveReplicas {
    const drive = this.#drives.get(driveId)
    if (drive === undefined) throw new Error(`drive ${driveId} has no metadata here`)
    return drive
  }
}
