// Keeps metadata partitions alive: takes replicas out of the set when their drive fails, is late or lies,
// has them made anew, writes markers, and compares replicas in the background.
import { mebibytes } from '../../kit/bytes.ts'
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { Log } from '../../kit/log.ts'
import type { DiskSpace, World } from '../../kit/world.ts'
import type { Change, Coordinator } from '../../placement/coordinator.ts'
import { dropReplicasOn, markOut } from '../../placement/coordinator-changes.ts'
import { leavingReplicas } from '../../placement/coordinator-replicas.ts'
import { saysNoSpace } from '../drive.ts'
import type { OpenLevel } from '../drive-lock.ts'
import { rowsPath } from '../meta-rows/check.ts'
import { type LevelLook, lookAtLevel } from '../meta-rows/level-files.ts'
import { removeAside, reopenRows, replaceRows } from '../meta-rows/open.ts'
import { checkTables, tablesIn } from '../meta-rows/tables.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import type { FilesLook } from '../upkeep/file-scrub.ts'
import type { Doubts } from './believe.ts'
import type { HostDrive } from './drive.ts'
import type { StartDrive } from './evidence.ts'
import { inspectPartition } from './inspect.ts'
import { ReplicaMender } from './mend.ts'
import type { HostedPartition, Member } from './partition.ts'
import type { Recovered } from './start.ts'

export interface KeeperOptions {
  limits: { markerBytes: number; markerMs: number; lateMs: number; inspectMs: number }
  replicaCount: number
  /** Drives whose tables were not checked at the start. */
  unchecked: ReadonlySet<number>
}

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
// With less than this left LevelDB can not be trusted to open: a share of it on small drives.
const ROOM_BYTES = mebibytes(8)
/** What opening a LevelDB again may take. */
const ROOM_INODES = 8
const ROOM_AGAIN_MS = 1_000
const STOP_MS = 3_000
/** A file that looks bad may be half written. */
const LOOK_AGAIN_MS = 500

/** The one who acts when replicas are in trouble. */
export class MetadataKeeper implements Doubts {
  readonly #options: KeeperOptions
  readonly #parts: KeeperParts
  readonly #mender: ReplicaMender
  readonly #stopping = new AbortController()
  readonly #failed = new Map<number, Promise<void>>()
  readonly #avoided = new Map<number, number>()
  /** Drives whose rows are being made anew. */
  readonly #renewing = new Map<number, Promise<void>>()
  #renewals = 0
  /** Drives whose rows wait for room, or are opened again; true when they are whole then. */
  readonly #resuming = new Map<number, Promise<boolean>>()
  #lastResumed: Promise<unknown> = Promise.resolve()
  readonly #loops: Promise<void>[] = []

  constructor(options: KeeperOptions, parts: KeeperParts) {
    this.#options = options
    this.#parts = parts
    this.#mender = new ReplicaMender(options.replicaCount, {
      ...parts,
      doubts: this,
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
    await this.#renewing.get(driveId)
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
    this.#removeLearners(driveId)
    void this.#mender.request()
  }

  /** Takes a replica out of use whose rows are not what they were. Asked often, acts once. */
  onBadRows(member: Member, cause: unknown): void {
    const { driveId, host } = member
    if (host.drive.failure !== undefined || this.#renewing.has(driveId)) return
    this.#parts.log.error({ drive: driveId, cause }, 'rows of metadata on a drive are damaged')
    this.#renew(driveId)
  }

  /** Rows of a drive take no changes for want of room: opens them again when there is some. False when that can not be. */
  resumeRows(driveId: number): Promise<boolean> {
    const known = this.#resuming.get(driveId)
    if (known !== undefined) return known
    const host = this.#parts.hosts.get(driveId)!
    const resumed = this.#waitAndResume(host).finally(() => {
      this.#resuming.delete(driveId)
      host.endPause()
    })
    this.#resuming.set(driveId, resumed)
    return resumed
  }

  async checkTables({ host }: Member): Promise<string | undefined> {
    try {
      return await this.#checkTablesOf(host)
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  /** How often rows of a drive were found to be damaged, by whomever. */
  get damageCount(): number {
    return this.#renewals
  }

  /**
   * Reads the files of all rows and compares all replicas; resolves when what was damaged is made anew. `pace` is called
   * between slices, and what it throws ends the walk.
   */
  async inspect(pace = () => this.#restOrStop()): Promise<FilesLook> {
    const before = this.#renewals
    const look = await this.#inspectFiles([...this.#parts.hosts.values()], pace)
    await Promise.all(this.#renewing.values())
    for (const partition of this.#parts.partitions.values()) {
      if (partition.stopped === undefined) await inspectPartition(partition, this, pace)
    }
    await Promise.all(this.#renewing.values())
    await this.#mender.request()
    return { files: look.files, damaged: look.damaged + this.#renewals - before }
  }

  /** Reads all logs back and gives up what rotted in them. */
  async scrubLogs(pace: () => Promise<void>): Promise<FilesLook> {
    const look: FilesLook = { files: 0, damaged: 0 }
    for (const host of this.#parts.hosts.values()) {
      if (host.drive.failure !== undefined || this.#renewing.has(host.drive.id)) continue
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
    this.#stopping.abort()
    const ended = Promise.all([this.#mender.stop(), ...this.#loops, ...this.#renewing.values()])
    await Promise.race([ended, this.#parts.world.clock.sleep(STOP_MS)])
  }

  async #takeOut(driveId: number): Promise<void> {
    const failure = this.#parts.hosts.get(driveId)?.drive.failure
    const why = failure instanceof Error ? failure.message : String(failure ?? 'unknown')
    await this.#decide(markOut(driveId, `it failed: ${why}`))
    for (const partition of this.#parts.partitions.values()) {
      for (const member of partition.members) {
        if (member.driveId === driveId && member.role === 'learner') partition.remove(member)
      }
      // Where it was the last replica nothing was decided, and the partition has to see that it is gone.
      partition.adopt(this.#parts.coordinator.state.metaPartitions[partition.id]!)
    }
    void this.#mender.request()
  }

  /** A decision that fails is tried again until it is made or there is nothing left to decide about. */
  async #decide(change: Change): Promise<void> {
    for (;;) {
      try {
        await this.#parts.coordinator.decide(change)
        return
      } catch (error) {
        this.#parts.log.error({ error }, 'a decision about metadata could not be made')
        const someLive = [...this.#parts.hosts.values()].some(
          ({ drive }) => drive.failure === undefined,
        )
        if (!someLive || !(await this.#rest(DECIDE_AGAIN_MS))) return
      }
    }
  }

  #renew(driveId: number): void {
    this.#renewals += 1
    const renewed = this.#renewRows(driveId)
      .catch((error) => {
        // Rows that can be neither read nor made anew: the drive is of no use for anything.
        this.#parts.log.error({ drive: driveId, error }, 'rows could not be made anew')
        this.#parts.hosts.get(driveId)?.drive.fail(error)
      })
      .finally(() => {
        this.#renewing.delete(driveId)
        void this.#fillAgain()
      })
    this.#renewing.set(driveId, renewed)
  }

  /** Makes what is missing. Rows that were put aside are kept until there is nothing left that they could be needed for. */
  async #fillAgain(): Promise<void> {
    await this.#mender.request()
    const { world, hosts, log, partitions } = this.#parts
    const isWhole = [...partitions.values()].every(({ stopped }) => stopped === undefined)
    if (!isWhole || this.#someReplicaIsMissing() || this.#renewing.size > 0) return
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

  async #renewRows(driveId: number): Promise<void> {
    const { log, world, openLevel } = this.#parts
    const host = this.#parts.hosts.get(driveId)!
    if (!(await this.#waitForRoom(host))) return
    if (this.#isOnlyCopy(driveId)) {
      log.error({ drive: driveId }, 'the damaged rows are the only copy: they stay as they are')
      await this.#rest(AVOID_MS)
      return
    }
    this.#readNoMore(driveId)
    await this.#decide(dropReplicasOn(driveId))
    this.#removeLearners(driveId)
    if (this.#membersOn(driveId).length > 0) return // The others failed meanwhile.
    await host.rows.close()
    host.replaceRows(await replaceRows({ world, drive: host.drive, openLevel }))
  }

  /** LevelDB fails on a full drive, whose rows are as good as its log: nothing is put aside. False when it all ends. */
  async #waitForRoom({ drive }: HostDrive): Promise<boolean> {
    const { world, log } = this.#parts
    for (let waited = false; drive.failure === undefined; waited = true) {
      const space = await drive.run(() => world.disk.space(drive.path))
      if (hasRoomToOpen(space)) return true
      const { freeBytes, freeInodes } = space
      if (!waited)
        log.error({ drive: drive.id, freeBytes, freeInodes }, 'a drive is full: its rows wait')
      if (!(await this.#rest(ROOM_AGAIN_MS))) return false
    }
    return false
  }

  #removeLearners(driveId: number): void {
    for (const partition of this.#parts.partitions.values()) {
      for (const member of partition.members) {
        if (member.driveId === driveId && member.role === 'learner') partition.remove(member)
      }
    }
  }

  async #waitAndResume(host: HostDrive): Promise<boolean> {
    const { log } = this.#parts
    while (await this.#waitForRoom(host)) {
      // One drive after the other: what has several replicas can be read meanwhile.
      const turn = this.#lastResumed.then(() => this.#resume(host))
      this.#lastResumed = turn.catch(() => {}) // It is dealt with here.
      try {
        await turn
        log.info({ drive: host.drive.id }, 'there is room again: the rows of a drive go on')
        return true
      } catch (error) {
        if (!saysNoSpace(error)) {
          log.error({ drive: host.drive.id, error }, 'rows could not be opened again')
          return false
        }
      }
      if (!(await this.#rest(ROOM_AGAIN_MS))) return false
    }
    return false
  }

  async #resume(host: HostDrive): Promise<void> {
    const { world, openLevel } = this.#parts
    const { drive } = host
    // What was copied so far may be lost: nobody counts on it, and it is begun anew.
    this.#removeLearners(drive.id)
    for (const member of this.#membersOn(drive.id)) member.paused = true
    await host.resume(() => reopenRows({ world, drive, openLevel }))
    for (const member of this.#membersOn(drive.id)) member.paused = false
  }

  #membersOn(driveId: number): Member[] {
    return [...this.#parts.partitions.values()]
      .flatMap(({ members }) => members)
      .filter((member) => member.driveId === driveId)
  }

  #isOnlyCopy(driveId: number): boolean {
    return [...this.#parts.partitions.values()].some((partition) => {
      const holds = partition.members.some(
        (member) => member.driveId === driveId && member.role === 'voter',
      )
      return holds && !partition.readers.some((member) => member.driveId !== driveId)
    })
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
        this.#renew(driveId)
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
    while (await this.#rest(TICK_MS)) {
      mendInMs -= TICK_MS
      markInMs -= TICK_MS
      for (const partition of this.#parts.partitions.values()) this.#dropLaggards(partition)
      // A drive that hangs must not keep the others from what comes next.
      await Promise.race([this.writeMarkers(markInMs <= 0), this.#rest(TICK_MS)])
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
      if (member.role === 'learner') partition.remove(member)
      else if (!this.#isAvoided(driveId) && this.#canSpare(driveId)) {
        this.#avoid(driveId)
        this.#parts.log.warn({ drive: driveId, partition: partition.id }, 'a replica is late')
        void this.#decide(dropReplicasOn(driveId)).then(() => this.#mender.request())
      }
    }
  }

  /** Rows do not grow on a full drive: where enough others have room its replicas are made there. */
  #leaveFullDrives(): void {
    const { hosts, hasRoom } = this.#parts
    const live = [...hosts.values()].filter(({ drive }) => drive.failure === undefined)
    const roomy = live.filter(({ drive }) => hasRoom(drive.id))
    if (roomy.length < this.#options.replicaCount) return
    for (const { drive } of live) {
      const isHome = this.#membersOn(drive.id).some(({ role }) => role === 'voter')
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
    const rests = drive.failure !== undefined || this.#renewing.has(id) || this.#resuming.has(id)
    if (rests || (!isTime && unmarkedBytes < this.#options.limits.markerBytes && !log.isFull))
      return
    try {
      await host.checkpoint(log.isFull ? { force: true, retainBytes: 0 } : {})
    } catch (error) {
      if (drive.failure !== undefined || this.#renewing.has(drive.id)) return
      if (saysNoSpace(error)) void this.#resumeOrRenew(drive.id, error)
      else {
        this.#parts.log.error({ drive: drive.id, error }, 'rows can not be made durable')
        this.#renew(drive.id)
      }
    }
  }

  async #resumeOrRenew(driveId: number, error: unknown): Promise<void> {
    if ((await this.resumeRows(driveId)) || this.#stopping.signal.aborted) return
    this.#parts.log.error({ drive: driveId, error }, 'rows can not be made durable')
    if (this.#parts.hosts.get(driveId)!.drive.failure === undefined) this.#renew(driveId)
  }

  async #inspectLoop(): Promise<void> {
    const unchecked = [...this.#options.unchecked].flatMap((id) => this.#parts.hosts.get(id) ?? [])
    try {
      await this.#inspectFiles(unchecked, () => this.#restOrStop())
    } catch (error) {
      this.#parts.log.warn({ error }, 'rows that were not checked at the start could not be read')
    }
    while (await this.#rest(this.#options.limits.inspectMs)) {
      try {
        await this.inspect()
      } catch (error) {
        this.#parts.log.warn({ error }, 'replicas of metadata could not be compared to the end')
      }
    }
  }

  /**
   * All are looked at before the first is made anew: that reads the others, and a rotten table must not be read. Damaged
   * rows are the caller's to count when they are made anew; what is counted here is mended here.
   */
  async #inspectFiles(hosts: readonly HostDrive[], pace: () => Promise<void>): Promise<FilesLook> {
    const look: FilesLook = { files: 0, damaged: 0 }
    const rotten: { member: Member; trouble: string }[] = []
    for (const host of hosts) {
      const [member] = this.#membersOn(host.drive.id)
      const rests = host.drive.failure !== undefined || this.#renewing.has(host.drive.id)
      if (rests || member === undefined) continue
      const { files, trouble } = await this.#lookAtRows(host, pace)
      look.files += files
      if (trouble?.kind === 'tables') rotten.push({ member, trouble: trouble.detail })
      if (trouble?.kind !== 'log') continue
      // What LevelDB has in memory is whole: a marker writes it into tables and begins another log.
      await host.checkpoint({ force: true })
      look.damaged += 1
    }
    for (const { member } of rotten) this.#readNoMore(member.driveId)
    for (const { member, trouble } of rotten) this.onBadRows(member, new Error(trouble))
    return look
  }

  async #lookAtRows({ drive }: HostDrive, pace: () => Promise<void>): Promise<LevelLook> {
    const { world } = this.#parts
    const pause = async (): Promise<void> => void (await this.#rest(LOOK_AGAIN_MS))
    try {
      return await lookAtLevel({ world, drive, directory: rowsPath(drive), pause, pace })
    } catch (error) {
      if (!(error instanceof DriveUnavailable)) throw error
      return { files: 0, trouble: undefined } // It failed: its rows are made again elsewhere.
    }
  }

  /** LevelDB may end the process over a rotten table: nothing reads it any more, unless there is no other copy. */
  #readNoMore(driveId: number): void {
    if (this.#isOnlyCopy(driveId)) return
    for (const member of this.#membersOn(driveId)) member.readable = false
  }

  async #checkTablesOf({ drive }: HostDrive): Promise<string | undefined> {
    const { world } = this.#parts
    const directory = rowsPath(drive)
    const names = tablesIn(await drive.run(() => world.disk.list(directory)))
    return await checkTables({ world, drive }, { directory, names }, async () => {
      await this.#rest(4 * REST_MS)
    })
  }

  #isAvoided(driveId: number): boolean {
    const untilMs = this.#avoided.get(driveId) ?? Number.NEGATIVE_INFINITY
    const isLate = this.#parts.world.clock.monotonicMs() < untilMs
    if (isLate || this.#renewing.has(driveId) || this.#resuming.has(driveId)) return true
    return !this.#parts.hasRoom(driveId)
  }

  #avoid(driveId: number): void {
    this.#avoided.set(driveId, this.#parts.world.clock.monotonicMs() + AVOID_MS)
  }

  /** Rests, and throws when everything stops. */
  async #restOrStop(): Promise<void> {
    if (!(await this.#rest())) throw new Error('the store is closing')
  }

  /** True after a while; false at once when everything stops. */
  async #rest(ms = REST_MS): Promise<boolean> {
    const { signal } = this.#stopping
    try {
      await this.#parts.world.clock.sleep(ms, signal)
      return true
    } catch (error) {
      if (signal.aborted) return false
      throw error
    }
  }
}

function hasRoomToOpen({ freeBytes, totalBytes, freeInodes, totalInodes }: DiskSpace): boolean {
  if (totalInodes > 0 && freeInodes < ROOM_INODES) return false
  return freeBytes >= Math.min(ROOM_BYTES, totalBytes / 200)
}
