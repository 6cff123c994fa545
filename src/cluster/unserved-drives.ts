// Drives that the map has in this node and that it does not serve: they were left out at its start, or failed since. While
// the map takes them for drives in service, nobody makes again what was on them.
import type { ClusterMap } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { markUnserved } from '../placement/silent-nodes.ts'
import type { Drive } from '../storage-node/drive.ts'

/** Why drives were not opened at the start, by their ids. */
export type LeftOut = ReadonlyMap<number, Error>

/** What a node has. */
export interface OwnDrives {
  nodeId: string
  live: readonly Pick<Drive, 'id' | 'failure'>[]
  leftOut: LeftOut
}

/** A drive that is not served, where it was last. */
export interface UnservedDrive {
  id: number
  /** A drive that is here, and failed. */
  isLive: boolean
  path: string | undefined
  failure: unknown
  marker: { uuid: string }
}

const NOT_HERE = new Error('its node does not have it')

/** Those of the map as it is now: drives that were removed, or are in another node, are none of ours. */
export function listUnserved(
  { drives }: Pick<ClusterMap, 'drives'>,
  { nodeId, live, leftOut }: OwnDrives,
): UnservedDrive[] {
  const own = drives.filter((drive) => drive.nodeId === nodeId)
  return own.flatMap(({ id, uuid, path }) => {
    const here = live.find((drive) => drive.id === id)
    const failure = here === undefined ? (leftOut.get(id) ?? NOT_HERE) : here.failure
    if (failure === undefined) return []
    return [{ id, isLive: here !== undefined, path, failure, marker: { uuid } }]
  })
}

/** Tells the map of them, once every drive that is to be opened is. Rejects with CoordinatorUnavailable. */
export async function tellUnserved(
  own: OwnDrives,
  { coordinator }: { coordinator: Pick<Coordinator, 'state' | 'decide'> },
): Promise<void> {
  const unserved = listUnserved(coordinator.state.map, own)
  const reasons = new Map(unserved.map(({ id, failure }) => [id, reasonOf(failure)]))
  const change = markUnserved(own.nodeId, reasons)
  if (change(coordinator.state) !== undefined) await coordinator.decide(change)
}

/** In words. */
export function reasonOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure)
}
