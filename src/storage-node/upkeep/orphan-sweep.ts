// Looks through all drives for shards that no row names: of writes that a crash ended, of blobs that were deleted while
// their drive was away, of moves that were not finished. Nothing is in less of a hurry than this.
import { asBuffer } from '../../kit/bytes.ts'
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import type { DriveId, ShardLists } from '../contract.ts'
import { addNamedShards, askEach, type NamingRows } from './named-shards.ts'
import type { OrphanRule } from './orphan-rule.ts'
import { Pacer } from './pacer.ts'
import { ShardFilter } from './shard-filter.ts'
import { type FoundShard, noneSettled, type SettledCounts } from './suspects.ts'

/** Times of a sweep. */
export interface SweepOptions {
  /** From the end of a pass to the next; the first begins so long after the start, at most a minute unless said otherwise. */
  periodMs: number
  firstAfterMs?: number
  /** How long a reader may take from finding a row to saying what it reads. */
  graceMs: number
  /** Rest after work, as a multiple of the time that the work took; 9, a duty of 10 %, unless said otherwise. */
  tranquility?: number
  /** A bound on memory, that of ShardFilter unless said otherwise. */
  namedShardsMax?: number
}

/** What settling is given for the shards of one drive. */
export interface SettleRun {
  counts: SettledCounts
  graceMs: number
  pace(): Promise<void>
  signal: AbortSignal
}

/** What the sweep is given. */
export interface SweepParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  lists: ShardLists
  coordinator: Coordinator
  /** Whether this process sees to the shards of a drive; of every drive, where it is absent. */
  isMine?(driveId: DriveId): boolean
  partitions: readonly NamingRows[]
  rule: Pick<OrphanRule, 'mayJudge'>
  /** Does with shards that seem to be orphans what there is to be done. */
  settle(found: readonly FoundShard[], run: SettleRun): Promise<void>
}

/** How it stands. Counts are since the start, but for what the last pass left. */
export interface SweepProgress extends SettledCounts {
  /** Passes that came to their end. */
  ended: number
  lastEndedMs: number | undefined
  /** The pass under way: shards that it has looked at. */
  underWay: { startedMs: number; shards: number } | undefined
}

const FIRST_AFTER_MS = 60_000

/** Twice as long after each failure that follows another, at most the period: a walk over all rows is not for nothing. */
const AGAIN_AFTER_FAILURE_MS = 60_000

const LOOK_EVERY_MS = 250
const TRANQUILITY = 9

/** Shards that are settled together: a bound on memory, many so that one grace time serves all of them. */
const FOUND_AT_ONCE = 8192

/** Sweeps again and again, until it is stopped. */
export class OrphanSweep {
  readonly #options: SweepOptions
  readonly #parts: SweepParts
  readonly #stopping = new AbortController()
  readonly #pacer: Pacer
  /** Of all passes that ended. */
  readonly #totals = noneSettled()
  /** Of the pass under way. */
  #counts = noneSettled()
  #dueMs: number
  /** Passes that failed since one came to its end. */
  #failures = 0
  #ended = 0
  #lastEndedMs: number | undefined
  #underWay: SweepProgress['underWay']
  #namedShards = 0
  #saidOverfull = false
  #running: Promise<void> | undefined
  #unwatch: () => void = () => {}

  constructor(options: SweepOptions, parts: SweepParts) {
    this.#options = options
    this.#parts = parts
    const { clock } = parts.world
    this.#pacer = new Pacer(clock, () => options.tranquility ?? TRANQUILITY)
    this.#dueMs =
      clock.monotonicMs() + Math.min(options.periodMs, options.firstAfterMs ?? FIRST_AFTER_MS)
  }

  /** Begins to work. A drive that comes back is looked through soon. */
  start(): void {
    const { coordinator } = this.#parts
    let active = this.#drives()
    this.#unwatch = coordinator.watch(() => {
      const now = this.#drives()
      if ([...now].some((id) => !active.has(id))) this.sweepNow()
      active = now
    })
    this.#running = this.#run(this.#stopping.signal)
  }

  /** Leaves off. */
  async stop(): Promise<void> {
    this.#unwatch()
    this.#stopping.abort()
    await this.#running
  }

  /** A pass begins as soon as none is under way. */
  sweepNow(): void {
    this.#dueMs = Number.NEGATIVE_INFINITY
  }

  /** How it stands. */
  progress(): SweepProgress {
    return {
      deleted: this.#totals.deleted + this.#counts.deleted,
      deletedBytes: this.#totals.deletedBytes + this.#counts.deletedBytes,
      adopted: this.#totals.adopted + this.#counts.adopted,
      left: this.#totals.left,
      ended: this.#ended,
      lastEndedMs: this.#lastEndedMs,
      underWay: this.#underWay,
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { world, log } = this.#parts
    const { clock } = world
    while (!signal.aborted) {
      // An aborted sleep only means that it is time to stop.
      await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
      if (signal.aborted || clock.monotonicMs() < this.#dueMs) continue
      this.#dueMs = Number.POSITIVE_INFINITY
      try {
        await this.#pass()
        this.#failures = 0
        this.#dueAgain(this.#options.periodMs)
      } catch (error) {
        if (signal.aborted) return
        log.warn({ error: String(error) }, 'orphans could not be looked for: nothing was concluded')
        const afterMs = AGAIN_AFTER_FAILURE_MS * 2 ** this.#failures
        this.#failures += 1
        this.#dueAgain(Math.min(this.#options.periodMs, afterMs))
      } finally {
        this.#enterCounts()
      }
    }
  }

  /** Unless somebody asked for a pass meanwhile. */
  #dueAgain(afterMs: number): void {
    this.#dueMs = Math.min(this.#dueMs, this.#parts.world.clock.monotonicMs() + afterMs)
  }

  /** One pass over all drives that are there. Throws when a partition of metadata can not be asked. */
  async #pass(): Promise<void> {
    const { world, partitions, log } = this.#parts
    const startedMs = world.clock.now()
    this.#underWay = { startedMs, shards: 0 }
    this.#pacer.begin()
    const salt = asBuffer(world.random.bytes(8)).readBigUInt64LE(0)
    const named = new ShardFilter(this.#namedShards, salt, this.#options.namedShardsMax)
    // What a drive has that comes later was not asked for: it is the next pass's.
    const drives = this.#drives()
    await askEach(partitions)
    await addNamedShards(named, partitions, { drives, pace: () => this.#pace() })
    this.#noteNamed(named)
    for (const driveId of this.#drives())
      if (drives.has(driveId)) await this.#sweepDrive(driveId, named)
    this.#ended += 1
    this.#lastEndedMs = world.clock.now()
    this.#totals.left = this.#counts.left
    const { deleted, adopted, left } = this.#counts
    const level = deleted + adopted + left.unreadable + left.useless > 0 ? 'info' : 'debug'
    log[level]({ ...this.#counts, namedShards: named.count }, 'a pass for orphans has ended')
  }

  /** If they were more than the filter was made for, the next one is larger: this one lets some orphans be. */
  #noteNamed({ count: namedShards, isOverfull }: ShardFilter): void {
    this.#namedShards = namedShards
    if (!isOverfull || this.#saidOverfull) return
    this.#saidOverfull = true
    this.#parts.log.warn(
      { namedShards },
      'rows name more shards here than a pass for orphans can tell from others: many orphans stay',
    )
  }

  /** What was deleted counts even if the pass did not come to its end. */
  #enterCounts(): void {
    this.#underWay = undefined
    this.#totals.deleted += this.#counts.deleted
    this.#totals.deletedBytes += this.#counts.deletedBytes
    this.#totals.adopted += this.#counts.adopted
    this.#counts = noneSettled()
  }

  /** A drive that gives trouble is left for the next pass. */
  async #sweepDrive(driveId: DriveId, named: ShardFilter): Promise<void> {
    const { lists, rule, log } = this.#parts
    const found: FoundShard[] = []
    try {
      for await (const ids of lists.listShards(driveId)) {
        for (const id of ids) {
          if (!named.has(driveId, id) && rule.mayJudge(id.uid)) found.push({ driveId, id })
        }
        this.#underWay!.shards += ids.length
        if (found.length >= FOUND_AT_ONCE) await this.#settle(found.splice(0))
        await this.#pace()
      }
      await this.#settle(found)
    } catch (error) {
      if (!(error instanceof DriveUnavailable)) throw error
      log.debug(
        { driveId, error: String(error) },
        'a drive could not be looked through for orphans',
      )
    }
  }

  #settle(found: readonly FoundShard[]): Promise<void> {
    return this.#parts.settle(found, {
      counts: this.#counts,
      graceMs: this.#options.graceMs,
      pace: () => this.#pace(),
      signal: this.#stopping.signal,
    })
  }

  /** Those in use. */
  #drives(): Set<DriveId> {
    const { coordinator, isMine = () => true } = this.#parts
    const { drives } = coordinator.state.map
    return new Set(drives.flatMap(({ id, state }) => (state === 'active' && isMine(id) ? id : [])))
  }

  #pace(): Promise<void> {
    return this.#pacer.rest(this.#stopping.signal)
  }
}
