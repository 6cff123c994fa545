// Keeps metadata partitions alive: takes replicas out of the set when their drive fails, is late or lies,
// has them made anew, writes markers, and compares replicas in the background.
import type { Log } from '../../kit/log.ts'
import { Rests } from '../../kit/rests.ts'
import { Overloaded } from '../../kit/semaphore.ts'
import type { World } from '../../kit/world.ts'
import type { Change, Coordinator, Replica } from '../../placement/coordinator.ts'
import { dropReplicasOn, markOut, withoutReplica } from '../../placement/coordinator-changes.ts'
import { leavingReplicas } from '../../placement/coordinator-replicas.ts'
import { saysNoSpace } from '../drive-errors.ts'
import type { OpenLevel } from '../drive-lock.ts'
import { removeAside } from '../meta-rows/open.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import type { FilesLook } from '../upkeep/file-scrub.ts'
import type { Doubts } from './believe.ts'
import type { HostDrive } from './drive.ts'
import type { StartDrive } from './evidence.ts'
import { inspectPartition } from './inspect.ts'
import { checkTablesOf, inspectFiles, type LookParts } from './inspect-files.ts'
import type { Member } from './member.ts'
import { membersOn, removeLearners } from './members-of-drive.ts'
import { ReplicaMender } from './mend.ts'
import type { HostedPartition } from './partition.ts'
import { RowsRenewal } from './rows-renewal.ts'
import type { Recovered } from './start.ts'

/** How often and how much (HostLimits), and how many replicas every partition is to have. */
export interface KeeperOptions {
  limits: { markerBytes: number; markerMs: number; lateMs: number; inspectMs: number }
  replicaCount: number
  /** Drives whose tables were not checked at the start. */
  unchecked: ReadonlySet<number>
}

/** What the keeper looks after, and with what. Drives come and go in `hosts`, by their ids, while it does. */
export interface KeeperParts {
  world: World
  log: Log
  coordinator: Coordinator
  hosts: ReadonlyMap<number, HostDrive>
  /** Filled before start() is called. */
  partitions: ReadonlyMap<number, HostedPartition>
  openLevel: OpenLevel
  /** Whether rows may still grow on a drive. */
  hasRoom: (driveId: number) => boolean
}

const TICK_MS = 500
const MEND_EVERY_MS = 5_000
// A drive that was late, or on which a copy failed, gets no new replica for this long.
const AVOID_MS = 60_000
const DECIDE_AGAIN_MS = 1_000
const REST_MS = 50
const STOP_MS = 3_000

/** The one who acts when replicas are in trouble. */
export class MetadataKeeper implements Doubts {
  readonly #options: KeeperOptions
  readonly #parts: KeeperParts
  readonly #mender: ReplicaMender
  readonly #rests: Rests
  readonly #renewal: RowsRenewal
  readonly #failed = new Map<number, Promise<void>>()
  readonly #avoided = new Map<number, number>()
  /** Members that were late while they were joining. */
  readonly #countedOut = new WeakSet<Member>()
  readonly #loops: Promise<void>[] = []

  constructor(options: KeeperOptions, parts: KeeperParts) {
    this.#options = options
    this.#parts = parts
    this.#rests = new Rests(parts.world.clock)
    this.#renewal = new RowsRenewal({
      ...parts,
      rests: this.#rests,
      decide: (change) => this.#decide(change),
      onRenewed: () => void this.#fillAgain(),
    })
    this.#mender = new ReplicaMender(options.replicaCount, {
      ...parts,
      doubts: this,
      decide: (change) => this.#decide(change),
      isAvoided: (driveId) => this.#isAvoided(driveId),
      avoid: (driveId) => this.#avoid(driveId),
    })
  }

  /** Begins to watch over what was recovered. */
  start(drives: ReadonlyMap<number, StartDrive>, recovered: Recovered): void {
    for (const { drive } of this.#parts.hosts.values()) this.watchDrive(drive)
    this.#loops.push(this.#tidy(drives, recovered), this.#tickLoop(), this.#inspectLoop())
  }

  /** Hears of the failure of a drive whose log and rows are open. */
  watchDrive(drive: MetaDrive): void {
    drive.onFailure(() => void this.driveFailed(drive.id))
  }

  /** What is known of a drive counts no more: its log and rows are to be closed, and another may have its number. */
  async forgetDrive(driveId: number): Promise<void> {
    await this.#renewal.settle(driveId)
    this.#failed.delete(driveId)
    this.#avoided.delete(driveId)
  }

  driveFailed(driveId: number): Promise<void> {
    const known = this.#failed.get(driveId)
    if (known !== undefined) return known
    const taken = this.#takeOut(driveId)
    this.#failed.set(driveId, taken)
    return taken
  }

  mend(): Promise<void> {
    return this.#mender.request()
  }

  /** No copy that is under way counts on the drive; replicas that it had are made elsewhere. */
  driveAside(driveId: number): void {
    removeLearners(this.#parts.partitions, driveId)
    void this.#mender.request()
  }

  /** A replica counts that a partition does not have: nothing may be acknowledged as if it had it. */
  dropMissing(partition: number, replica: Replica): void {
    const where = { partition, drive: replica.driveId }
    this.#parts.log.error(where, 'a replica counts that is not there: it is dropped')
    void this.#decide(withoutReplica(partition, replica)).then(() => this.#mender.request())
  }

  /** Takes a replica out of use whose rows are not what they were. Asked often, acts once. */
  onBadRows(member: Member, cause: unknown): void {
    const { driveId, host } = member
    if (host.drive.failure !== undefined || this.#renewal.isRenewing(driveId)) return
    this.#parts.log.error({ drive: driveId, cause }, 'rows of metadata on a drive are damaged')
    this.#renewal.renew(driveId)
  }

  /** Rows of a drive take no changes for want of room: opens them again when there is some. False when that can not be. */
  resumeRows(driveId: number): Promise<boolean> {
    return this.#renewal.resume(driveId)
  }

  async checkTables({ host }: Member): Promise<string | undefined> {
    try {
      return await checkTablesOf(host, this.#looking)
    } catch (error) {
      // Nobody looked.
      if (error instanceof Overloaded) throw error
      return error instanceof Error ? error.message : String(error)
    }
  }

  /** How often rows of a drive were found to be damaged, by whomever. */
  get damageCount(): number {
    return this.#renewal.count
  }

  /**
   * Reads the files of all rows and compares all replicas; resolves when what was damaged is made anew. `pace` is called
   * between slices, and what it throws ends the walk.
   */
  async inspect(pace = () => this.#rests.restOrThrow(REST_MS)): Promise<FilesLook> {
    const before = this.#renewal.count
    const look = await inspectFiles([...this.#parts.hosts.values()], this.#looking, pace)
    await this.#renewal.settle()
    for (const partition of this.#parts.partitions.values()) {
      if (partition.stopped === undefined) await inspectPartition(partition, this, pace)
    }
    await this.#renewal.settle()
    await this.#mender.request()
    return { files: look.files, damaged: look.damaged + this.#renewal.count - before }
  }

  /** Reads all logs back and gives up what rotted in them. */
  async scrubLogs(pace: () => Promise<void>): Promise<FilesLook> {
    const look: FilesLook = { files: 0, damaged: 0 }
    for (const host of this.#parts.hosts.values()) {
      if (host.drive.failure !== undefined || this.#renewal.isRenewing(host.drive.id)) continue
      const { files, damaged } = await host.scrubLog(pace)
      look.files += files
      look.damaged += damaged
    }
    return look
  }

  /** Writes a marker on every drive where it is due, or on all of them. */
  async writeMarkers(isTime = true): Promise<void> {
    await Promise.all(
      [...this.#parts.hosts.values()].map((host) => this.#writeMarker(host, isTime)),
    )
  }

  /** Ends all loops and copies; what hangs is not waited for. */
  async stop(): Promise<void> {
    this.#rests.stop()
    const ended = Promise.all([this.#mender.stop(), ...this.#loops, this.#renewal.settle()])
    await Promise.race([ended, this.#parts.world.clock.sleep(STOP_MS)])
  }

  async #takeOut(driveId: number): Promise<void> {
    const failure = this.#parts.hosts.get(driveId)?.drive.failure
    const why = failure instanceof Error ? failure.message : String(failure ?? 'unknown')
    await this.#decide(markOut(driveId, `it failed: ${why}`))
    removeLearners(this.#parts.partitions, driveId)
    for (const partition of this.#parts.partitions.values()) {
      // Where it was the last replica nothing was decided, and the partition has to see that it is gone.
      partition.adopt(this.#parts.coordinator.state.metaPartitions[partition.id]!)
    }
    void this.#mender.request()
  }

  /** A decision that fails is tried again until it is made or there is nothing left to decide about: then false. */
  async #decide(change: Change): Promise<boolean> {
    for (;;) {
      try {
        await this.#parts.coordinator.decide(change)
        return true
      } catch (error) {
        this.#parts.log.error({ error }, 'a decision about metadata could not be made')
        const someLive = [...this.#parts.hosts.values()].some(
          ({ drive }) => drive.failure === undefined,
        )
        if (!someLive || !(await this.#rests.rest(DECIDE_AGAIN_MS))) return false
      }
    }
  }

  /** Makes what is missing. Rows that were put aside are kept until there is nothing left that they could be needed for. */
  async #fillAgain(): Promise<void> {
    await this.#mender.request()
    const { world, hosts, log, partitions } = this.#parts
    const isWhole = [...partitions.values()].every(({ stopped }) => stopped === undefined)
    if (!isWhole || this.#someReplicaIsMissing() || this.#renewal.isUnderWay) return
    for (const { drive } of hosts.values()) {
      try {
        if (drive.failure === undefined) await removeAside({ world, drive })
      } catch (error) {
        log.warn(
          { drive: drive.id, error },
          'damaged rows that were put aside could not be removed',
        )
      }
    }
  }

  #someReplicaIsMissing(): boolean {
    const { metaPartitions } = this.#parts.coordinator.state
    return metaPartitions.some(({ inSync }) => inSync.length < this.#options.replicaCount)
  }

  #someReplicaIsToLeave(): boolean {
    const { map, metaPartitions } = this.#parts.coordinator.state
    return metaPartitions.some((partition) => leavingReplicas(map, partition).length > 0)
  }

  /** Removes rows that do not count any more, then makes the replicas that are missing. */
  async #tidy(drives: ReadonlyMap<number, StartDrive>, { lost }: Recovered): Promise<void> {
    for (const [driveId, { host, statuses, verdict }] of drives) {
      if (host.drive.failure !== undefined) continue
      if (verdict.kind === 'suspect' && lost.size === 0) {
        this.#renewal.renew(driveId)
        continue
      }
      await this.#clearStale(
        host,
        [...statuses.keys()].filter((id) => !lost.has(id)),
      )
    }
    await this.#fillAgain()
  }

  async #clearStale(host: HostDrive, partitions: readonly number[]): Promise<void> {
    try {
      for (const id of partitions) if (!host.isBusyWith(id)) await host.clear(id)
    } catch (error) {
      this.#parts.log.warn({ drive: host.drive.id, error }, 'old rows could not be removed')
    }
  }

  async #tickLoop(): Promise<void> {
    let mendInMs = MEND_EVERY_MS
    let markInMs = this.#options.limits.markerMs
    while (await this.#rests.rest(TICK_MS)) {
      mendInMs -= TICK_MS
      markInMs -= TICK_MS
      for (const partition of this.#parts.partitions.values()) this.#dropLaggards(partition)
      // A drive that hangs must not keep the others from what comes next.
      await Promise.race([this.writeMarkers(markInMs <= 0), this.#rests.rest(TICK_MS)])
      if (markInMs <= 0) markInMs = this.#options.limits.markerMs
      if (mendInMs > 0) continue
      this.#leaveFullDrives()
      mendInMs = MEND_EVERY_MS
      if (this.#someReplicaIsMissing() || this.#someReplicaIsToLeave()) void this.#mender.request()
    }
  }

  #dropLaggards(partition: HostedPartition): void {
    for (const member of partition.laggards(this.#options.limits.lateMs)) {
      const { driveId } = member
      if (member.role === 'learner') partition.removeLearner(member)
      else if (member.role === 'joining') this.#countOut(partition, member)
      else if (!this.#isAvoided(driveId) && this.#canSpare(driveId)) {
        this.#avoid(driveId)
        this.#parts.log.warn({ drive: driveId, partition: partition.id }, 'a replica is late')
        void this.#decide(dropReplicasOn(driveId)).then(() => this.#mender.request())
      }
    }
  }

  /** The set is not smaller without it than it was. Decided behind the question whether it counts. */
  #countOut(partition: HostedPartition, member: Member): void {
    const { id } = partition
    if (this.#countedOut.has(member)) return
    this.#countedOut.add(member)
    this.#parts.log.warn({ drive: member.driveId, partition: id }, 'a new replica is late')
    // One that left meanwhile surely does not count.
    const countOut: Change = (state) =>
      partition.members.includes(member) ? withoutReplica(id, member)(state) : undefined
    void this.#decide(countOut).then(() => this.#mender.request())
  }

  /** Rows do not grow on a full drive: where enough others have room its replicas are made there. */
  #leaveFullDrives(): void {
    const { hosts, hasRoom } = this.#parts
    const live = [...hosts.values()].filter(({ drive }) => drive.failure === undefined)
    const roomy = live.filter(({ drive }) => hasRoom(drive.id))
    if (roomy.length < this.#options.replicaCount) return
    for (const { drive } of live) {
      const isHome = membersOn(this.#parts.partitions, drive.id).some(
        ({ role }) => role !== 'learner',
      )
      if (hasRoom(drive.id) || !isHome || !this.#canSpare(drive.id)) continue
      this.#parts.log.warn({ drive: drive.id }, 'a drive is full: its metadata moves to others')
      void this.#decide(dropReplicasOn(drive.id)).then(() => this.#mender.request())
      return // One at a time: the next one sees how many replicas are left.
    }
  }

  /** A late drive is not lost: it leaves only where, but for one, as many replicas remain as can be with the drives that are out. */
  #canSpare(driveId: number): boolean {
    const { map, metaPartitions } = this.#parts.coordinator.state
    const out = map.drives.filter(({ state }) => state === 'out').length
    const least = Math.max(1, this.#options.replicaCount - out - 1)
    return metaPartitions.every(({ inSync }) => {
      const others = inSync.filter((replica) => replica.driveId !== driveId)
      return others.length === inSync.length || others.length >= least
    })
  }

  async #writeMarker(host: HostDrive, isTime: boolean): Promise<void> {
    const { drive, unmarkedBytes, log } = host
    const { id } = drive
    const rests = drive.failure !== undefined || this.#renewal.isBusyWith(id)
    if (rests || (!isTime && unmarkedBytes < this.#options.limits.markerBytes && !log.isFull))
      return
    try {
      await host.checkpoint(log.isFull ? { force: true, retainBytes: 0 } : {})
    } catch (error) {
      if (drive.failure !== undefined || this.#renewal.isRenewing(drive.id)) return
      if (saysNoSpace(error)) void this.#renewal.resumeOrRenew(drive.id, error)
      else {
        this.#parts.log.error({ drive: drive.id, error }, 'rows can not be made durable')
        this.#renewal.renew(drive.id)
      }
    }
  }

  async #inspectLoop(): Promise<void> {
    const unchecked = [...this.#options.unchecked].flatMap((id) => this.#parts.hosts.get(id) ?? [])
    try {
      await inspectFiles(unchecked, this.#looking, () => this.#rests.restOrThrow(REST_MS))
    } catch (error) {
      this.#parts.log.warn({ error }, 'rows that were not checked at the start could not be read')
    }
    while (await this.#rests.rest(this.#options.limits.inspectMs)) {
      try {
        await this.inspect()
      } catch (error) {
        this.#parts.log.warn({ error }, 'replicas of metadata could not be compared to the end')
      }
    }
  }

  get #looking(): LookParts {
    return {
      ...this.#parts,
      rests: this.#rests,
      isRenewing: (driveId) => this.#renewal.isRenewing(driveId),
      onBadRows: (member, cause) => this.onBadRows(member, cause),
    }
  }

  #isAvoided(driveId: number): boolean {
    const untilMs = this.#avoided.get(driveId) ?? Number.NEGATIVE_INFINITY
    const isLate = this.#parts.world.clock.monotonicMs() < untilMs
    if (isLate || this.#renewal.isBusyWith(driveId)) return true
    return !this.#parts.hasRoom(driveId)
  }

  #avoid(driveId: number): void {
    this.#avoided.set(driveId, this.#parts.world.clock.monotonicMs() + AVOID_MS)
  }
}
