// Where everything lies in a cluster, for people: the table of slots drive by drive, beside what drives still have.
import type { DriveDetails, MoveStatus } from '../gateway/admin-api.ts'
import type { MappedDrive, MapView } from '../gateway/cluster-api.ts'
import { nameCode, shardCount } from '../kit/erasure-code.ts'
import {
  type ClusterMap,
  hasTable,
  type MapDrive,
  metaPartitionIds,
} from '../placement/cluster-map.ts'
import type { ClusterState } from '../placement/coordinator.ts'
import type { PartitionRecord } from '../placement/etcd/leadership.ts'
import { FailureDomains } from '../placement/failure-domains.ts'
import { idealLoads, stayingDrives } from '../placement/rebalance.ts'

/** What the view is made of. */
export interface MapViewParts {
  state: ClusterState
  recordOf(partition: number): PartitionRecord | undefined
  detailsOf(drive: MapDrive): DriveDetails
  moving: MoveStatus | undefined
  withTable: boolean
}

/** The map as it is now. */
export function viewMap({ state, recordOf, detailsOf, moving, withTable }: MapViewParts): MapView {
  const { map, epoch } = state
  const { partitionCount, metaPartitionCount } = map
  const metaPartitions = metaPartitionIds(map)
  const loads = countLoads(map)
  const ideals = idealsOf(map)
  const view = (drive: MapDrive): MappedDrive => ({
    ...detailsOf(drive),
    ...(drive.zone === undefined ? {} : { zone: drive.zone }),
    slots: loads.slots.get(drive.id) ?? 0,
    idealSlots: Math.round(ideals.get(drive.id) ?? 0),
    spares: loads.spares.get(drive.id) ?? 0,
    leads: metaPartitions.filter((id) => recordOf(id)?.primary?.driveId === drive.id).length,
  })
  return {
    ...{ epoch, code: nameCode(map.code) },
    ...{ partitions: partitionCount, metaPartitions: metaPartitionCount },
    drives: map.drives.map(view),
    ...(moving === undefined ? {} : { moving }),
    changing: metaPartitions.filter((id) => recordOf(id)?.previous !== undefined),
    removed: map.removed ?? [],
    ...(withTable ? { table: map.slots } : {}),
  }
}

function countLoads({ slots, code }: ClusterMap): Record<'slots' | 'spares', Map<number, number>> {
  const width = shardCount(code)
  const loads = { slots: new Map<number, number>(), spares: new Map<number, number>() }
  for (const row of slots)
    for (const [at, driveId] of row.entries()) {
      const of = at < width ? loads.slots : loads.spares
      of.set(driveId, (of.get(driveId) ?? 0) + 1)
    }
  return loads
}

/** As the table is made by: none where there is no table yet. */
function idealsOf(map: ClusterMap): ReadonlyMap<number, number> {
  const staying = stayingDrives(map.drives)
  const width = shardCount(map.code)
  if (!hasTable(map) || staying.length < width) return new Map()
  return idealLoads(staying, map.partitionCount, width, FailureDomains.of(map))
}
