// In which order dumps of a partition were taken. The log of the partition tells: the clock that names them may have been wrong.
import type { World } from '../../kit/world.ts'
import type { LogPosition } from '../../metadata/log/contract.ts'
import { comparePositions } from '../../metadata/replication/log-tail.ts'
import { type FoundDump, lookAtHead } from './dump-files.ts'

/** Where a dump stands in the log. `damaged`: no copy has a whole head. `unread`: that is not known now. */
export type DumpPlace =
  | { kind: 'known'; position: LogPosition }
  | { kind: 'damaged' }
  | { kind: 'unread' }

/** A dump, and where it stands. */
export interface PlacedDump extends FoundDump {
  place: DumpPlace
}

/** What tells which of two dumps of a partition is the later one. */
export interface DumpMoment {
  position: LogPosition
  takenMs: number
}

/** Below 0: the left one is the earlier one. Of two as of one position the clock decides: they hold the same. */
export function compareMoments(left: DumpMoment, right: DumpMoment): number {
  return comparePositions(left.position, right.position) || left.takenMs - right.takenMs
}

/** Dumps of one partition, the latest first, and behind them those of which the place is not known. */
export async function placeDumps(
  dumps: readonly FoundDump[],
  world: Pick<World, 'disk'>,
): Promise<PlacedDump[]> {
  const placed: PlacedDump[] = []
  for (const dump of dumps) placed.push({ ...dump, place: await placeOf(dump, world) })
  return placed.sort((left, right) => {
    if (left.place.kind !== 'known' || right.place.kind !== 'known')
      return Number(left.place.kind !== 'known') - Number(right.place.kind !== 'known')
    return compareMoments({ ...right, ...right.place }, { ...left, ...left.place })
  })
}

/** How many later dumps, of how many copies, make others needless. `copiesOf`: those of a dump that count. */
export interface NeedlessOptions {
  kept: number
  wanted: number
  copiesOf(dump: FoundDump): number
}

/**
 * Those that are not needed any more: of dumps of one partition, the latest first, `kept` later ones have as many copies, or `wanted`
 * of them. So one copy never takes the place of several. One whose head can not be read now counts for nothing, and stays.
 */
export function needlessOf(
  placed: readonly PlacedDump[],
  { kept, wanted, copiesOf }: NeedlessOptions,
): PlacedDump[] {
  const known = placed.filter(({ place }) => place.kind !== 'unread')
  const countOf = (dump: PlacedDump): number => Math.min(copiesOf(dump), wanted)
  return known.filter((dump, index) => {
    const later = known.slice(0, index).filter(({ place }) => place.kind === 'known')
    return later.filter((other) => countOf(other) >= countOf(dump)).length >= kept
  })
}

async function placeOf(
  { copies, ...dump }: FoundDump,
  world: Pick<World, 'disk'>,
): Promise<DumpPlace> {
  let kind: 'damaged' | 'unread' = 'damaged'
  for (const drive of copies) {
    const look = await lookAtHead(drive, dump, world)
    if (look.kind === 'head') return { kind: 'known', position: look.head.position }
    if (look.kind === 'unread') kind = 'unread'
  }
  return { kind }
}
