// The usual way to read a blob: a run of cells from each drive by one read, in memory that is lent. Where shards are known to be
// lost others are read in their place, and what is lacking is made from them.
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import { CELL_BYTES } from '../kit/erasure-code.ts'
import { giveBack, LentMemory, lendPart } from '../kit/lent-bytes.ts'
import { type Blob, MISSING_SLOT } from '../metadata/records.ts'
import type { ShardReader } from '../storage-node/contract.ts'
import type { CellOutcome } from './hedging.ts'
import type { StoreParts } from './store-parts.ts'
import {
  type BlobLayout,
  type CellRun,
  cellBytesOf,
  runsAround,
  type StripeSlice,
  slotsOf,
} from './stripe.ts'

/** A run of cells under way. A class, for every read makes some. */
export class RunUnderWay implements CellRun {
  readonly slot: number
  readonly first: number
  readonly count: number
  readonly driveId: number
  /** Once it ended well, until they were given back. */
  cells: readonly Uint8Array[] | undefined = undefined
  isDone = false
  /** True when it gave cells, and all of them are good. */
  readonly read: Promise<boolean>

  constructor({ slot, first, count }: CellRun, driveId: number, read: ReadRun) {
    this.slot = slot
    this.first = first
    this.count = count
    this.driveId = driveId
    this.read = read(this)
  }
}

type ReadRun = (run: RunUnderWay) => Promise<boolean>

/** Nobody looks for cells in this run any more: what it has, or still gets, is given back. */
export async function giveBackRun(run: RunUnderWay): Promise<void> {
  await run.read.catch(() => {}) // Told of where it counts.
  const { cells } = run
  run.cells = undefined
  cells?.forEach(giveBack)
}

/** What reading by runs gave: the bytes, or the runs that were tried, to be given back, and why they are not enough. */
export type RunsRead =
  | { kind: 'whole'; chunks: Uint8Array[] }
  | { kind: 'broken'; runs: readonly RunUnderWay[]; outcome: CellOutcome }

/** The shards of a blob as they are opened. */
export interface OpenedShards {
  readonly layout: BlobLayout
  /** A promise only where something is to be waited for. */
  open(slot: number): Promise<ShardReader | undefined> | ShardReader
  /** Slots of which nothing is to be had, as far as is known. */
  readonly lost: ReadonlySet<number>
}

/** What is read, and whether that is just what is asked for. */
interface Plan {
  runs: readonly CellRun[]
  isPlain: boolean
}

const NOTHING_LOST: ReadonlySet<number> = new Set()

/** So much of each cell of a stripe stays in the cache of the processor from the copy to the codec until it is copied from there. */
const MENDED_AT_ONCE = 16 * 1024

// Cells that were made from others, of all reads of the process together.
const mendedCells = new LentMemory({ slotBytes: CELL_BYTES, maxSpare: 64 })

/** Reads groups of stripes of one blob. */
export class RunReads {
  readonly #blob: Blob
  readonly #shards: OpenedShards
  readonly #parts: Pick<StoreParts, 'hedging' | 'mendingCodec'>
  readonly #readRun: ReadRun = (run) => this.#read(run)

  constructor(
    blob: Blob,
    shards: OpenedShards,
    parts: Pick<StoreParts, 'hedging' | 'mendingCodec'>,
  ) {
    this.#blob = blob
    this.#shards = shards
    this.#parts = parts
  }

  /** The bytes of slices that follow each other, chunk after chunk. `leaveBehind` gets work that nobody waits for any more. */
  async read(
    slices: readonly StripeSlice[],
    leaveBehind: (work: Promise<unknown>) => void,
  ): Promise<RunsRead> {
    let runs: RunUnderWay[] = []
    for (;;) {
      const plan = this.#plan(slices)
      if (plan === undefined) return { kind: 'broken', runs, outcome: 'lost' }
      const before = runs
      runs = this.#begin(plan.runs, before)
      for (const run of before) if (!runs.includes(run)) leaveBehind(giveBackRun(run))
      let outcome: CellOutcome | undefined
      try {
        outcome = await this.#parts.hedging.together(runs, slices.length)
      } finally {
        // After an error of our own the others may still hang: nobody waits for them.
        if (outcome !== 'good') leaveBehind(Promise.allSettled(runs.map(({ read }) => read)))
      }
      if (outcome === 'good') {
        const chunks = plan.isPlain ? cutPlain(slices, runs) : await this.#cut(slices, runs)
        return { kind: 'whole', chunks }
      }
      // A shard that could not be opened is done without from now on. Of one that could, each cell is looked at.
      const isKnown = runs.every(({ slot, cells }) => cells || this.#shards.lost.has(slot))
      if (outcome === 'late' || !isKnown) return { kind: 'broken', runs, outcome }
    }
  }

  /** What to read; undefined when too few shards are left but those that are lost or of suspect drives. */
  #plan(slices: readonly StripeSlice[]): Plan | undefined {
    const { drives, code } = this.#blob
    if (slices.every((slice) => this.#isAllThere(slice)))
      return { runs: runsAround(slices, code, NOTHING_LOST)!, isPlain: true }
    const { lost } = this.#shards
    const { hedging } = this.#parts
    const without = new Set(lost)
    let isSuspect = false
    for (const [slot, driveId] of drives.entries()) {
      if (driveId === MISSING_SLOT) without.add(slot)
      else if (!lost.has(slot) && hedging.isSuspect(driveId)) {
        without.add(slot)
        isSuspect ||= slices.some((slice) => slot >= slice.firstCell && slot <= slice.lastCell)
      }
    }
    const runs = runsAround(slices, code, without)
    if (runs === undefined) return undefined
    if (isSuspect) hedging.noteBypassed(slices.length)
    return { runs, isPlain: false }
  }

  /** Whether all cells of a slice are where they were written, as far as is known, and can be asked for. */
  #isAllThere({ firstCell, lastCell }: StripeSlice): boolean {
    const { drives } = this.#blob
    for (let slot = firstCell; slot <= lastCell; slot += 1) {
      const driveId = drives[slot]!
      if (driveId === MISSING_SLOT || this.#shards.lost.has(slot)) return false
      if (this.#parts.hedging.isSuspect(driveId)) return false
    }
    return true
  }

  /** Reads what is planned; what was read before is not read again. */
  #begin(plan: readonly CellRun[], before: readonly RunUnderWay[]): RunUnderWay[] {
    return plan.map((run) => {
      const known = before.find(({ slot }) => slot === run.slot)
      const has = known?.cells && known.first === run.first && known.count >= run.count
      return has ? known : new RunUnderWay(run, this.#blob.drives[run.slot]!, this.#readRun)
    })
  }

  /** Cells as long as they have to be, and checked; false for any trouble, which others meet again and tell of. */
  async #read(run: RunUnderWay): Promise<boolean> {
    const opened = this.#shards.open(run.slot)
    const reader = opened instanceof Promise ? await opened : opened
    try {
      const cells = await reader?.readRun?.(run.first, run.count)
      if (cells !== undefined && this.#areAsLong(cells, run)) run.cells = cells
      else cells?.forEach(giveBack)
    } catch (error) {
      if (!(error instanceof DriveUnavailable)) throw error
    }
    run.isDone = true
    return run.cells !== undefined
  }

  #areAsLong(cells: readonly Uint8Array[], { first, count }: CellRun): boolean {
    const { layout } = this.#shards
    if (cells.length !== count) return false
    for (let at = 0; at < cells.length; at += 1)
      if (cells[at]!.length !== cellBytesOf(layout, first + at)) return false
    return true
  }

  /** What slices want of the cells, in the order of the object. */
  async #cut(slices: readonly StripeSlice[], runs: readonly RunUnderWay[]): Promise<Uint8Array[]> {
    const chunks: Uint8Array[] = []
    for (const slice of slices) {
      const { stripe, from, to } = slice
      const cells = cellsOf(stripe, runs)
      const wanted = slotsOf(slice)
      const lacking = wanted.filter((slot) => !cells.has(slot))
      const mended =
        lacking.length > 0
          ? await this.#mend(stripe, cells, lacking)
          : new Map<number, Uint8Array>()
      for (const slot of wanted) {
        const cell = cells.get(slot) ?? mended.get(slot)!
        const start = slot * cell.length
        const part = lendPart(cell, Math.max(0, from - start), Math.min(cell.length, to - start))
        chunks.push(part)
        cells.delete(slot)
      }
      // What was read to mend others, and more.
      for (const cell of cells.values()) giveBack(cell)
    }
    return chunks
  }

  async #mend(
    stripe: number,
    cells: ReadonlyMap<number, Uint8Array>,
    lacking: readonly number[],
  ): Promise<Map<number, Uint8Array>> {
    const { code } = this.#blob
    const { mendingCodec } = this.#parts
    const cellBytes = cellBytesOf(this.#shards.layout, stripe)
    const present = [...cells.keys()]
    const slots = new Map(lacking.map((slot) => [slot, mendedCells.take()]))
    const memory = await mendingCodec.acquire()
    try {
      for (let at = 0; at < cellBytes; at += MENDED_AT_ONCE) {
        const end = Math.min(cellBytes, at + MENDED_AT_ONCE)
        for (const [slot, cell] of cells) memory.cells[slot]!.set(cell.subarray(at, end))
        mendingCodec.reconstruct(code, memory, end - at, present, lacking)
        for (const [slot, { bytes }] of slots)
          bytes.set(memory.cells[slot]!.subarray(0, end - at), at)
      }
      return new Map(lacking.map((slot) => [slot, slots.get(slot)!.lend(0, cellBytes)]))
    } finally {
      memory.release()
    }
  }
}

/** What slices want of the cells, where nothing else was read. */
function cutPlain(slices: readonly StripeSlice[], runs: readonly RunUnderWay[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (const { stripe, from, to, firstCell, lastCell } of slices) {
    for (let slot = firstCell; slot <= lastCell; slot += 1) {
      const run = runs.find((one) => one.slot === slot)!
      const cell = run.cells![stripe - run.first]!
      const start = slot * cell.length
      chunks.push(lendPart(cell, Math.max(0, from - start), Math.min(cell.length, to - start)))
    }
  }
  return chunks
}

/** The cells of a stripe, by slot. */
function cellsOf(stripe: number, runs: readonly RunUnderWay[]): Map<number, Uint8Array> {
  const cells = new Map<number, Uint8Array>()
  for (const { slot, first, cells: read } of runs) {
    const cell = read?.[stripe - first]
    if (cell !== undefined) cells.set(slot, cell)
  }
  return cells
}
