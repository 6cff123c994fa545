// What has to move: shards that are not on the drive that the table names, and shards on drives that are to be emptied.
import type { ClusterMap, DriveState } from './cluster-map.ts'
import { FailureDomains } from './failure-domains.ts'
import type { PlacedBlob } from './spares.ts'

/**
 * The drive to which each slot of a blob is to move that can move now. Only what is on a drive that can be read moves:
 * the rest is to be made again. No drive gets two shards of a blob, so some slots have to wait for others; where two
 * drives have just each other's they keep them.
 */
export function chooseMoves(
  map: Pick<ClusterMap, 'drives' | 'slots' | 'code'>,
  { partition, drives }: PlacedBlob,
): Map<number, number> {
  const states = new Map<number, DriveState>(map.drives.map(({ id, state }) => [id, state]))
  const isActive = (driveId: number): boolean => states.get(driveId) === 'active'
  const row = map.slots[partition]!
  const taken = new Set(drives)
  const moves = new Map<number, number>()
  const move = (slot: number, driveId: number): void => {
    moves.set(slot, driveId)
    taken.add(driveId)
  }
  for (const [slot, current] of drives.entries()) {
    const wanted = row[slot]
    if (wanted === undefined || wanted === current || !canBeRead(states.get(current))) continue
    if (isActive(wanted) && !taken.has(wanted)) move(slot, wanted)
  }
  for (const [slot, current] of drives.entries()) {
    if (states.get(current) !== 'draining' || moves.has(slot)) continue
    // The drive that the table names gives up its own shard of this blob first.
    if (moves.has(drives.indexOf(row[slot]!))) continue
    const free = row.filter((driveId) => isActive(driveId) && !taken.has(driveId))
    const after = drives.map((driveId, at) => moves.get(at) ?? driveId)
    const isRoomy = FailureDomains.of(map)?.gate(after, slot)
    const spare = (isRoomy && free.find(isRoomy)) ?? free[0]
    if (spare !== undefined) move(slot, spare)
  }
  return moves
}

function canBeRead(state: DriveState | undefined): boolean {
  return state === 'active' || state === 'draining'
}
