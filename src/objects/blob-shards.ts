// The shards of one blob while it is read. Data cells in the range only; where one is missing or rotten the stripe is mended
// from any k cells, and the damage is reported for repair. Nothing unchecked is ever returned.
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import { shardCount } from '../kit/erasure-code.ts'
import { type Blob, MISSING_SLOT } from '../metadata/records.ts'
import type { CellRead, ShardReader } from '../storage-node/contract.ts'
import type { CellOutcome, CellUnderWay } from './hedging.ts'
import {
  giveBackRun,
  type OpenedShards,
  RunReads,
  type RunsRead,
  type RunUnderWay,
} from './run-reads.ts'
import type { BlobParts, DamageReport } from './store-parts.ts'
import { type BlobLayout, cellBytesOf, layoutBlob, type StripeSlice } from './stripe.ts'

/** Too few good shards are left to give the bytes. The reader breaks off; nothing wrong is sent. */
export class TooFewShards extends Error {
  override readonly name = 'TooFewShards'
  readonly code: 'TOO_FEW_SHARDS' | 'SHARDS_AWAY'

  /** `mayPass`: with those on drives that do not answer there would be enough. */
  constructor(message: string, { mayPass = false }: { mayPass?: boolean } = {}) {
    super(message)
    this.code = mayPass ? 'SHARDS_AWAY' : 'TOO_FEW_SHARDS'
  }
}

/** A stripe of which cells are lacking. */
interface StripeToFill {
  index: number
  cellBytes: number
  cellOf(slot: number): Uint8Array
}

/** What reading a slice gave, by slot. */
interface SliceFound {
  good: readonly number[]
  lost: readonly number[]
  late: ReadonlyMap<number, CellUnderWay>
}

/** The shards of one blob while it is being read: opened when first needed, given up when they fail. */
export class BlobShards implements OpenedShards {
  readonly layout: BlobLayout
  readonly #blob: Blob
  readonly #parts: BlobParts
  /** By slot: those that are open, and those that are being opened. */
  readonly #readers: (ShardReader | undefined)[] = []
  readonly #opening = new Map<number, Promise<ShardReader | undefined>>()
  /** Work that nobody waits for; readers are closed behind it. */
  readonly #leftBehind = new Set<Promise<void>>()
  readonly #runReads: RunReads
  /** Slots that gave nothing or what was not whole. */
  readonly lost = new Set<number>()
  /** Those of them whose drives do not answer. */
  readonly #away = new Set<number>()
  #hasRuns = true
  #isSomethingLate = false
  /** Runs of the stripes that are read just now, of which not all are good: what is good of them is used. */
  #runs: readonly RunUnderWay[] = []

  constructor(blob: Blob, parts: BlobParts) {
    this.#blob = blob
    this.#parts = parts
    this.layout = layoutBlob(blob.bytes, blob.code, blob.cellBytes)
    this.#runReads = new RunReads(blob, this, parts)
  }

  /** The bytes of slices, chunk after chunk: by a run of cells from each drive, or stripe by stripe where one is not good. */
  async readSlices(slices: readonly StripeSlice[]): Promise<Uint8Array[]> {
    if (!this.#hasRuns) return await this.#readEach(slices, { runs: [], outcome: 'good' })
    let isOver = false
    try {
      const read = await this.#runReads.read(slices, (work) => this.#leaveBehind(work))
      isOver = true
      if (read.kind === 'whole') return read.chunks
      return await this.#readEach(slices, read)
    } finally {
      if (!isOver) this.#isSomethingLate = true
    }
  }

  /** Stripe by stripe, with what is good of the runs. */
  async #readEach(
    slices: readonly StripeSlice[],
    { runs, outcome }: Pick<Extract<RunsRead, { kind: 'broken' }>, 'runs' | 'outcome'>,
  ): Promise<Uint8Array[]> {
    if (outcome === 'late') this.#isSomethingLate = true
    const lostBefore = this.lost.size
    this.#runs = [...this.#runs, ...runs]
    const chunks: Uint8Array[] = []
    try {
      for (const slice of slices) chunks.push(await this.#readSlice(slice))
    } finally {
      this.#runs = this.#runs.filter((run) => !runs.includes(run))
      for (const run of runs) this.#leaveBehind(giveBackRun(run))
    }
    // Nothing is wrong with the shards: these readers give no runs.
    if (outcome === 'lost' && this.lost.size === lostBefore) this.#hasRuns = false
    return chunks
  }

  /** Reads the cells of a slice straight into one buffer, in which they lie as in the object. */
  async #readSlice(slice: StripeSlice): Promise<Uint8Array> {
    const cellBytes = cellBytesOf(this.layout, slice.stripe)
    const base = slice.firstCell * cellBytes
    const target = Buffer.allocUnsafe((slice.lastCell + 1) * cellBytes - base)
    const slots = range(slice.firstCell, slice.lastCell + 1)
    const cellOf = (slot: number): Uint8Array =>
      target.subarray(slot * cellBytes - base, (slot + 1) * cellBytes - base)
    const stripe = { index: slice.stripe, cellBytes, cellOf }
    const reads = slots.map((slot) => this.#begin(slot, slice.stripe, cellOf(slot)))
    const outcomes = await this.#parts.hedging.inTime(reads)
    const withOutcome = (wanted: CellOutcome): number[] =>
      slots.filter((_, at) => outcomes[at] === wanted)
    const late = new Map(withOutcome('late').map((slot) => [slot, reads[slots.indexOf(slot)]!]))
    const found = { good: withOutcome('good'), lost: withOutcome('lost'), late }
    if (late.size > 0) await this.#doWithout(stripe, found)
    else if (found.lost.length > 0) await this.#mend(stripe, found.lost, found.good)
    return target.subarray(slice.from - base, slice.to - base)
  }

  /** Lets all readers go: at once, or behind the caller's back where a drive is late. A promise only where that takes time. */
  close(): Promise<void> | undefined {
    const isOverAll = this.#leftBehind.size === 0 && this.#opening.size === 0
    const closing = isOverAll ? closeAll(this.#readers) : this.#closeLater()
    if (!this.#isSomethingLate) return closing
    closing?.catch((error) =>
      this.#parts.log.debug({ error: String(error) }, 'a reader was not closed'),
    )
    return undefined
  }

  /** Whatever it gives is for nobody: it is not even kept until the readers are closed. */
  #leaveBehind(work: Promise<unknown>): void {
    const end = (): void => void this.#leftBehind.delete(left)
    const left = work.then(end, end)
    this.#leftBehind.add(left)
  }

  async #closeLater(): Promise<void> {
    await Promise.all(this.#leftBehind)
    // Whoever opened one in vain was told.
    await Promise.allSettled(this.#opening.values())
    await closeAll(this.#readers)
  }

  /** Makes late cells from others, unless they come after all; waits for them where nothing else is left. */
  async #doWithout(stripe: StripeToFill, { good, lost, late }: SliceFound): Promise<void> {
    this.#isSomethingLate = true
    const wanted = [...lost, ...late.keys()]
    const mending = this.#mend(stripe, wanted, good)
    const coming = this.#allCome(lost, late)
    this.#leaveBehind(mending)
    this.#leaveBehind(coming)
    try {
      const first = await Promise.any([mending.then(() => 'mended'), coming.then(() => 'came')])
      if (first === 'mended') this.#parts.hedging.noteWon()
    } catch {
      await this.#waitForLate(stripe, { good, lost, late })
    }
  }

  /** Resolves when every late cell came and nothing else is lacking; rejects when that can not be. */
  async #allCome(lost: readonly number[], late: SliceFound['late']): Promise<void> {
    const came = await Promise.all([...late.values()].map(({ read }) => read ?? false))
    if (lost.length > 0 || came.includes(false)) throw new TooFewShards('a late cell did not come')
  }

  /** The last resort: drives that are late or suspect are waited for. */
  async #waitForLate(stripe: StripeToFill, { good, lost, late }: SliceFound): Promise<void> {
    const still = [...lost]
    const came = [...good]
    for (const [slot, { read }] of late) {
      const cell = stripe.cellOf(slot)
      const isGood = await (read ?? this.#readCell(slot, stripe.index, cell))
      if (isGood) came.push(slot)
      else still.push(slot)
    }
    if (still.length > 0) await this.#mend(stripe, still, came)
  }

  /** Fills the lost cells from k others, of which the good ones lie in the slice already. */
  async #mend(
    { index, cellBytes, cellOf }: StripeToFill,
    lost: readonly number[],
    good: readonly number[],
  ): Promise<void> {
    const { code } = this.#blob
    const memory = await this.#parts.mendingCodec.acquire()
    try {
      const cells = new Map(good.map((slot) => [slot, cellOf(slot)]))
      await this.#gather({ index, cellBytes }, lost, cells)
      for (const [slot, cell] of cells) memory.cells[slot]!.set(cell)
      const present = [...cells.keys()]
      this.#parts.mendingCodec.reconstruct(code, memory, cellBytes, present, lost)
      for (const slot of lost) cellOf(slot).set(memory.cells[slot]!.subarray(0, cellBytes))
    } finally {
      memory.release()
    }
  }

  /** Adds cells of a stripe to `cells` until there are k, each in memory of its own: one that is late writes nowhere else. */
  async #gather(
    { index, cellBytes }: { index: number; cellBytes: number },
    lost: readonly number[],
    cells: Map<number, Uint8Array>,
  ): Promise<void> {
    const { code, uid } = this.#blob
    const candidates = range(0, shardCount(code)).filter(
      (slot) => !lost.includes(slot) && !cells.has(slot),
    )
    const late: (() => Promise<void>)[] = []
    while (cells.size < code.dataCount && candidates.length > 0) {
      const batch = candidates.splice(0, code.dataCount - cells.size)
      const targets = batch.map(() => Buffer.allocUnsafe(cellBytes))
      const reads = batch.map((slot, at) => this.#begin(slot, index, targets[at]!))
      const outcomes = await allOutcomes(this.#parts.hedging.unlessSuspect(reads))
      for (const [at, slot] of batch.entries()) {
        const read = (): Promise<boolean> =>
          reads[at]!.read ?? this.#readCell(slot, index, targets[at]!)
        if (outcomes[at] === 'good') cells.set(slot, targets[at]!)
        else if (outcomes[at] === 'late') {
          this.#isSomethingLate = true
          late.push(async () => void ((await read()) && cells.set(slot, targets[at]!)))
        }
      }
    }
    // The last resort: drives that are suspect are waited for.
    if (cells.size < code.dataCount) await Promise.all(late.map((wait) => wait()))
    if (cells.size < code.dataCount) {
      throw new TooFewShards(
        `blob ${uid}: ${cells.size} good cells of stripe ${index}, ${code.dataCount} are needed`,
        { mayPass: cells.size + this.#away.size >= code.dataCount },
      )
    }
  }

  /** Begins to read a cell, unless its drive is suspect. */
  #begin(slot: number, index: number, target: Uint8Array): CellUnderWay {
    const driveId = this.#blob.drives[slot]!
    if (this.#parts.hedging.isSuspect(driveId)) return { driveId, read: undefined }
    const run = this.#runOf(slot, index)
    const isLate = run?.isDone === false
    const read = this.#readCell(slot, index, target)
    // Awaited where it counts; one that is late may fail when nobody does any more.
    read.catch(() => {})
    return { driveId, read, isLate }
  }

  /** True when `target` holds the checked cell. */
  async #readCell(slot: number, index: number, target: Uint8Array): Promise<boolean> {
    if (await this.#takeFromRun(slot, index, target)) return true
    const reader = await this.open(slot)
    if (!reader) return false
    try {
      return this.#isGood(slot, await reader.readCell(index, target), target.length)
    } catch (error) {
      this.#giveUp(slot, error)
      return false
    }
  }

  /** True when a run had the cell, or has it by now. */
  async #takeFromRun(slot: number, index: number, target: Uint8Array): Promise<boolean> {
    const run = this.#runOf(slot, index)
    await run?.read
    // Another may have given it back meanwhile: then it is read anew.
    const cell = run?.cells?.[index - run.first]
    if (cell === undefined) return false
    target.set(cell)
    return true
  }

  #runOf(slot: number, index: number): RunUnderWay | undefined {
    return this.#runs.find(
      (one) => one.slot === slot && one.first <= index && index < one.first + one.count,
    )
  }

  #isGood(slot: number, read: CellRead, wantedBytes: number): boolean {
    if (read.kind === 'found' && read.bytes === wantedBytes) return true
    this.#report(slot, read.kind === 'missing' ? 'missing' : 'corrupt')
    return false
  }

  /** The reader of a shard; undefined when nothing is to be had of it. */
  open(slot: number): Promise<ShardReader | undefined> | ShardReader {
    const reader = this.#readers[slot]
    return reader ?? this.#opening.get(slot) ?? this.#openAtHand(slot) ?? this.#openLater(slot)
  }

  #openAtHand(slot: number): ShardReader | undefined {
    const { uid, part, drives } = this.#blob
    const driveId = drives[slot]!
    if (driveId === MISSING_SLOT) return undefined
    const { stripeCount } = this.layout
    const reader = this.#parts.node.openAtHand?.(driveId, { uid, part, slot }, stripeCount)
    this.#readers[slot] = reader
    return reader
  }

  #openLater(slot: number): Promise<ShardReader | undefined> {
    const opening = this.#openNow(slot)
    this.#opening.set(slot, opening)
    return opening
  }

  /** What could not be opened is not tried again. */
  async #openNow(slot: number): Promise<ShardReader | undefined> {
    const reader = await this.#tryToOpen(slot)
    this.#readers[slot] = reader
    if (reader === undefined) this.lost.add(slot)
    else this.#opening.delete(slot)
    return reader
  }

  async #tryToOpen(slot: number): Promise<ShardReader | undefined> {
    const driveId = this.#blob.drives[slot]!
    if (driveId === MISSING_SLOT) return undefined
    const { uid, part } = this.#blob
    try {
      const opened = await this.#parts.node.openShard(driveId, { uid, part, slot })
      if (opened.kind === 'found') return opened.reader
      this.#report(slot, opened.kind)
    } catch (error) {
      this.#giveUp(slot, error)
    }
    return undefined
  }

  /** A drive that fails is no reason to fail the read; anything else is. */
  #giveUp(slot: number, error: unknown): void {
    if (!(error instanceof DriveUnavailable)) throw error
    this.#away.add(slot)
    this.#report(slot, 'failed')
  }

  /** What is wrong is told of; from here on others are read in its place. */
  #report(slot: number, kind: DamageReport['kind']): void {
    this.lost.add(slot)
    const { uid, part } = this.#blob
    const driveId = this.#blob.drives[slot]!
    this.#parts.reportDamage({ driveId, id: { uid, part, slot }, blob: this.#blob, kind })
  }
}

/** A promise only where something is to be waited for. */
function closeAll(readers: readonly (ShardReader | undefined)[]): Promise<void> | undefined {
  let closing: Promise<void>[] | undefined
  for (const reader of readers) {
    const one = reader?.close()
    if (one !== undefined) closing = [...(closing ?? []), one]
  }
  return closing && Promise.all(closing).then(() => {})
}

/** Every read ends, or is late, before one that failed is heard of. */
async function allOutcomes(reads: Promise<CellOutcome>[]): Promise<CellOutcome[]> {
  await Promise.allSettled(reads)
  return await Promise.all(reads)
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}
