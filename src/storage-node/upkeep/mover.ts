// The worker that brings shards where the table of slots wants them, after drives came, left or changed their weight.
// It counts what has to move by the rows alone, moves it, and counts again: only a count that finds nothing ends it.
// Blobs with more shards than drives stay can not move: they are written anew, in the same passes.
// Moves from or to drives that were put aside wait until those are taken back; the copies that are there stay.
// A drive that is to leave, or is lost, is vacated when two counts in a row found no row that names it.
import type { Log } from '../../kit/log.ts'
import type { Uid } from '../../kit/uid.ts'
import type { World } from '../../kit/world.ts'
import type { MetadataPartition } from '../../metadata/contract.ts'
import type { Blob } from '../../metadata/records.ts'
import type { ClusterMap } from '../../placement/cluster-map.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import { vacate } from '../../placement/coordinator-changes.ts'
import { codeForAnew } from '../../placement/fit-code.ts'
import { chooseMoves } from '../../placement/moves.ts'
import type { DriveId, StorageNode } from '../contract.ts'
import { BlobWalk, type WalkedBlob } from './blob-walk.ts'
import type { CopyWay } from './copy-shard.ts'
import type { LeftBehind } from './left-behind.ts'
import { foretellMoves, type MoveForecast } from './move-forecast.ts'
import { MoveTally } from './move-tally.ts'
import { PostponedMoves } from './postponed-moves.ts'

/** Blobs that are written and whose rows are still to come. */
export interface UnsettledWrites {
  /** All that are under way now. */
  underWay(): readonly Uid[]
  /** Whether a row may still come to name the blob. */
  has(uid: Uid): boolean
}

/** What the mover is given. */
export interface MoverParts {
  world: Pick<World, 'clock'>
  log: Log
  node: Pick<StorageNode, 'whyAside'>
  coordinator: Coordinator
  partitions: readonly MetadataPartition[]
  leftBehind: LeftBehind
  writes: UnsettledWrites
  /** Writes a blob anew if its code does not fit any more; else looks at it, mends it if need be, and moves what has to move. */
  move(blob: WalkedBlob): Promise<unknown>
  /** A pass has ended in which so many blobs were written anew. */
  passEnded(anew: number): void
}

/** How it stands with moving. */
export interface MoveProgress extends MoveForecast {
  /** `counting`: which shards have to move is being found out, or will be next. `idle` is only said of a map that was counted by. */
  phase: 'idle' | 'counting' | 'moving'
  /** Since the start of the process. */
  movedShards: number
  movedBytes: number
  /** Blobs that were written anew with another code; their shards count as moved. */
  anewBlobs: number
  /** Of the last count, less what was moved since; undefined before the first one. */
  remainingShards: number | undefined
  remainingBytes: number | undefined
  remainingAnew: number | undefined
  /** Of the remaining shards, those that wait for drives that were put aside. */
  waitingShards: number | undefined
  /** Copies that moved and still lie where they were. */
  leftBehind: number
  /**
   * Drives that are to leave or are out: how many blobs name them, by the last count less what was moved since, undefined
   * before one; and how many copies that moved still lie there.
   */
  leaving: readonly { driveId: DriveId; blobs: number | undefined; leftBehind: number }[]
}

/** Rows that are counted in one step. */
const PAGE_BLOBS = 256

/** Blobs that are moved side by side. */
const BATCH_BLOBS = 4

/** A drive that might be vacated is looked at again so soon. */
const VACATE_AGAIN_MS = 1_000

/** Where blobs still name a drive and nothing can move it takes mending, which is looked for by others. */
const PATIENCE = 10

/** A walk over all rows. */
type Phase = {
  kind: 'counting' | 'moving'
  walk: BlobWalk
  startedMs: number
}

/** Moves shards. Called step by step by whoever decides that there is time for it. */
export class Mover {
  readonly #againMs: number
  readonly #parts: MoverParts
  readonly #postponed: PostponedMoves
  readonly #totals = { movedShards: 0, movedBytes: 0, anewBlobs: 0 }
  /** Writes that may name a drive although it is not active any more: they began before. */
  readonly #older = new Map<DriveId, readonly Uid[]>()
  #map: ClusterMap
  #phase: Phase | undefined
  /** Blobs of the page under way that have to move. */
  #queue: WalkedBlob[] = []
  #tally = new MoveTally([])
  /** The last count that came to its end. */
  #counted: MoveTally | undefined
  /** Drives that may be vacated if this count finds nothing that names them, and those of which the last count did not. */
  #candidates: readonly DriveId[] = []
  #unnamed: ReadonlySet<DriveId> = new Set()
  /** Moved in the pass under way, or since the last count. */
  #moved = { shards: 0, bytes: 0, anew: 0 }
  /** Those of them that went away from each drive. */
  readonly #movedFrom = new Map<DriveId, number>()
  /** The last pass moved nothing of what it found. */
  #isInVain = false
  /** Nothing has to move: it is only to be seen whether drives may leave. */
  #onlyVacates = false
  #dueMs = Number.NEGATIVE_INFINITY

  /** `againMs`: after this time it is tried again what could not be moved. */
  constructor(againMs: number, parts: MoverParts) {
    this.#againMs = againMs
    this.#parts = parts
    this.#postponed = new PostponedMoves(parts)
    this.#map = parts.coordinator.state.map
    this.#noteOlder()
  }

  /** Takes note of a decision of the coordinator. */
  mapChanged(map: ClusterMap): void {
    const isSame = map.slots === this.#map.slots && nameStates(map) === nameStates(this.#map)
    this.#map = map
    if (isSame) return
    this.#noteOlder()
    this.#unnamed = new Set()
    // A count says nothing of a table that it did not know; a pass asks the table for every blob.
    if (this.#phase?.kind === 'counting') this.#phase = undefined
    this.lookAgain()
  }

  /** Something came to lie elsewhere, or may be moved now: it is counted anew soon. */
  lookAgain(): void {
    this.#onlyVacates = false
    this.#isInVain = false
    this.#dueMs = Number.NEGATIVE_INFINITY
  }

  /** A shard was moved. */
  countMoved(bytes: number, way: Pick<CopyWay, 'from' | 'to'>): void {
    this.#countGone(1, bytes, [way.from])
    this.#counted?.noteMoved(bytes, way)
  }

  /** A shard that was to move stays for now because of a drive. */
  movePostponed(driveId: DriveId, why: string): void {
    this.#postponed.note(driveId, why)
  }

  /** A blob was written anew: so many shards of so many bytes together. No row names what was on the drives `from`. */
  countAnew(shards: number, bytes: number, from: readonly DriveId[]): void {
    this.#countGone(shards, bytes, from)
    this.#totals.anewBlobs += 1
    this.#moved.anew += 1
  }

  #countGone(shards: number, bytes: number, from: readonly DriveId[]): void {
    for (const driveId of from)
      this.#movedFrom.set(driveId, (this.#movedFrom.get(driveId) ?? 0) + 1)
    this.#totals.movedShards += shards
    this.#totals.movedBytes += bytes
    this.#moved.shards += shards
    this.#moved.bytes += bytes
  }

  /** How it stands. */
  progress(): MoveProgress {
    const { shards, bytes, anew } = this.#counted ?? {}
    const remainingShards = shards && Math.max(0, shards - this.#moved.shards)
    const remainingBytes = bytes && Math.max(0, bytes - this.#moved.bytes)
    const waiting = this.#counted && this.#waitingOf(this.#counted)
    const movingMs = this.#phase?.kind === 'moving' ? this.#nowMs() - this.#phase.startedMs : 0
    const movableBytes = Math.max(0, (remainingBytes ?? 0) - (waiting?.bytes ?? 0))
    return {
      phase: this.#phase?.kind ?? (this.#isCountDue ? 'counting' : 'idle'),
      ...this.#totals,
      remainingShards,
      remainingBytes,
      remainingAnew: anew && Math.max(0, anew - this.#moved.anew),
      waitingShards: waiting && Math.min(waiting.shards, remainingShards ?? 0),
      ...foretellMoves(movingMs, { movedBytes: this.#moved.bytes, movableBytes }),
      leftBehind: this.#parts.leftBehind.size,
      leaving: idleDrives(this.#map).map(({ id: driveId }) => ({
        driveId,
        blobs: this.#blobsNaming(driveId),
        leftBehind: this.#parts.leftBehind.countOn(driveId),
      })),
    }
  }

  #waitingOf(tally: MoveTally): ReturnType<MoveTally['movesOf']> {
    return tally.movesOf((driveId) => this.#postponed.isAside(driveId))
  }

  /** Something happened since the last count, and the next one has not begun. */
  get #isCountDue(): boolean {
    return this.#dueMs === Number.NEGATIVE_INFINITY
  }

  /** A blob has one shard on a drive, and few have more. */
  #blobsNaming(driveId: DriveId): number | undefined {
    const counted = this.#counted?.namesOf(driveId)
    return counted && Math.max(0, counted - (this.#movedFrom.get(driveId) ?? 0))
  }

  /** Does a little of what is to be done; false when there is nothing. Throws MetadataUnavailable. */
  async step(): Promise<boolean> {
    if (this.#phase === undefined) {
      if (this.#postponed.takeBack()) this.lookAgain()
      if (this.#nowMs() < this.#dueMs) return false
      const candidates = this.#findCandidates()
      if (this.#onlyVacates && candidates.length === 0) {
        this.#dueMs = this.#nowMs() + VACATE_AGAIN_MS
        return false
      }
      if (candidates.length > 0) await this.#settleRows()
      this.#beginCount(candidates)
    }
    const phase = this.#phase!
    try {
      await (phase.kind === 'counting' ? this.#count(phase) : this.#move(phase))
    } catch (error) {
      if (this.#phase === phase) this.#phase = undefined
      this.#dueMs = this.#nowMs() + this.#againMs
      throw error
    }
    return true
  }

  #beginCount(candidates: readonly DriveId[]): void {
    this.#dueMs = Number.POSITIVE_INFINITY
    this.#tally = new MoveTally(idleDrives(this.#map).map(({ id }) => id))
    this.#candidates = candidates
    this.#begin('counting')
  }

  /** A move that was given up may be done yet, and name a drive that was active when it began: a count must see it. */
  async #settleRows(): Promise<void> {
    try {
      await Promise.all(this.#parts.partitions.map((partition) => partition.settle()))
    } catch (error) {
      this.#dueMs = this.#nowMs() + this.#againMs
      throw error
    }
  }

  #findCandidates(): DriveId[] {
    const left = idleDrives(this.#map).filter(
      ({ id, isVacated }) => !isVacated && this.#isQuiet(id),
    )
    return left.map(({ id }) => id)
  }

  #begin(kind: Phase['kind']): void {
    const startedMs = this.#nowMs()
    const walk = new BlobWalk('check', this.#parts.partitions, { startedMs })
    this.#phase = { kind, walk, startedMs }
    this.#queue = []
  }

  async #count(phase: Phase): Promise<void> {
    const page = await phase.walk.next(PAGE_BLOBS)
    // The table changed while the page was read: another count begins.
    if (this.#phase !== phase) return
    for (const { reference } of page) this.#tally.add(reference.blob, this.#map)
    if (page.length === 0) await this.#endCount(phase.walk)
  }

  async #endCount({ counts }: BlobWalk): Promise<void> {
    const tally = this.#tally
    const { shards, bytes, anew } = tally
    this.#counted = tally
    this.#moved = { shards: 0, bytes: 0, anew: 0 }
    this.#movedFrom.clear()
    this.#phase = undefined
    const waiting = this.#waitingOf(tally)
    for (const driveId of waiting.drives) this.#postponed.noteAside(driveId)
    if (shards > waiting.shards && !this.#isInVain) {
      this.#postponed.passBegins()
      this.#begin('moving')
      const data = { shards, bytes, anew, waiting: waiting.shards }
      this.#parts.log.info(data, 'shards are to be moved: it begins')
      return
    }
    this.#planNext(tally)
    // It may have missed blobs of versions that became the latest behind it.
    if (counts.unsettled > 0) this.#unnamed = new Set()
    else await this.#vacateUnnamed(tally)
  }

  /** Nothing can move now: when it is to be looked at again. */
  #planNext(tally: MoveTally): void {
    this.#isInVain = false
    const left = idleDrives(this.#map).filter(({ isVacated }) => !isVacated)
    const isEmpty = tally.shards === 0 && left.some(({ id }) => tally.namesOf(id) === 0)
    // What came while it was counted may be none of what was.
    this.#onlyVacates = isEmpty && !this.#isCountDue
    if (tally.shards > 0) this.#countAgain(this.#againMs)
    else if (this.#onlyVacates) this.#countAgain(VACATE_AGAIN_MS)
    else if (left.length > 0) this.#countAgain(this.#againMs * PATIENCE)
  }

  /** Drives that no row names by two counts leave. */
  async #vacateUnnamed(tally: MoveTally): Promise<void> {
    const unnamed = this.#candidates.filter((driveId) => tally.namesOf(driveId) === 0)
    const twice = unnamed.filter((driveId) => this.#unnamed.has(driveId))
    this.#unnamed = new Set(unnamed)
    for (const driveId of twice) {
      const { map } = await this.#parts.coordinator.decide(vacate(driveId))
      const drive = map.drives.find(({ id }) => id === driveId)
      if (drive?.isVacated)
        this.#parts.log.info({ driveId }, 'a drive is vacated: nothing names it')
    }
  }

  #countAgain(afterMs: number): void {
    this.#dueMs = Math.min(this.#dueMs, this.#nowMs() + afterMs)
  }

  async #move(phase: Phase): Promise<void> {
    if (this.#queue.length === 0) {
      const page = await phase.walk.next(PAGE_BLOBS)
      if (page.length === 0) {
        this.#endMoving()
        return
      }
      this.#queue = page.filter(({ reference }) => this.#canMove(reference.blob))
    }
    const batch = this.#queue.splice(0, BATCH_BLOBS)
    // All of them have ended before one that failed is heard of.
    for (const result of await Promise.allSettled(batch.map((blob) => this.#parts.move(blob))))
      if (result.status === 'rejected') throw result.reason
  }

  /** Something of it is to be done, and not only with drives that are aside. */
  #canMove(blob: Blob): boolean {
    if (codeForAnew(this.#map, blob)) return true
    return this.#postponed.canMoveAny(blob, chooseMoves(this.#map, blob))
  }

  #endMoving(): void {
    const { shards, bytes, anew } = this.#moved
    this.#phase = undefined
    this.#isInVain = shards === 0
    this.#parts.log.info({ shards, bytes, anew }, 'a pass that moves shards has ended')
    this.#parts.passEnded(anew)
    this.#countAgain(0)
  }

  /** Nothing but rows can name the drive from now on, and nobody reads there any more. */
  #isQuiet(driveId: DriveId): boolean {
    const { writes, leftBehind, coordinator } = this.#parts
    const waiting = (this.#older.get(driveId) ?? []).filter((uid) => writes.has(uid))
    this.#older.set(driveId, waiting)
    const isReplica = coordinator.state.metaPartitions.some(({ inSync }) =>
      inSync.some((replica) => replica.driveId === driveId),
    )
    return waiting.length === 0 && !isReplica && leftBehind.countOn(driveId) === 0
  }

  /** A drive is not active any more: what is being written now may still have a place on it. */
  #noteOlder(): void {
    const idle = new Set(idleDrives(this.#map).map(({ id }) => id))
    for (const driveId of this.#older.keys()) if (!idle.has(driveId)) this.#older.delete(driveId)
    for (const driveId of idle)
      if (!this.#older.has(driveId)) this.#older.set(driveId, this.#parts.writes.underWay())
  }

  #nowMs(): number {
    return this.#parts.world.clock.now()
  }
}

function idleDrives({ drives }: ClusterMap): ClusterMap['drives'] {
  return drives.filter(({ state }) => state !== 'active')
}

function nameStates({ drives }: ClusterMap): string {
  return drives.map(({ id, state, isLeaving }) => `${id} ${state} ${isLeaving}`).join()
}
