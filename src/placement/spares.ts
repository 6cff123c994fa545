// Where shards that were lost are made again: where the table wants them, on their own drive, or on a
// spare of their partition.
import { MISSING_SLOT } from '../metadata/records.ts'
import type { ClusterMap } from './cluster-map.ts'
import { FailureDomains } from './failure-domains.ts'

/** A blob of a partition and the drive of each of its slots. */
export interface PlacedBlob {
  partition: number
  drives: readonly number[]
}

/**
 * The drive for each of `slots`; a slot for which no drive is left has none. No drive gets two shards of a blob, and no node
 * more than the code can lose while others have room: but a shard too many there is better than none.
 */
export function chooseHomes(
  map: ClusterMap,
  { partition, drives }: PlacedBlob,
  slots: readonly number[],
): Map<number, number> {
  const active = new Set(map.drives.filter(({ state }) => state === 'active').map(({ id }) => id))
  const row = map.slots[partition]!
  const taken = new Set(drives)
  const free = row.filter((id) => active.has(id) && !taken.has(id))
  const homes = new Map<number, number>()
  // First whoever finds the drive that the table names for it, so that nothing has to move later.
  for (const slot of slots) {
    const wanted = row[slot]
    if (wanted !== undefined && free.includes(wanted)) homes.set(slot, take(free, wanted))
    else if (active.has(drives[slot]!)) homes.set(slot, drives[slot]!)
  }
  for (const slot of slots) {
    if (homes.has(slot) || free.length === 0) continue
    const now = drives.map((id, at) => homes.get(at) ?? (slots.includes(at) ? MISSING_SLOT : id))
    const isRoomy = FailureDomains.of(map)?.gate(now, slot) ?? (() => true)
    const roomy = free.filter(isRoomy)
    // The spare to which new blobs of the partition go, too.
    const isSpare = (id: number): boolean => row.indexOf(id) >= drives.length
    const spare = roomy.find(isSpare) ?? roomy[0] ?? free.find(isSpare) ?? free[0]!
    homes.set(slot, take(free, spare))
  }
  return homes
}

function take(spares: number[], driveId: number): number {
  spares.splice(spares.indexOf(driveId), 1)
  return driveId
}
