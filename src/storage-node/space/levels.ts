// How full a file system is, and how much each kind of use must leave free on it. Pure.
// Why these numbers: docs/decisions/0011-how-full-a-drive-gets.md.
import { gibibytes, mebibytes } from '../../kit/bytes.ts'
import type { DiskSpace } from '../../kit/world.ts'

/**
 * From best to worst. `no-moves`: takes no shards that are made again or moved. `read-only`: no new data either.
 * `failsafe`: nothing grows but what deletes and the metadata log need.
 */
export const SPACE_LEVELS = ['ample', 'near-full', 'no-moves', 'read-only', 'failsafe'] as const

/** How full a file system is. */
export type SpaceLevel = (typeof SPACE_LEVELS)[number]

/**
 * What bytes are for. `move`: a shard that is made again or moved here. `data`: a new shard. `metadata`: rows of a
 * client. `upkeep`: what gives space back later, as compaction does.
 */
export type SpaceUse = 'move' | 'data' | 'metadata' | 'upkeep'

/** Bytes and inodes that stay free. */
export interface Reserve {
  bytes: number
  inodes: number
}

/** What is left when a level begins: a share of the file system, but no more than so much. */
interface Threshold {
  share: number
  bytesMax: number
  inodesMax: number
  /** Of the reserve that new data must leave: a level is never nearer to another than this. */
  ofDataReserve: number
}

const THRESHOLDS = {
  'near-full': { share: 0.15, bytesMax: gibibytes(12), inodesMax: 12_288, ofDataReserve: 1.5 },
  'no-moves': { share: 0.1, bytesMax: gibibytes(8), inodesMax: 8192, ofDataReserve: 1.25 },
  'read-only': { share: 0.05, bytesMax: gibibytes(4), inodesMax: 4096, ofDataReserve: 1 },
  failsafe: { share: 0.03, bytesMax: gibibytes(2.4), inodesMax: 2458, ofDataReserve: 0.6 },
} as const satisfies Record<Exclude<SpaceLevel, 'ample'>, Threshold>

const LEVEL_OF_USE = { move: 'no-moves', data: 'read-only', metadata: 'failsafe' } as const

// A share alone would leave a small drive too little for a segment, two LevelDBs and a log; an eighth is enough then.
const LEAST_BYTES = mebibytes(8)
const LEAST_INODES = 64
const LEAST_SHARE = 1 / 8

// Before it is said that a file system has room again so much more must be free: else a log would be full of it.
const BETTER_BY = 1.1

/** What `use` must leave free. `neededBytes`: what LevelDB needs here to compact what it has. */
export function reserveFor(space: DiskSpace, use: SpaceUse, neededBytes = 0): Reserve {
  if (use !== 'upkeep') return reserveOf(space, LEVEL_OF_USE[use], neededBytes)
  const { bytes, inodes } = reserveOf(space, 'failsafe', neededBytes)
  return { bytes: bytes / 2, inodes: inodes / 2 }
}

/** The level that follows from what is free. `before`: the level until now, which is only left for good. */
export function levelOf(
  space: DiskSpace,
  neededBytes = 0,
  before: SpaceLevel = 'ample',
): SpaceLevel {
  const now = worstLevel(space, neededBytes, 1)
  if (isWorse(now, before)) return now
  const better = worstLevel(space, neededBytes, BETTER_BY)
  return isWorse(before, better) ? better : before
}

/** Whether `one` is worse than `other`. */
export function isWorse(one: SpaceLevel, other: SpaceLevel): boolean {
  return SPACE_LEVELS.indexOf(one) > SPACE_LEVELS.indexOf(other)
}

function worstLevel(space: DiskSpace, neededBytes: number, factor: number): SpaceLevel {
  const levels = ['failsafe', 'read-only', 'no-moves', 'near-full'] as const
  const found = levels.find((level) => {
    const { bytes, inodes } = reserveOf(space, level, neededBytes)
    return (
      space.freeBytes < bytes * factor || (hasInodes(space) && space.freeInodes < inodes * factor)
    )
  })
  return found ?? 'ample'
}

/** File systems that make inodes as they need them report none at all. */
export function hasInodes({ totalInodes }: DiskSpace): boolean {
  return totalInodes > 0
}

function reserveOf(
  { totalBytes, totalInodes }: DiskSpace,
  level: Exclude<SpaceLevel, 'ample'>,
  neededBytes: number,
): Reserve {
  const { share, bytesMax, inodesMax, ofDataReserve } = THRESHOLDS[level]
  const leastBytes = Math.max(Math.min(LEAST_BYTES, totalBytes * LEAST_SHARE), neededBytes)
  const leastInodes = Math.min(LEAST_INODES, totalInodes * LEAST_SHARE)
  const dataMax = THRESHOLDS['read-only']
  const dataBytes = atLeast(leastBytes, dataMax.share * totalBytes, dataMax.bytesMax)
  const dataInodes = atLeast(leastInodes, dataMax.share * totalInodes, dataMax.inodesMax)
  return {
    bytes: atLeast(dataBytes * ofDataReserve, share * totalBytes, bytesMax),
    inodes: atLeast(dataInodes * ofDataReserve, share * totalInodes, inodesMax),
  }
}

function atLeast(least: number, wanted: number, most: number): number {
  return Math.max(least, Math.min(wanted, most))
}
