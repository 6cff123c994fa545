// Rows of a drive that can not go on as they are: damaged ones are made anew from the other replicas, and ones that
// LevelDB had no room for are opened again when there is some.
import { mebibytes } from '../../kit/bytes.ts'
import type { Log } from '../../kit/log.ts'
import type { Rests } from '../../kit/rests.ts'
import type { DiskSpace, World } from '../../kit/world.ts'
import type { Change } from '../../placement/coordinator.ts'
import { dropReplicasOn } from '../../placement/coordinator-changes.ts'
import { saysNoSpace } from '../drive-errors.ts'
import type { OpenLevel } from '../drive-lock.ts'
import { reopenRows, replaceRows } from '../meta-rows/open.ts'
import type { HostDrive } from './drive.ts'
import {
  isJoiningOn,
  isOnlyCopy,
  membersOn,
  readNoMore,
  removeLearners,
} from './members-of-drive.ts'
import type { HostedPartition } from './partition.ts'

/** What renewing needs of the keeper. */
export interface RenewalParts {
  world: World
  log: Log
  hosts: ReadonlyMap<number, HostDrive>
  partitions: ReadonlyMap<number, HostedPartition>
  openLevel: OpenLevel
  rests: Rests
  /** Makes a decision, however long it takes. False when there is nothing left to decide about. */
  decide(change: Change): Promise<boolean>
  /** Rows were made anew, or could not be. */
  onRenewed(): void
}

// With less than this left LevelDB can not be trusted to open: a share of it on small drives.
const ROOM_BYTES = mebibytes(8)
/** What opening a LevelDB again may take. */
const ROOM_INODES = 8
const ROOM_AGAIN_MS = 1_000
const JOINING_AGAIN_MS = 100
/** For how long the only copy stays as it is before it is looked at again. */
const ONLY_COPY_MS = 60_000

/** Makes rows anew and opens them again, drive by drive. */
export class RowsRenewal {
  readonly #parts: RenewalParts
  readonly #renewing = new Map<number, Promise<void>>()
  /** Rows that wait for room, or are opened again; true when they are whole then. */
  readonly #resuming = new Map<number, Promise<boolean>>()
  #lastResumed: Promise<unknown> = Promise.resolve()
  #count = 0

  constructor(parts: RenewalParts) {
    this.#parts = parts
  }

  /** How often rows were made anew so far. */
  get count(): number {
    return this.#count
  }

  /** Whether rows of any drive are being made anew. */
  get isUnderWay(): boolean {
    return this.#renewing.size > 0
  }

  isRenewing(driveId: number): boolean {
    return this.#renewing.has(driveId)
  }

  /** Whether the rows of a drive take no changes now. */
  isBusyWith(driveId: number): boolean {
    return this.#renewing.has(driveId) || this.#resuming.has(driveId)
  }

  /** Resolves when rows that are being made anew are done, of one drive or of all. */
  async settle(driveId?: number): Promise<void> {
    if (driveId !== undefined) await this.#renewing.get(driveId)
    else await Promise.all(this.#renewing.values())
  }

  /** Begins to make the rows of a drive anew. */
  renew(driveId: number): void {
    this.#count += 1
    const renewed = this.#renewRows(driveId)
      .catch((error) => {
        // Rows that can be neither read nor made anew: the drive is of no use for anything.
        this.#parts.log.error({ drive: driveId, error }, 'rows could not be made anew')
        this.#parts.hosts.get(driveId)?.drive.fail(error)
      })
      .finally(() => {
        this.#renewing.delete(driveId)
        this.#parts.onRenewed()
      })
    this.#renewing.set(driveId, renewed)
  }

  /** Opens rows again when there is room. False when that can not be. */
  resume(driveId: number): Promise<boolean> {
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

  /** As resume(); where that can not be they are made anew, because of `error`. Never rejects. */
  async resumeOrRenew(driveId: number, error: unknown): Promise<void> {
    const { drive } = this.#parts.hosts.get(driveId)!
    try {
      if ((await this.resume(driveId)) || this.#parts.rests.isOver) return
    } catch (trouble) {
      // It could not be asked how much room it has: a drive that failed says why itself.
      this.#parts.log.error({ drive: driveId, error: trouble }, 'the rows of a drive wait no more')
      if (drive.failure === undefined) drive.fail(trouble)
      return
    }
    this.#parts.log.error({ drive: driveId, error }, 'rows can not be made durable')
    if (drive.failure === undefined) this.renew(driveId)
  }

  async #renewRows(driveId: number): Promise<void> {
    const { log, world, openLevel, partitions, rests } = this.#parts
    const host = this.#parts.hosts.get(driveId)!
    if (!(await this.#waitForRoom(host))) return
    if (isOnlyCopy(partitions, driveId)) {
      log.error({ drive: driveId }, 'the damaged rows are the only copy: they stay as they are')
      await rests.rest(ONLY_COPY_MS)
      return
    }
    readNoMore(partitions, driveId)
    await this.#parts.decide(dropReplicasOn(driveId))
    removeLearners(partitions, driveId)
    // One that the coordinator was asked to count comes to count, and goes, behind that.
    while (isJoiningOn(partitions, driveId)) {
      if (!(await rests.rest(JOINING_AGAIN_MS))) return
      await this.#parts.decide(dropReplicasOn(driveId))
    }
    if (membersOn(partitions, driveId).length > 0) return // The others failed meanwhile.
    await host.rows.close()
    host.replaceRows(await replaceRows({ world, drive: host.drive, openLevel }))
  }

  /** LevelDB fails on a full drive, whose rows are as good as its log: nothing is put aside. False when it all ends. */
  async #waitForRoom({ drive }: HostDrive): Promise<boolean> {
    const { world, log, rests } = this.#parts
    for (let waited = false; drive.failure === undefined; waited = true) {
      const space = await drive.run(() => world.disk.space(drive.path))
      if (hasRoomToOpen(space)) return true
      const { freeBytes, freeInodes } = space
      if (!waited)
        log.error({ drive: drive.id, freeBytes, freeInodes }, 'a drive is full: its rows wait')
      if (!(await rests.rest(ROOM_AGAIN_MS))) return false
    }
    return false
  }

  async #waitAndResume(host: HostDrive): Promise<boolean> {
    const { log, rests } = this.#parts
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
      if (!(await rests.rest(ROOM_AGAIN_MS))) return false
    }
    return false
  }

  async #resume(host: HostDrive): Promise<void> {
    const { world, openLevel, partitions } = this.#parts
    const { drive } = host
    // What was copied so far may be lost: nobody counts on it, and it is begun anew.
    removeLearners(partitions, drive.id)
    for (const member of membersOn(partitions, drive.id)) member.paused = true
    await host.resume(() => reopenRows({ world, drive, openLevel }))
    for (const member of membersOn(partitions, drive.id)) member.paused = false
  }
}

function hasRoomToOpen({ freeBytes, totalBytes, freeInodes, totalInodes }: DiskSpace): boolean {
  if (totalInodes > 0 && freeInodes < ROOM_INODES) return false
  return freeBytes >= Math.min(ROOM_BYTES, totalBytes / 200)
}
