// The passes over all blobs: which one is under way, what it says of the store at its end, and how far the scrub has come,
// which outlives the process.
import { allDone } from '../../kit/all-done.ts'
import { beforeDeadline } from '../../kit/before-deadline.ts'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { MetadataPartition } from '../../metadata/contract.ts'
import type { ClusterMap } from '../../placement/cluster-map.ts'
import {
  BlobWalk,
  type PassForecast,
  type PassKind,
  type WalkedBlob,
  type WalkPosition,
} from './blob-walk.ts'
import type { FileScrub } from './file-scrub.ts'
import type { Healed } from './heal-blob.ts'
import type { PassProgress } from './heal-progress.ts'
import { PassSchedule, type ScheduleOptions } from './pass-schedule.ts'
import type { ScrubPosition, ScrubPositions } from './scrub-position.ts'

/** What passes need. */
export interface PassesParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  partitions: readonly MetadataPartition[]
  /** Whether other processes lead partitions too, now one and now another. */
  isShared: boolean
  /** What a scrub reads beside the blobs; absent where there is nothing else. */
  files?: Pick<FileScrub, 'run' | 'isClean' | 'counts' | 'takeOver'> | undefined
  /** Where it is kept how far the scrub has come; absent where that need not outlive the process. */
  positions?: Pick<ScrubPositions, 'load' | 'save'> | undefined
  /** Rests as the pace asks; throws when work is to end. */
  pace(): Promise<void>
  /** Whether work is to end. */
  isStopping(): boolean
  /** A pass came to its end: what it did not see any more is gone. */
  passEnded(walk: BlobWalk): void
}

/** A pass under way. `disturbances`: how many there had been when it began. */
interface Pass {
  walk: BlobWalk
  disturbances: number
  /** Since when it goes as fast as it can: it was begun here then, or held back last. */
  sinceMs: number
  /** A scrub that somebody waits for. */
  isHurried: boolean
  /** How often partitions had come here when it began: it may have missed those that came since. */
  comings: number
  /** How it is with the files that are no shards: undefined while they are read. */
  filesClean: boolean | undefined
}

/** How far the scrub has come is kept so often. */
const SAVE_EVERY_MS = 5 * 60_000

/** So long a start waits to learn it, and a stop until it is kept: a drive may hang. */
const POSITION_MS = 5_000

/** Where partitions come and go: so long a start waits for the first before it scrubs without any. */
const COMING_MS = 30_000

/** Of a scrub that is to be spread, the speed of less than this says little. */
const SPEED_MS = 10 * 60_000

/** A small object costs a scrub as much as so many bytes. */
const BLOB_COST_BYTES = 64 * 1024

/** Begins passes when they are due, goes on with them, and knows what they say. */
export class Passes {
  readonly #options: ScheduleOptions
  readonly #parts: PassesParts
  readonly #schedule: PassSchedule
  readonly #ended: Record<PassKind, number> = { check: 0, scrub: 0 }
  readonly #underWay: Partial<Record<PassKind, Pass>> = {}
  #hurriesNext = false
  #scrubbing: Promise<void> = Promise.resolve()
  /** Of the last pass that ended: what a scrub has to read, and what waits for drives. */
  #scrubBytes = 0
  #lastBlobs: number | undefined
  #waiting = 0
  #comings = 0
  #isClean = false
  #lastVerifiedMs: number | undefined
  /** When the last scrub that ended was begun. */
  #endedStartedMs: number | undefined
  /** A scrub that another process began, until it is gone on with. */
  #begun: WalkPosition | undefined
  #savedMs: number
  #saving: Promise<void> = Promise.resolve()

  constructor(options: ScheduleOptions, map: ClusterMap, parts: PassesParts) {
    this.#options = options
    this.#parts = parts
    const nowMs = this.#nowMs()
    this.#schedule = new PassSchedule(options, map, nowMs)
    if (parts.isShared) this.#schedule.putOffScrub(nowMs + COMING_MS)
    this.#savedMs = nowMs
  }

  /** Every blob had all its shards when it was last looked at, all other files were as they should be, and nothing happened since. */
  get isClean(): boolean {
    return this.#isClean && (this.#parts.files?.isClean ?? true)
  }

  /** Blobs that owed shards for which there is no drive, as the last pass found. */
  get waiting(): number {
    return this.#waiting
  }

  /** When the last scrub began that left nothing owed. */
  get lastVerifiedMs(): number | undefined {
    return this.#lastVerifiedMs
  }

  /** How many came to their end. */
  get ended(): Readonly<Record<PassKind, number>> {
    return { ...this.#ended }
  }

  /** Those that are under way. */
  progress(): PassProgress[] {
    return Object.values(this.#underWay).map((pass) => {
      const { kind, startedMs, counts } = pass.walk
      const { blobs, bytes, mendedShards } = counts
      return { kind, startedMs, blobs, bytes, mendedShards, ...this.#foretell(pass) }
    })
  }

  /** Drives that are out and may come back: what is on them is not made again yet. */
  awaited(): ReadonlySet<number> {
    return this.#schedule.awaited(this.#nowMs())
  }

  /** Whether a check is under way or due. */
  get isChecking(): boolean {
    return this.#underWay.check !== undefined || this.#schedule.next(this.#nowMs()) === 'check'
  }

  /** What was found so far is known to be too little. */
  doubt(): void {
    this.#isClean = false
  }

  /** Begins a scrub as soon as no check is under way, one that is not spread over its period; a spread one is given up for it. */
  scrubNow(): void {
    if (!this.#underWay.scrub?.isHurried) delete this.#underWay.scrub
    this.#hurriesNext = true
    this.#schedule.wantScrub(this.#nowMs())
  }

  /** Somebody wants the store whole now: no drive that is out is waited for. */
  waitForNone(): void {
    this.#schedule.waitForNone(this.#nowMs())
  }

  /** What waits for drives is looked for again: there may be some now. */
  checkWaiting(): void {
    if (this.#waiting > 0) this.#schedule.wantCheck(this.#nowMs())
  }

  /** Takes note of a decision of the coordinator. False where earlier passes say as much as before. */
  mapChanged(map: ClusterMap): boolean {
    const before = this.#schedule.disturbances
    this.#schedule.mapChanged(map, this.#nowMs())
    if (this.#schedule.disturbances === before) return false
    this.doubt()
    return true
  }

  /** Other partitions are led here than before: of their blobs nothing is known. */
  partitionsChanged(): void {
    this.doubt()
    // Whoever had them may have read them: nobody knows here.
    this.#lastVerifiedMs = undefined
    this.#comings += 1
    this.#schedule.disturb(this.#nowMs())
    // The scrub under way may be past them, and nobody knows when they were read last: the next one follows it at once.
    this.#schedule.wantScrub(this.#nowMs())
  }

  /**
   * Goes on with the check that is under way or due; else with the scrub, unless that is ahead of its time. False when there
   * was nothing to do. `heal` is given at most `limit` blobs at a time and throws only to end the work.
   */
  async walkOn(
    limit: number,
    heal: (blob: WalkedBlob, kind: PassKind) => Promise<Healed | 'failed'>,
  ): Promise<boolean> {
    const due = this.#schedule.next(this.#nowMs())
    if (due && !this.#underWay[due] && !this.#underWay.check) this.#begin(due)
    const pass = this.#underWay.check ?? this.#underWay.scrub
    if (!pass) return false
    const isAhead = this.#isAhead(pass)
    if (isAhead || pass.walk.kind === 'check') this.#holdScrubBack()
    if (isAhead) return false
    const { walk } = pass
    const batch = await walk.next(limit)
    await allDone(batch.map(async (blob) => walk.note(blob, await heal(blob, walk.kind))))
    if (this.#nowMs() >= this.#savedMs + SAVE_EVERY_MS) this.#save()
    if (batch.length > 0) return true
    if (pass.filesClean === undefined) return false
    this.#end(pass)
    return true
  }

  /** Goes on where another process was. Its clock may have been ahead of ours: then nothing of it counts. */
  async load(): Promise<void> {
    const { positions, world, isShared, files } = this.#parts
    let found: ScrubPosition | undefined
    const loading = positions?.load().then((position) => {
      found = position
    })
    if (loading) await beforeDeadline(loading, POSITION_MS, world)
    const nowMs = this.#nowMs()
    if (!found || found.savedMs > nowMs) return
    this.#begun = found.walk
    // Others have led partitions since, and may again: what ended says nothing of those that are here now.
    if (isShared) return
    this.#endedStartedMs = found.endedStartedMs
    this.#lastVerifiedMs ??= found.lastVerifiedMs
    if (found.walk || found.endedStartedMs === undefined || this.#hurriesNext) return
    // Files are not read again before the next scrub: until then the last one is what is known of them.
    if (found.lastVerifiedMs === found.endedStartedMs) files?.takeOver()
    this.#schedule.putOffScrub(found.endedStartedMs + this.#options.scrubPeriodMs)
  }

  /** Keeps how far the scrub has come, and ends what runs beside the walk; work is to have ended. */
  async stop(): Promise<void> {
    await this.#scrubbing
    this.#save()
    await beforeDeadline(this.#saving, POSITION_MS, this.#parts.world)
  }

  /** A scrub is spread over its period, as far as the last pass tells how much there is to read. */
  #isAhead({ walk: { kind, counts, startedMs }, isHurried }: Pass): boolean {
    if (kind === 'check' || isHurried) return false
    const read = counts.bytes + counts.blobs * BLOB_COST_BYTES
    const elapsed = (this.#nowMs() - startedMs) / this.#options.scrubPeriodMs
    return read > elapsed * this.#scrubBytes && elapsed < 1
  }

  /** How fast it went before says nothing of how fast it can go. */
  #holdScrubBack(): void {
    const { scrub } = this.#underWay
    if (scrub === undefined) return
    scrub.sinceMs = this.#nowMs()
    scrub.walk.forgetPace()
  }

  /** A scrub that is spread ends with its period, however fast it is for a moment, or later where it is too slow for that. */
  #foretell({ walk, sinceMs, isHurried }: Pass): PassForecast {
    const elapsedMs = this.#nowMs() - sinceMs
    const bySpeed = walk.foretell(this.#lastBlobs, elapsedMs)
    if (walk.kind === 'check' || isHurried || !bySpeed.blobsExpected) return bySpeed
    const { blobsExpected, leftMs = 0 } = bySpeed
    const plannedMs = walk.startedMs + this.#options.scrubPeriodMs - this.#nowMs()
    const neededMs = elapsedMs < SPEED_MS ? 0 : leftMs
    const forecastMs = Math.round(Math.max(plannedMs, neededMs))
    return forecastMs > 0 ? { blobsExpected, leftMs: forecastMs } : { blobsExpected }
  }

  #begin(kind: PassKind): void {
    const nowMs = this.#nowMs()
    const { partitions, isShared, log } = this.#parts
    const isHurried = kind === 'scrub' && this.#hurriesNext
    if (isHurried) this.#hurriesNext = false
    // Before any partition is here, a pass would run past all of them.
    const goesOn = kind === 'scrub' && !isHurried && !(isShared && this.#comings === 0)
    const from = (goesOn && this.#begun) || { startedMs: nowMs }
    if (isHurried || goesOn) this.#begun = undefined
    const walk = new BlobWalk(kind, partitions, from)
    const { disturbances } = this.#schedule
    const filesClean = kind === 'check' || undefined
    const comings = this.#comings
    const pass: Pass = { walk, disturbances, sinceMs: nowMs, isHurried, comings, filesClean }
    this.#underWay[kind] = pass
    if (kind === 'scrub') this.#scrubbing = this.#scrubFiles(pass, this.#scrubbing)
    this.#schedule.began(kind, nowMs)
    log.debug({ pass: kind }, 'a pass over all blobs begins')
  }

  /** Beside the blobs, so that the one does not wait for the other; never twice at a time. */
  async #scrubFiles(pass: Pass, before: Promise<void>): Promise<void> {
    const { files, log, isStopping } = this.#parts
    if (files === undefined) {
      pass.filesClean = true
      return
    }
    await before
    const pace = async (): Promise<void> => {
      if (this.#underWay.scrub !== pass) throw new Error('another scrub began')
      await this.#parts.pace()
    }
    try {
      pass.filesClean = await files.run(pace)
    } catch (error) {
      pass.filesClean = false
      if (isStopping() || this.#underWay.scrub !== pass) return
      log.warn({ error: String(error) }, 'files could not be verified to the end')
    }
  }

  #end(pass: Pass): void {
    const { walk } = pass
    const { kind, counts, startedMs } = walk
    // It was given up for another one while its last page was read.
    if (this.#underWay[kind] !== pass) return
    delete this.#underWay[kind]
    this.#ended[kind] += 1
    this.#scrubBytes = counts.bytes + counts.blobs * BLOB_COST_BYTES
    this.#lastBlobs = counts.blobs
    const leftNothing = walk.leftNothing && pass.filesClean === true
    this.#conclude(pass)
    const sawAll = pass.comings === this.#comings && !(this.#parts.isShared && walk.isResumed)
    if (kind === 'scrub' && leftNothing && sawAll) this.#lastVerifiedMs = startedMs
    if (kind === 'scrub') {
      this.#endedStartedMs = startedMs
      this.#save()
    }
    this.#schedule.ended(walk, this.#nowMs())
    this.#parts.passEnded(walk)
    const level = walk.leftNothing && counts.mendedShards === 0 ? 'debug' : 'info'
    this.#parts.log[level]({ pass: kind, ...counts }, 'a pass over all blobs has ended')
  }

  /**
   * What a pass says of the store as it is now. What another process looked at may have been lost since, so a pass that
   * was gone on with only says more than the check after the start where it found something.
   */
  #conclude({ walk, disturbances, filesClean }: Pass): void {
    const isUndisturbed = disturbances === this.#schedule.disturbances
    const isClean = walk.leftNothingHere && filesClean === true && isUndisturbed
    this.#isClean = isClean && (this.#isClean || !walk.isResumed)
    if (!walk.isResumed) this.#waiting = walk.counts.waiting
  }

  /** Keeps how far the scrub has come, beside all other work; one after the other. */
  #save(): void {
    const { positions } = this.#parts
    if (!positions) return
    this.#savedMs = this.#nowMs()
    const walk = this.#underWay.scrub?.walk.position ?? this.#begun
    const times = { endedStartedMs: this.#endedStartedMs, lastVerifiedMs: this.#lastVerifiedMs }
    const position = { savedMs: this.#savedMs, walk, ...times }
    this.#saving = this.#saving.then(() => positions.save(position))
  }

  #nowMs(): number {
    return this.#parts.world.clock.now()
  }
}
