// Which node has a drive: asked for every shard, so it is looked up, not searched. And whether it can be asked for anything.
import type { ClusterMap, MapDrive } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'

/** Gives the node of a drive by the map as it is when asked; undefined for a drive that the map does not know. */
export function nodesOfDrives(
  coordinator: Pick<Coordinator, 'state'>,
): (driveId: number) => string | undefined {
  let known: { map: ClusterMap; nodes: ReadonlyMap<number, string | undefined> } | undefined
  return (driveId) => {
    const { map } = coordinator.state
    if (known?.map !== map) {
      known = { map, nodes: new Map(map.drives.map(({ id, nodeId }) => [id, nodeId])) }
    }
    return known.nodes.get(driveId)
  }
}

/** Tells of a drive whether it is in, on a node that answers. */
export function drivesThere(
  { drives }: Pick<ClusterMap, 'drives'>,
  nodesAway: readonly string[],
): (driveId: number) => boolean {
  const isThere = ({ state, nodeId = '' }: MapDrive): boolean =>
    state !== 'out' && !nodesAway.includes(nodeId)
  const there = new Set(drives.filter(isThere).map(({ id }) => id))
  return (driveId) => there.has(driveId)
}
