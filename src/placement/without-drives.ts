// The map as it looks to someone who can not use some of the drives now.
import type { ClusterMap } from './cluster-map.ts'

/** The same map with those drives as if they were out. */
export function withoutDrives(
  map: ClusterMap,
  isUnusable: (driveId: number) => boolean,
): ClusterMap {
  const drives = map.drives.map((drive) =>
    drive.state === 'active' && isUnusable(drive.id) ? { ...drive, state: 'out' as const } : drive,
  )
  return { ...map, drives }
}
