// Where shards that were lost are made again: on their own drive if it serves, else on a spare of their partition.
import { MISSING_SLOT } from '../metadata/records.ts'
import type { ClusterMap } from './cluster-map.ts'

/** A blob of a partition and the drive of each of its slots. */
export interface PlacedBlob {
  partition: number
  drives: readonly number[]
}

/** The drive for each of `slots`; a slot for which no drive is left has none. No drive gets two shards of a blob. */
export function chooseHomes(
  map: ClusterMap,
  { partition, drives }: PlacedBlob,
  slots: readonly number[],
): Map<number, number> {
  const active = new Set(map.drives.filter(({ state }) => state === 'active').map(({ id }) => id))
  const homes = new Map<number, number>()
  for (const slot of slots) {
    const current = drives[slot]!
    if (active.has(current)) homes.set(slot, current)
  }
  const taken = new Set([...drives.filter((id) => id !== MISSING_SLOT)])
  const spares = map.slots[partition]!.filter((id) => active.has(id) && !taken.has(id))
  const lost = slots.filter((slot) => !homes.has(slot))
  // First whoever finds the drive that the table names for it, so that nothing has to move later.
  for (const slot of lost) {
    const mapped = map.slots[partition]![slot]!
    if (spares.includes(mapped)) homes.set(slot, take(spares, mapped))
  }
  for (const slot of lost) {
    if (!homes.has(slot) && spares.length > 0) homes.set(slot, take(spares, spares.at(-1)!))
  }
  return homes
}

function take(spares: number[], driveId: number): number {
  spares.splice(spares.indexOf(driveId), 1)
  return driveId
}
