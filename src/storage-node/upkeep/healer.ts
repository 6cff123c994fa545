// The worker that mends: first what readers reported, then what rows say to be owed, then passes over all blobs.
// It rests in proportion to what it worked, and no trouble with one blob keeps it from the others.
import { allDone } from '../../kit/all-done.ts'
import type { World } from '../../kit/world.ts'
import type { MetadataPartition, MetaPartitionId } from '../../metadata/contract.ts'
import type { Blob } from '../../metadata/records.ts'
import { metaPartitionOf } from '../../placement/place.ts'
import type { DriveId, Rewriter, ShardId } from '../contract.ts'
import { BlobHealer, type BlobHealerParts, DELETED } from './blob-healer.ts'
import type { BlobWalk, WalkedBlob } from './blob-walk.ts'
import { DamageQueue } from './damage-queue.ts'
import type { Healed, HealParts } from './heal-blob.ts'
import type { HealProgress } from './heal-progress.ts'
import { type ClearingParts, LeftBehind } from './left-behind.ts'
import { Mover, type MoverParts } from './mover.ts'
import { OwedBlobs } from './owed-blobs.ts'
import { Pacer } from './pacer.ts'
import { redundancyLeft, type ScheduleOptions } from './pass-schedule.ts'
import { Passes, type PassesParts } from './passes.ts'
import { WritingAnew } from './write-anew.ts'

/** Times of the healer. */
export interface HealerOptions extends ScheduleOptions {
  /** How long a shard that moved stays where it was, for readers who know it there. */
  graceMs: number
}

/** What the healer is given; it counts by itself. */
export interface HealerParts
  extends Pick<HealParts, 'log' | 'node' | 'codec' | 'coordinator' | 'newCommandId'>,
    Pick<BlobHealerParts, 'ofReign'>,
    Pick<PassesParts, 'files' | 'positions'>,
    Pick<MoverParts, 'writes'>,
    ClearingParts {
  /** Of a clock that goes on steadily: what waits, waits as long as it is to, whatever becomes of the clock of the machine. */
  world: Pick<World, 'clock' | 'random'>
  partitions: readonly MetadataPartition[]
  /** Whether this process looks after the blobs of a partition now; absent where it does after all. */
  isMine?(partition: MetaPartitionId): boolean
}

/**
 * How hard it works. `tranquility`: rest after work, as a multiple of the time that the work took. `blobs` are worked
 * on side by side: small ones share the syncs of a drive.
 */
interface Effort {
  tranquility: number
  blobs: number
}

/** A duty of 20 %. */
const USUAL: Effort = { tranquility: 4, blobs: 4 }

/** A duty of 60 %, with little redundancy left. */
const URGENT: Effort = { tranquility: 2 / 3, blobs: 12 }

/** Shards that moved, of which the old copies are deleted in one step. */
const CLEARED_AT_ONCE = 16

/** How long it sleeps when there is nothing to do. */
const IDLE_MS = 250

/** Mends the blobs of a store. */
export class Healer {
  readonly #parts: HealerParts
  readonly #blobs: BlobHealer
  readonly #passes: Passes
  readonly #damage = new DamageQueue()
  readonly #owed: OwedBlobs
  readonly #leftBehind: LeftBehind
  readonly #mover: Mover
  readonly #anew: WritingAnew
  #movesNext = false
  readonly #stopping = new AbortController()
  readonly #pacer: Pacer
  readonly #totals = { mendedShards: 0, bytesRead: 0, bytesWritten: 0 }
  #running: Promise<void> | undefined
  #unwatch: () => void = () => {}

  constructor(options: HealerOptions, parts: HealerParts) {
    this.#parts = parts
    this.#leftBehind = new LeftBehind(options.graceMs)
    this.#pacer = new Pacer(parts.world.clock, () => this.#effort().tranquility)
    this.#owed = new OwedBlobs(parts.partitions)
    const isStopping = (): boolean => this.#stopping.signal.aborted
    const healing = this.#healParts()
    this.#blobs = new BlobHealer({ ...parts, ...healing, isStopping })
    this.#passes = new Passes(options, parts.coordinator.state.map, {
      ...parts,
      isShared: parts.isMine !== undefined,
      pace: healing.pace,
      isStopping,
      passEnded: (walk) => this.#passEnded(walk),
    })
    this.#mover = new Mover(options.againMs, {
      ...parts,
      leftBehind: this.#leftBehind,
      move: (blob) => this.#move(blob),
      // What owed shards and had no drive for them may be whole now.
      passEnded: (anew) => {
        if (anew > 0) this.#passes.checkWaiting()
      },
    })
    this.#anew = new WritingAnew({
      ...parts,
      ...healing,
      signal: this.#stopping.signal,
      countAnew: (shards, bytes, from) => {
        this.#totals.bytesWritten += bytes
        this.#mover.countAnew(shards, bytes, from)
      },
    })
  }

  /** What healing a blob tells its healer, beside what the healer was given. */
  #healParts(): Omit<HealParts, keyof HealerParts> {
    const totals = this.#totals
    return {
      countRead: (bytes) => {
        totals.bytesRead += bytes
      },
      countWritten: (bytes) => {
        totals.bytesWritten += bytes
      },
      countMended: (shards) => {
        totals.mendedShards += shards
      },
      countMoved: (bytes, way) => this.#mover.countMoved(bytes, way),
      movePostponed: (driveId, why) => this.#mover.movePostponed(driveId, why),
      leftBehind: this.#leftBehind,
      reportDamaged: (blob) => this.report({ blob, kind: 'corrupt' }),
      awaited: () => this.#passes.awaited(),
      pace: () => this.#pacer.rest(this.#stopping.signal),
    }
  }

  /** Begins to work. */
  start(): void {
    this.#unwatch = this.#parts.coordinator.watch(({ map }) => {
      const isDisturbed = this.#passes.mapChanged(map)
      this.#mover.mapChanged(map)
      if (isDisturbed) this.#owed.tryAllAgain()
    })
    this.#running = this.#run(this.#stopping.signal)
  }

  /** Leaves off: a blob that is being mended stays as it was. */
  async stop(): Promise<void> {
    this.#unwatch()
    this.#stopping.abort()
    await this.#running
    await this.#passes.stop()
  }

  /** A reader found a shard missing or corrupt. Drives that fail are the coordinator's to report. */
  report({ blob, kind }: { blob: Blob; kind: 'missing' | 'corrupt' | 'failed' }): void {
    if (kind === 'failed' || this.#damage.add(blob)) return
    this.#passes.doubt()
    this.scrubNow()
  }

  /** Whether this copy of a shard that moved is to be deleted. */
  leavesBehind(driveId: DriveId, id: ShardId): boolean {
    return this.#leftBehind.has(driveId, id)
  }

  /** Begins a scrub as soon as no check is under way, one that is not spread over its period; a spread one is given up for it. */
  scrubNow(): void {
    this.#passes.scrubNow()
  }

  /** As scrubNow(), because somebody wants the store whole: what is on drives that are out is made again now. */
  healNow(): void {
    this.#passes.waitForNone()
    this.scrubNow()
  }

  /** Who writes blobs anew that have more shards than drives stay: until this is called nobody does. */
  writeAnewWith(rewriter: Rewriter): void {
    this.#anew.use(rewriter)
    this.#mover.lookAgain()
  }

  /** Other partitions are led here than before: of their blobs nothing is known. */
  partitionsChanged(): void {
    this.#passes.partitionsChanged()
    this.#owed.tryAllAgain()
    this.#mover.lookAgain()
  }

  /** Something may have to move that was not counted: it is counted again soon. */
  moveAgain(): void {
    this.#mover.lookAgain()
  }

  /** A drive has more room than before, or less: what waited for room may go on. */
  roomChanged(): void {
    this.#passes.checkWaiting()
    this.#owed.tryAllAgain()
    this.#mover.lookAgain()
  }

  /** How it stands. */
  progress(): HealProgress {
    const queued = this.#damage.size + this.#owed.size
    const { blobs: unrepairable, count: unrepairableCount } = this.#blobs.unrepairable
    const { waiting, ended, isClean, lastVerifiedMs } = this.#passes
    return {
      queued,
      passes: this.#passes.progress(),
      ended,
      checkedBlobs: this.#blobs.checkedBlobs,
      ...this.#totals,
      waiting,
      unrepairable,
      unrepairableCount,
      ...(this.#parts.files?.counts ?? { checkedFiles: 0, damagedFiles: 0 }),
      complete: isClean && this.#owed.isCurrent && queued + unrepairableCount === 0,
      lastVerifiedMs,
      moves: this.#mover.progress(),
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    await this.#passes.load()
    while (!signal.aborted) {
      try {
        if (await this.#step()) await this.#pacer.rest(signal)
        else await this.#idle(signal)
      } catch (error) {
        if (signal.aborted) return
        this.#parts.log.warn({ error: String(error) }, 'a step of mending failed')
        await this.#idle(signal).catch(() => undefined) // An aborted sleep only means that it is time to stop.
      }
    }
  }

  async #idle(signal: AbortSignal): Promise<void> {
    await this.#parts.world.clock.sleep(IDLE_MS, signal)
    this.#pacer.begin()
  }

  /** False when there was nothing to do. */
  async #step(): Promise<boolean> {
    const cleared = await this.#leftBehind.clear(CLEARED_AT_ONCE, this.#nowMs(), this.#parts)
    const worked =
      (await this.#mendReported()) || (await this.#mendOwed()) || (await this.#walkOrMove())
    return worked || cleared > 0
  }

  /** What may be lost comes before what only lies elsewhere; moves and a scrub take turns. */
  async #walkOrMove(): Promise<boolean> {
    if (this.#passes.isChecking) return await this.#walkOn()
    this.#movesNext = !this.#movesNext
    if (this.#movesNext) return (await this.#mover.step()) || (await this.#walkOn())
    return (await this.#walkOn()) || (await this.#mover.step())
  }

  async #walkOn(): Promise<boolean> {
    return await this.#passes.walkOn(this.#effort().blobs, (blob, kind) => {
      const depth = kind === 'scrub' ? 'deep' : 'shallow'
      return this.#blobs.heal({ ...blob, depth, hasRepairRow: false })
    })
  }

  #passEnded({ startedMs, counts }: BlobWalk): void {
    this.#blobs.forgetUnseen(startedMs, counts.unrepairable)
    if (counts.mendedShards > 0) this.#mover.lookAgain()
  }

  async #move(blob: WalkedBlob): Promise<void> {
    const outcome = await this.#anew.run(blob)
    const request = { ...blob, hasRepairRow: false }
    if (outcome === 'fitting') await this.#blobs.heal({ ...request, depth: 'shallow', moves: true })
    else if (outcome === 'unreadable')
      await this.#blobs.judgeUnreadable({ ...request, depth: 'deep' })
  }

  #effort(): Effort {
    const { map } = this.#parts.coordinator.state
    const isUrgent = map.drives.some(({ state }) => state === 'out') && redundancyLeft(map) <= 1
    return isUrgent ? URGENT : USUAL
  }

  async #mendReported(): Promise<boolean> {
    const damaged = this.#damage.next(this.#nowMs())
    if (!damaged) return false
    if (!this.#isMine(damaged.blob)) {
      this.#damage.done(damaged)
      return true
    }
    try {
      const found = await this.#blobs.findReported(damaged.blob)
      const outcome = found === 'gone' ? DELETED : found && (await this.#blobs.heal(found))
      if (outcome !== undefined && isSettled(outcome)) this.#damage.done(damaged)
      else this.#retry(damaged)
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#retry(damaged)
      throw error
    }
    return true
  }

  /** Whoever leads its partition by now is told by the next reader. */
  #isMine({ partition }: Blob): boolean {
    const { isMine, coordinator } = this.#parts
    return isMine?.(metaPartitionOf(coordinator.state.map, partition)) ?? true
  }

  #retry(damaged: Parameters<DamageQueue['failed']>[0]): void {
    if (this.#damage.failed(damaged, this.#nowMs())) return
    this.#passes.doubt()
    this.scrubNow()
  }

  async #mendOwed(): Promise<boolean> {
    const batch = await this.#owed.next(this.#effort().blobs, this.#nowMs())
    await allDone(
      batch.map(async ({ partition, owed }) => {
        const reference = await partition.findBlob(owed)
        const request = { partition, depth: 'shallow', hasRepairRow: true } as const
        const outcome = reference ? await this.#blobs.heal({ ...request, reference }) : DELETED
        if (isWhole(outcome)) this.#owed.done(owed)
      }),
    )
    return batch.length > 0
  }

  #nowMs(): number {
    return this.#parts.world.clock.now()
  }
}

/** Nothing more can be done for the blob now. One whose row has changed meanwhile was not mended. */
function isSettled(outcome: Healed | 'failed'): boolean {
  if (outcome === 'failed' || outcome.kind === 'gone') return false
  return outcome.kind !== 'owing' || outcome.waiting
}

function isWhole(outcome: Healed | 'failed'): boolean {
  return outcome !== 'failed' && ['whole', 'mended', 'deleted'].includes(outcome.kind)
}
