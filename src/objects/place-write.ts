// Where the shards of a new blob go when drives may be full or away: others take their place, or the code shrinks its data.
// A full drive never costs redundancy, for nothing would give it back until somebody deletes.
import type { ErasureCode } from '../kit/erasure-code.ts'
import { MISSING_SLOT } from '../metadata/records.ts'
import type { ClusterMap } from '../placement/cluster-map.ts'
import { type Placement, placeBlob } from '../placement/place.ts'
import { withoutDrives } from '../placement/without-drives.ts'
import { AwayAtBegin, FullAtBegin, TooFewDrives } from './shard-fan.ts'
import type { StoreParts } from './store-parts.ts'
import { layoutBlob } from './stripe.ts'

/** Thrown when so few drives have room that a blob could not be stored with the redundancy of its code. */
export class StoreFull extends Error {
  override readonly name = 'StoreFull'
  readonly code = 'STORE_FULL'
}

/** What is to be placed. */
export interface Placeable {
  /** Data partition of the key. */
  partition: number
  code: ErasureCode
  bytes: number
}

/** Drives that took no shard of a blob just now. */
export interface Unfit {
  full: ReadonlySet<number>
  away: ReadonlySet<number>
}

type PlacingParts = Pick<StoreParts, 'coordinator' | 'node' | 'writeRule'>

/** Throws StoreFull or TooFewDrives. */
export function placeWrite(
  { partition, code, bytes }: Placeable,
  unfit: Unfit,
  parts: PlacingParts,
): Placement {
  const map = mapWithoutAway({ partition, code }, unfit.away, parts)
  const usual = placeBlob(map, partition, code)
  if (usual === undefined) throw new TooFewDrives('no drive of this partition is left')
  const { shardBytes } = layoutBlob(bytes, code)
  const isFull = (id: number): boolean =>
    unfit.full.has(id) || !parts.node.hasRoom(id, shardBytes, 'data')
  if (!usual.drives.some((id) => id !== MISSING_SLOT && isFull(id))) return usual
  const placement = placeBlob(withoutDrives(map, isFull), partition, code)
  if (placement === undefined || holesIn(placement) > holesIn(usual)) {
    const count = map.drives.filter(({ id, state }) => state === 'active' && isFull(id)).length
    throw new StoreFull(`${count} of ${map.drives.length} drives have no room for it`)
  }
  return placement
}

/** The map without drives that seem to be away; but where too few are left, those are asked that only seem so. */
function mapWithoutAway(
  { partition, code }: Pick<Placeable, 'partition' | 'code'>,
  away: ReadonlySet<number>,
  { coordinator, writeRule }: PlacingParts,
): ClusterMap {
  const { map } = coordinator.state
  const isAway = (id: number): boolean => away.has(id) || writeRule.isAway(id)
  if (!map.slots[partition]!.some(isAway)) return map
  const present = withoutDrives(map, isAway)
  const placement = placeBlob(present, partition, code)
  const isWhole = placement !== undefined && holesIn(placement) === 0
  return isWhole ? present : withoutDrives(map, (id) => away.has(id))
}

/** Writes with what `place` gives, and again without drives that turn out to be unfit before anything was sent. */
export async function withRoom<T>(
  place: (unfit: Unfit) => Placement,
  write: (placement: Placement) => Promise<T>,
): Promise<T> {
  const full = new Set<number>()
  const away = new Set<number>()
  for (;;) {
    const placement = place({ full, away })
    try {
      return await write(placement)
    } catch (error) {
      // Each round loses a drive, so there are no more rounds than drives.
      const before = full.size + away.size
      if (error instanceof FullAtBegin) full.add(error.driveId)
      if (error instanceof AwayAtBegin) for (const id of error.driveIds) away.add(id)
      if (full.size + away.size === before) throw error
    }
  }
}

function holesIn({ drives }: Placement): number {
  return drives.filter((id) => id === MISSING_SLOT).length
}
