// Arithmetic of stripes: how a blob is cut into cells, and which cells a byte range touches. Pure.
//
// A stripe is k cells of data. Every stripe but the last is full; the cells of the last one shrink
// to an equal share of what is left (docs/formats/shard.md). Byte b of a stripe lies in cell b / cellBytes.

import { roundUp } from '../kit/bytes.ts'
import { BLOCK_BYTES, CELL_BYTES, type ErasureCode } from '../kit/erasure-code.ts'
import type { ByteRange } from './object-store.ts'

/** How a blob lies in its shards. */
export interface BlobLayout {
  blobBytes: number
  dataCount: number
  /** Cells of every stripe but the last. */
  cellBytes: number
  stripeCount: number
  /** Cells of the last stripe. */
  lastCellBytes: number
  /** Length of every shard. */
  shardBytes: number
}

/** Layout of a blob of `blobBytes` (at least one byte). */
export function layoutBlob(
  blobBytes: number,
  code: Pick<ErasureCode, 'dataCount'>,
  cellBytes: number = CELL_BYTES,
): BlobLayout {
  const { dataCount } = code
  const stripeBytes = dataCount * cellBytes
  const stripeCount = Math.ceil(blobBytes / stripeBytes)
  const rest = blobBytes - (stripeCount - 1) * stripeBytes
  // Copies are kept to the byte; cells that the XOR code works on are whole blocks.
  const lastCellBytes = dataCount === 1 ? rest : roundUp(Math.ceil(rest / dataCount), BLOCK_BYTES)
  const shardBytes = (stripeCount - 1) * cellBytes + lastCellBytes
  return { blobBytes, dataCount, cellBytes, stripeCount, lastCellBytes, shardBytes }
}

/** Length of the cells of stripe `index`. */
export function cellBytesOf(layout: BlobLayout, index: number): number {
  return index === layout.stripeCount - 1 ? layout.lastCellBytes : layout.cellBytes
}

/** Bytes of the blob in stripe `index`, without padding. */
export function stripeBytesOf(layout: BlobLayout, index: number): number {
  const full = layout.dataCount * layout.cellBytes
  return index === layout.stripeCount - 1 ? layout.blobBytes - index * full : full
}

/** The part of a stripe that a range asks for. */
export interface StripeSlice {
  stripe: number
  /** Bytes from the beginning of the stripe: [from, to). */
  from: number
  to: number
  /** Data cells that hold them, both inclusive. */
  firstCell: number
  lastCell: number
}

/** What `range` asks of a stripe that it touches. */
export function sliceOf(layout: BlobLayout, range: ByteRange, stripe: number): StripeSlice {
  const full = layout.dataCount * layout.cellBytes
  const from = Math.max(0, range.first - stripe * full)
  const to = Math.min(stripeBytesOf(layout, stripe), range.last + 1 - stripe * full)
  const cell = cellBytesOf(layout, stripe)
  return {
    stripe,
    from,
    to,
    firstCell: Math.floor(from / cell),
    lastCell: Math.floor((to - 1) / cell),
  }
}

/** Cells of one shard that follow each other: those of stripes `first` to `first + count - 1`. */
export interface CellRun {
  slot: number
  first: number
  count: number
}

/** The slots of the cells that a slice wants. */
export function slotsOf({ firstCell, lastCell }: StripeSlice): number[] {
  return Array.from({ length: lastCell - firstCell + 1 }, (_, at) => firstCell + at)
}

/**
 * The cells that are read for slices of stripes in a row, shard by shard: those that they want, and where some of these are
 * `lost` as many of the stripe as make them again. Undefined when there are not so many.
 */
export function runsAround(
  slices: readonly StripeSlice[],
  code: ErasureCode,
  lost: ReadonlySet<number>,
): CellRun[] | undefined {
  const sources = lost.size === 0 ? [] : sourcesAround(code, lost)
  const runs: CellRun[] = []
  for (const slice of slices) {
    const { stripe, firstCell, lastCell } = slice
    let isLacking = false
    for (let slot = firstCell; slot <= lastCell; slot += 1) {
      if (lost.has(slot)) isLacking = true
      else addToRuns(runs, slot, stripe)
    }
    if (!isLacking) continue
    if (sources.length < code.dataCount) return undefined
    for (const slot of sources) addToRuns(runs, slot, stripe)
  }
  return runs
}

/** Runs are as few as shards: to look at each costs less than a map. */
function addToRuns(runs: CellRun[], slot: number, stripe: number): void {
  for (const run of runs) {
    if (run.slot !== slot) continue
    run.count = stripe - run.first + 1
    return
  }
  runs.push({ slot, first: stripe, count: 1 })
}

function sourcesAround(
  { dataCount, parityCount }: ErasureCode,
  lost: ReadonlySet<number>,
): number[] {
  const slots = Array.from({ length: dataCount + parityCount }, (_, slot) => slot)
  return slots.filter((slot) => !lost.has(slot)).slice(0, dataCount)
}
