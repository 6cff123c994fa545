// The worker that mends: first what readers reported, then what rows say to be owed, then passes over all blobs.
// It rests in proportion to what it worked, and no trouble with one blob keeps it from the others.
import { beforeDeadline } from '../../kit/before-deadline.ts'
import type { BlobReference, MetadataPartition, MetaPartitionId } from '../../metadata/contract.ts'
import type { Blob } from '../../metadata/records.ts'
import { whereaboutsOf } from '../../metadata/rows/blob-rows.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import { metaPartitionOf } from '../../placement/place.ts'
import type { DriveId, Rewriter, ShardId } from '../contract.ts'
import { BlobWalk, type PassKind, type WalkedBlob, type WalkPosition } from './blob-walk.ts'
import { checkBlob } from './check-blob.ts'
import { DamageQueue } from './damage-queue.ts'
import type { FileScrub } from './file-scrub.ts'
import { type Healed, type HealParts, type HealRequest, healBlob } from './heal-blob.ts'
import type { HealProgress, PassProgress } from './heal-progress.ts'
import { KnownRot } from './known-rot.ts'
import { type ClearingParts, LeftBehind } from './left-behind.ts'
import { Mover, type MoverParts } from './mover.ts'
import { OwedBlobs } from './owed-blobs.ts'
import { Pacer } from './pacer.ts'
import { PassSchedule, redundancyLeft, type ScheduleOptions } from './pass-schedule.ts'
import type { ScrubPosition, ScrubPositions } from './scrub-position.ts'
import { ShardSources } from './shard-sources.ts'
import { UnrepairableList } from './unrepairable.ts'
import { WritingAnew } from './write-anew.ts'

/** Times of the healer. */
export interface HealerOptions extends ScheduleOptions {
  /** How long a shard that moved stays where it was, for readers who know it there. */
  graceMs: number
}

/** What the healer is given; it counts by itself. */
export interface HealerParts
  extends Pick<HealParts, 'world' | 'log' | 'node' | 'codec' | 'coordinator'>,
    Pick<MoverParts, 'writes'>,
    ClearingParts {
  partitions: readonly MetadataPartition[]
  /**
   * A partition that refuses once this process has stopped to lead it, for ever: a row is changed in the reign in which its
   * shards were made, or not at all. Throws MetadataUnavailable. Absent where nobody else ever leads.
   */
  ofReign?(partition: MetaPartitionId): MetadataPartition
  /** Whether this process looks after the blobs of a partition now; absent where it does after all. */
  isMine?(partition: MetaPartitionId): boolean
  /** What a scrub reads beside the blobs; absent where there is nothing else. */
  files?: Pick<FileScrub, 'run' | 'isClean' | 'counts' | 'takeOver'>
  /** Where it is kept how far the scrub has come; absent where that need not outlive the process. */
  positions?: Pick<ScrubPositions, 'load' | 'save'>
}

/** A pass under way. `disturbances`: how many there had been when it began. */
interface Pass {
  walk: BlobWalk
  disturbances: number
  /** When this process began with it, or went on with it. */
  sinceMs: number
  /** A scrub that somebody waits for. */
  isHurried: boolean
  /** How often partitions had come here when it began: it may have missed those that came since. */
  comings: number
  /** How it is with the files that are no shards: undefined while they are read. */
  filesClean: boolean | undefined
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

/** How far the scrub has come is kept so often. */
const SAVE_EVERY_MS = 5 * 60_000

/** So long a start waits to learn it, and a stop until it is kept: a drive may hang. */
const POSITION_MS = 5_000

/** Shards that moved, of which the old copies are deleted in one step. */
const CLEARED_AT_ONCE = 16

/** Where partitions come and go: so long a start waits for the first before it scrubs without any. */
const COMING_MS = 30_000

/** How long it sleeps when there is nothing to do. */
const IDLE_MS = 250

/** A small object costs a scrub as much as so many bytes. */
const BLOB_COST_BYTES = 64 * 1024

const DELETED: Healed = { kind: 'deleted' }

/** Mends the blobs of a store. */
export class Healer {
  readonly #options: HealerOptions
  readonly #parts: HealerParts & HealParts
  readonly #schedule: PassSchedule
  readonly #damage = new DamageQueue()
  readonly #owed: OwedBlobs
  readonly #unrepairable = new UnrepairableList()
  readonly #rot = new KnownRot()
  readonly #leftBehind: LeftBehind
  readonly #mover: Mover
  readonly #anew: WritingAnew
  #movesNext = false
  readonly #stopping = new AbortController()
  readonly #pacer: Pacer
  readonly #totals = { checkedBlobs: 0, mendedShards: 0, bytesRead: 0, bytesWritten: 0 }
  readonly #ended: Record<PassKind, number> = { check: 0, scrub: 0 }
  readonly #passes: Partial<Record<PassKind, Pass>> = {}
  #hurriesNext = false
  #running: Promise<void> | undefined
  #scrubbing: Promise<void> = Promise.resolve()
  #unwatch: () => void = () => {}
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

  constructor(options: HealerOptions, parts: HealerParts) {
    this.#options = options
    this.#leftBehind = new LeftBehind(options.graceMs)
    const totals = this.#totals
    this.#parts = {
      ...parts,
      countRead: (bytes) => {
        totals.bytesRead += bytes
      },
      countWritten: (bytes) => {
        totals.bytesWritten += bytes
      },
      countMended: (shards) => {
        totals.mendedShards += shards
      },
      countMoved: (bytes, from) => this.#mover.countMoved(bytes, from),
      leftBehind: this.#leftBehind,
      reportDamaged: (blob) => this.report({ blob, kind: 'corrupt' }),
      awaited: () => this.#schedule.awaited(this.#nowMs()),
      pace: () => this.#pacer.rest(this.#stopping.signal),
    }
    this.#pacer = new Pacer(parts.world.clock, () => this.#effort().tranquility)
    this.#owed = new OwedBlobs(parts.partitions)
    this.#schedule = new PassSchedule(options, parts.coordinator.state.map, this.#nowMs())
    if (this.#isShared) this.#schedule.putOffScrub(this.#nowMs() + COMING_MS)
    this.#savedMs = this.#nowMs()
    this.#mover = new Mover(options.againMs, {
      ...parts,
      leftBehind: this.#leftBehind,
      move: (blob) => this.#move(blob),
      // What owed shards and had no drive for them may be whole now.
      passEnded: (anew) => {
        if (anew > 0 && this.#waiting > 0) this.#schedule.wantCheck(this.#nowMs())
      },
    })
    this.#anew = new WritingAnew({
      ...this.#parts,
      signal: this.#stopping.signal,
      countAnew: (shards, bytes, from) => {
        totals.bytesWritten += bytes
        this.#mover.countAnew(shards, bytes, from)
      },
    })
  }

  /** Begins to work. */
  start(): void {
    this.#unwatch = this.#parts.coordinator.watch(({ map }) => this.#mapChanged(map))
    this.#running = this.#run(this.#stopping.signal)
  }

  /** Leaves off: a blob that is being mended stays as it was. */
  async stop(): Promise<void> {
    this.#unwatch()
    this.#stopping.abort()
    await this.#running
    await this.#scrubbing
    this.#save()
    await beforeDeadline(this.#saving, POSITION_MS, this.#parts.world)
  }

  /** A reader found a shard missing or corrupt. Drives that fail are the coordinator's to report. */
  report({ blob, kind }: { blob: Blob; kind: 'missing' | 'corrupt' | 'failed' }): void {
    if (kind === 'failed' || this.#damage.add(blob)) return
    this.#isClean = false
    this.scrubNow()
  }

  /** Whether this copy of a shard that moved is to be deleted. */
  leavesBehind(driveId: DriveId, id: ShardId): boolean {
    return this.#leftBehind.has(driveId, id)
  }

  /** Begins a scrub as soon as no check is under way, one that is not spread over its period; a spread one is given up for it. */
  scrubNow(): void {
    if (!this.#passes.scrub?.isHurried) delete this.#passes.scrub
    this.#hurriesNext = true
    this.#schedule.wantScrub(this.#nowMs())
  }

  /** As scrubNow(), because somebody wants the store whole: what is on drives that are out is made again now. */
  healNow(): void {
    this.#schedule.waitForNone(this.#nowMs())
    this.scrubNow()
  }

  /** Who writes blobs anew that have more shards than drives stay: until this is called nobody does. */
  writeAnewWith(rewriter: Rewriter): void {
    this.#anew.use(rewriter)
    this.#mover.lookAgain()
  }

  /** Other partitions are led here than before: of their blobs nothing is known. */
  partitionsChanged(): void {
    this.#isClean = false
    // Whoever had them may have read them: nobody knows here.
    this.#lastVerifiedMs = undefined
    this.#comings += 1
    this.#schedule.disturb(this.#nowMs())
    // The scrub under way may be past them, and nobody knows when they were read last: the next one follows it at once.
    this.#schedule.wantScrub(this.#nowMs())
    this.#owed.tryAllAgain()
    this.#mover.lookAgain()
  }

  /** Something may have to move that was not counted: it is counted again soon. */
  moveAgain(): void {
    this.#mover.lookAgain()
  }

  /** A drive has more room than before, or less: what waited for room may go on. */
  roomChanged(): void {
    const nowMs = this.#nowMs()
    if (this.#waiting > 0) this.#schedule.wantCheck(nowMs)
    this.#owed.tryAllAgain()
    this.#mover.lookAgain()
  }

  /** How it stands. */
  progress(): HealProgress {
    const queued = this.#damage.size + this.#owed.size
    const unrepairableCount = this.#unrepairable.count
    const isClean = this.#isClean && this.#owed.isCurrent && (this.#parts.files?.isClean ?? true)
    return {
      queued,
      passes: Object.values(this.#passes).map((pass) => this.#describe(pass)),
      ended: { ...this.#ended },
      ...this.#totals,
      waiting: this.#waiting,
      unrepairable: this.#unrepairable.blobs,
      unrepairableCount,
      ...(this.#parts.files?.counts ?? { checkedFiles: 0, damagedFiles: 0 }),
      complete: isClean && queued + unrepairableCount === 0,
      lastVerifiedMs: this.#lastVerifiedMs,
      moves: this.#mover.progress(),
    }
  }

  #describe({ walk, sinceMs }: Pass): PassProgress {
    const { kind, startedMs, counts } = walk
    const { blobs, bytes, mendedShards } = counts
    const left = walk.foretell(this.#lastBlobs, this.#nowMs() - sinceMs)
    return { kind, startedMs, blobs, bytes, mendedShards, ...left }
  }

  async #run(signal: AbortSignal): Promise<void> {
    await this.#load()
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
    const isChecking = this.#passes.check ?? this.#schedule.next(this.#nowMs()) === 'check'
    if (isChecking) return await this.#walkOn()
    this.#movesNext = !this.#movesNext
    if (this.#movesNext) return (await this.#mover.step()) || (await this.#walkOn())
    return (await this.#walkOn()) || (await this.#mover.step())
  }

  async #move(blob: WalkedBlob): Promise<void> {
    const outcome = await this.#anew.run(blob)
    const request = { ...blob, hasRepairRow: false }
    if (outcome === 'fitting') await this.#heal({ ...request, depth: 'shallow', moves: true })
    else if (outcome === 'unreadable') await this.#judgeUnreadable({ ...request, depth: 'deep' })
  }

  /** Drives that do not answer now may have what is lacking; else people have to know which blob keeps a drive. */
  async #judgeUnreadable(request: HealRequest): Promise<void> {
    const outcome = await this.#heal(request)
    if (outcome === 'failed' || outcome.kind !== 'owing' || outcome.unknown) return
    this.#note(request, { kind: 'error', error: 'too few of its cells can be read' })
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
      const found = await this.#findReported(damaged.blob)
      const outcome = found === 'gone' ? DELETED : found && (await this.#heal(found))
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
    this.#isClean = false
    this.scrubNow()
  }

  /** The row of a blob that a reader had: its key is in the header of every shard. Undefined: no shard can tell now. */
  async #findReported(blob: Blob): Promise<HealRequest | 'gone' | undefined> {
    const { map } = this.#parts.coordinator.state
    const partition = this.#parts.partitions[metaPartitionOf(map, blob.partition)]!
    const awaited = this.#parts.awaited()
    const check = await checkBlob(blob, 'shallow', { ...this.#parts, map, awaited })
    const sources = await ShardSources.open(blob, check, this.#parts)
    const description = await sources.describe().finally(() => sources.close())
    if (!description) {
      // No drive has anything of it any more: it was deleted. Or all were lost, which a pass over rows finds.
      const allSaid = check.slots.every((health) => health === 'missing' || health === 'unwritten')
      return allSaid ? 'gone' : undefined
    }
    const { bucketId, key } = description
    const reference = await partition.findBlob({ bucketId, key, blob })
    if (!reference) return 'gone'
    return { partition, reference, depth: 'deep', hasRepairRow: false }
  }

  async #mendOwed(): Promise<boolean> {
    const batch = await this.#owed.next(this.#effort().blobs, this.#nowMs())
    await allDone(
      batch.map(async ({ partition, owed }) => {
        const reference = await partition.findBlob(owed)
        const request = { partition, depth: 'shallow', hasRepairRow: true } as const
        const outcome = reference ? await this.#heal({ ...request, reference }) : DELETED
        if (isWhole(outcome)) this.#owed.done(owed)
      }),
    )
    return batch.length > 0
  }

  /** Goes on with the check that is under way or due; else with the scrub, unless that is ahead of its time. */
  async #walkOn(): Promise<boolean> {
    const due = this.#schedule.next(this.#nowMs())
    if (due && !this.#passes[due] && !this.#passes.check) this.#begin(due)
    const pass = this.#passes.check ?? this.#passes.scrub
    if (!pass || this.#isAhead(pass)) return false
    const { walk } = pass
    const depth = walk.kind === 'scrub' ? 'deep' : 'shallow'
    const batch = await walk.next(this.#effort().blobs)
    await allDone(
      batch.map(async (blob) => {
        walk.note(blob, await this.#heal({ ...blob, depth, hasRepairRow: false }))
      }),
    )
    if (this.#nowMs() >= this.#savedMs + SAVE_EVERY_MS) this.#save()
    if (batch.length > 0) return true
    if (pass.filesClean === undefined) return false
    this.#end(pass)
    return true
  }

  /** A scrub is spread over its period, as far as the last pass tells how much there is to read. */
  #isAhead({ walk: { kind, counts, startedMs }, isHurried }: Pass): boolean {
    if (kind === 'check' || isHurried) return false
    const read = counts.bytes + counts.blobs * BLOB_COST_BYTES
    const elapsed = (this.#nowMs() - startedMs) / this.#options.scrubPeriodMs
    return read > elapsed * this.#scrubBytes && elapsed < 1
  }

  #begin(kind: PassKind): void {
    const nowMs = this.#nowMs()
    const isHurried = kind === 'scrub' && this.#hurriesNext
    if (isHurried) this.#hurriesNext = false
    // Before any partition is here, a pass would run past all of them.
    const goesOn = kind === 'scrub' && !isHurried && !(this.#isShared && this.#comings === 0)
    const from = (goesOn && this.#begun) || { startedMs: nowMs }
    if (isHurried || goesOn) this.#begun = undefined
    const walk = new BlobWalk(kind, this.#parts.partitions, from)
    const { disturbances } = this.#schedule
    const filesClean = kind === 'check' || undefined
    const comings = this.#comings
    const pass: Pass = { walk, disturbances, sinceMs: nowMs, isHurried, comings, filesClean }
    this.#passes[kind] = pass
    if (kind === 'scrub') this.#scrubbing = this.#scrubFiles(pass, this.#scrubbing)
    this.#schedule.began(kind, nowMs)
    this.#parts.log.debug({ pass: kind }, 'a pass over all blobs begins')
  }

  /** Beside the blobs, so that the one does not wait for the other; never twice at a time. */
  async #scrubFiles(pass: Pass, before: Promise<void>): Promise<void> {
    const { files } = this.#parts
    if (files === undefined) {
      pass.filesClean = true
      return
    }
    await before
    const pace = async (): Promise<void> => {
      if (this.#passes.scrub !== pass) throw new Error('another scrub began')
      await this.#parts.pace()
    }
    try {
      pass.filesClean = await files.run(pace)
    } catch (error) {
      pass.filesClean = false
      if (this.#stopping.signal.aborted || this.#passes.scrub !== pass) return
      this.#parts.log.warn({ error: String(error) }, 'files could not be verified to the end')
    }
  }

  #end(pass: Pass): void {
    const { walk } = pass
    const { kind, counts, startedMs } = walk
    // It was given up for another one while its last page was read.
    if (this.#passes[kind] !== pass) return
    delete this.#passes[kind]
    this.#ended[kind] += 1
    this.#scrubBytes = counts.bytes + counts.blobs * BLOB_COST_BYTES
    this.#lastBlobs = counts.blobs
    this.#unrepairable.forgetUnseen(startedMs)
    this.#rot.forgetUnseen(startedMs)
    const leftNothing = walk.leftNothing && pass.filesClean === true
    this.#conclude(pass)
    const sawAll = pass.comings === this.#comings && !(this.#isShared && walk.isResumed)
    if (kind === 'scrub' && leftNothing && sawAll) this.#lastVerifiedMs = startedMs
    if (kind === 'scrub') {
      this.#endedStartedMs = startedMs
      this.#save()
    }
    this.#schedule.ended(walk, this.#nowMs())
    if (counts.mendedShards > 0) this.#mover.lookAgain()
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

  /** Whether other processes lead partitions too, now one and now another. */
  get #isShared(): boolean {
    return this.#parts.isMine !== undefined
  }

  /** Goes on where another process was. Its clock may have been ahead of ours: then nothing of it counts. */
  async #load(): Promise<void> {
    let found: ScrubPosition | undefined
    const loading = this.#parts.positions?.load().then((position) => {
      found = position
    })
    if (loading) await beforeDeadline(loading, POSITION_MS, this.#parts.world)
    const nowMs = this.#nowMs()
    if (!found || found.savedMs > nowMs) return
    this.#begun = found.walk
    // Others have led partitions since, and may again: what ended says nothing of those that are here now.
    if (this.#isShared) return
    this.#endedStartedMs = found.endedStartedMs
    this.#lastVerifiedMs ??= found.lastVerifiedMs
    if (found.walk || found.endedStartedMs === undefined || this.#hurriesNext) return
    // Files are not read again before the next scrub: until then the last one is what is known of them.
    if (found.lastVerifiedMs === found.endedStartedMs) this.#parts.files?.takeOver()
    this.#schedule.putOffScrub(found.endedStartedMs + this.#options.scrubPeriodMs)
  }

  /** Keeps how far the scrub has come, beside all other work; one after the other. */
  #save(): void {
    const { positions } = this.#parts
    if (!positions) return
    this.#savedMs = this.#nowMs()
    const walk = this.#passes.scrub?.walk.position ?? this.#begun
    const times = { endedStartedMs: this.#endedStartedMs, lastVerifiedMs: this.#lastVerifiedMs }
    const position = { savedMs: this.#savedMs, walk, ...times }
    this.#saving = this.#saving.then(() => positions.save(position))
  }

  /** Whatever goes wrong with one blob is entered and said; only being told to stop goes on. */
  async #heal(walked: HealRequest): Promise<Healed | 'failed'> {
    const { uid } = walked.reference.blob
    // Two that mend one blob would take back each other's shards.
    const letGo = this.#parts.latch.tryHold(uid)
    if (letGo === undefined) return 'failed'
    const { blob } = walked.reference
    // A blob on either list is never taken off it by a mere look.
    const isListed = this.#unrepairable.lists(blob) || this.#rot.lists(blob)
    const depth = isListed ? 'deep' : walked.depth
    try {
      const partition = this.#parts.ofReign?.(walked.partition.id) ?? walked.partition
      const request = { ...walked, partition, depth }
      const reference = await findAgain(request)
      const healed = reference ? await healBlob({ ...request, reference }, this.#parts) : DELETED
      // Overwritten or deleted while it was worked on, which under load some always are; else its row has changed.
      const outcome = healed.kind === 'gone' && !(await findAgain(request)) ? DELETED : healed
      this.#totals.checkedBlobs += 1
      this.#note(walked, outcome)
      return outcome
    } catch (error) {
      if (this.#stopping.signal.aborted) throw error
      const isOurs = !(error instanceof MetadataUnavailable)
      if (isOurs) this.#note(walked, { kind: 'error', error: String(error) })
      return 'failed'
    } finally {
      letGo()
    }
  }

  #note({ reference }: HealRequest, outcome: Healed | { kind: 'error'; error: string }): void {
    this.#rot.note(reference.blob, outcome, this.#nowMs())
    const isNew = this.#unrepairable.note({ reference }, outcome, this.#nowMs())
    const { uid, part } = reference.blob
    if (isNew) this.#parts.log.error({ uid, part, ...outcome }, 'a blob can not be mended')
  }

  #mapChanged(map: Parameters<PassSchedule['mapChanged']>[0]): void {
    const before = this.#schedule.disturbances
    this.#schedule.mapChanged(map, this.#nowMs())
    this.#mover.mapChanged(map)
    if (this.#schedule.disturbances === before) return
    this.#isClean = false
    this.#owed.tryAllAgain()
  }

  #nowMs(): number {
    return this.#parts.world.clock.now()
  }
}

/**
 * The row as it is now: a page of a pass may be as old as the pass, and drives that were read then are never written
 * over those that another pass entered meanwhile.
 */
function findAgain({ partition, reference }: HealRequest): Promise<BlobReference | undefined> {
  const { rowKey, blob } = reference
  return partition.findBlob({ ...whereaboutsOf(rowKey), rowKey, blob })
}

/** Waits for all of them before one that failed is heard of: no work outlives its step. */
async function allDone(work: Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work))
    if (result.status === 'rejected') throw result.reason
}

/** Nothing more can be done for the blob now. One whose row has changed meanwhile was not mended. */
function isSettled(outcome: Healed | 'failed'): boolean {
  if (outcome === 'failed' || outcome.kind === 'gone') return false
  return outcome.kind !== 'owing' || outcome.waiting
}

function isWhole(outcome: Healed | 'failed'): boolean {
  return outcome !== 'failed' && ['whole', 'mended', 'deleted'].includes(outcome.kind)
}
