// Where the shards of a new blob go when drives may be full: others take their place, or the code shrinks its data.
// A full drive never costs redundancy, for nothing would give it back until somebody deletes.
import type { ErasureCode } from '../kit/erasure-code.ts'
import { MISSING_SLOT } from '../metadata/records.ts'
import { type Placement, placeBlob } from '../placement/place.ts'
import { withoutDrives } from '../placement/without-drives.ts'
import { FullAtBegin, TooFewDrives } from './shard-fan.ts'
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

/** `full`: drives that refused a shard of it just now. Throws StoreFull or TooFewDrives. */
export function placeWrite(
  { partition, code, bytes }: Placeable,
  full: ReadonlySet<number>,
  { coordinator, node }: Pick<StoreParts, 'coordinator' | 'node'>,
): Placement {
  const { map } = coordinator.state
  const usual = placeBlob(map, partition, code)
  if (usual === undefined) throw new TooFewDrives('no drive of this partition is left')
  const { shardBytes } = layoutBlob(bytes, code)
  const isFull = (id: number): boolean => full.has(id) || !node.hasRoom(id, shardBytes, 'data')
  if (!usual.drives.some((id) => id !== MISSING_SLOT && isFull(id))) return usual
  const placement = placeBlob(withoutDrives(map, isFull), partition, code)
  if (placement === undefined || holesIn(placement) > holesIn(usual)) {
    const count = map.drives.filter(({ id, state }) => state === 'active' && isFull(id)).length
    throw new StoreFull(`${count} of ${map.drives.length} drives have no room for it`)
  }
  return placement
}

/** Writes with what `place` gives, and again without a drive that turns out to be full before anything was sent. */
export async function withRoom<T>(
  place: (full: ReadonlySet<number>) => Placement,
  write: (placement: Placement) => Promise<T>,
): Promise<T> {
  const full = new Set<number>()
  for (;;) {
    const placement = place(full)
    try {
      return await write(placement)
    } catch (error) {
      // Each round loses a drive, so there are no more rounds than drives.
      if (!(error instanceof FullAtBegin) || full.has(error.driveId)) throw error
      full.add(error.driveId)
    }
  }
}

function holesIn({ drives }: Placement): number {
  return drives.filter((id) => id === MISSING_SLOT).length
}
