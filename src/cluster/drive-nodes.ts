// Which node has a drive: asked for every shard, so it is looked up, not searched.
import type { ClusterMap } from '../placement/cluster-map.ts'
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
