// Whether the store can do without one more drive that still lives: slow is better than lost. Pure.
import type { ClusterState } from './coordinator.ts'

/**
 * True while no more than m drives are out then, and every metadata partition keeps a replica on a drive that is in.
 * `leaving`: drives that are on their way out.
 */
export function canDoWithout(
  { map, metaPartitions }: Pick<ClusterState, 'map' | 'metaPartitions'>,
  driveId: number,
  leaving: ReadonlySet<number>,
): boolean {
  const out = new Set([...leaving, driveId])
  for (const drive of map.drives) if (drive.state === 'out') out.add(drive.id)
  if (out.size > map.code.parityCount) return false
  return metaPartitions.every(({ inSync }) => inSync.some((replica) => !out.has(replica.driveId)))
}
