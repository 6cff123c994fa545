// Changes of the agreed state that follow from the life and death of drives. Pure: state in, state out.
import type { MapDrive } from './cluster-map.ts'
import type { Change, ClusterState, MetaPartitionState, Replica } from './coordinator.ts'

/** A drive is not written to any more, and no metadata partition counts on it. */
export function markOut(driveId: number, reason: string): Change {
  return (state) => {
    const drive = state.map.drives.find(({ id }) => id === driveId)
    if (drive === undefined || drive.state === 'out') return dropReplicasOn(driveId)(state)
    const changed = editDrive(state, driveId, (found) => ({ ...found, state: 'out', reason }))
    return dropReplicasOn(driveId)(changed) ?? changed
  }
}

/** A drive that was out is written to again. */
export function markActive(driveId: number): Change {
  return (state) => {
    const drive = state.map.drives.find(({ id }) => id === driveId)
    if (drive === undefined || drive.state === 'active') return undefined
    return editDrive(state, driveId, ({ reason: _reason, ...found }) => ({
      ...found,
      state: 'active',
    }))
  }
}

/**
 * Removes a drive from every in-sync set that has another member. The last member stays, living or not:
 * it alone holds every acknowledged row, so the partition waits for it.
 */
export function dropReplicasOn(driveId: number): Change {
  return (state) => {
    let changed = false
    const metaPartitions = state.metaPartitions.map((partition) => {
      const inSync = partition.inSync.filter((replica) => replica.driveId !== driveId)
      if (inSync.length === partition.inSync.length || inSync.length === 0) return partition
      changed = true
      // Epoch 0 says that the partition was never started and is empty by right: nobody has to be fenced.
      return { epoch: partition.epoch === 0 ? 0 : partition.epoch + 1, inSync }
    })
    return changed ? { ...state, metaPartitions } : undefined
  }
}

/** Adds a replica that has caught up with a partition. */
export function addReplica(partitionId: number, replica: Replica): Change {
  return (state) => {
    const partition = state.metaPartitions[partitionId]
    if (partition === undefined) return undefined
    if (partition.inSync.some(({ driveId }) => driveId === replica.driveId)) return undefined
    return editPartition(state, partitionId, {
      epoch: partition.epoch + 1,
      inSync: [...partition.inSync, replica],
    })
  }
}

/**
 * A start: every listed partition gets a new epoch, and keeps the replicas that were found whole.
 * A replica that left the set meanwhile stays out.
 */
export function startPartitions(whole: ReadonlyMap<number, readonly Replica[]>): Change {
  return (state) => {
    if (whole.size === 0) return undefined
    const metaPartitions = state.metaPartitions.map((partition, id) => {
      const found = whole.get(id) ?? []
      const inSync = partition.inSync.filter(({ incarnation }) =>
        found.some((replica) => replica.incarnation === incarnation),
      )
      return inSync.length === 0 ? partition : { epoch: partition.epoch + 1, inSync }
    })
    return { ...state, metaPartitions }
  }
}

function editDrive(
  state: ClusterState,
  driveId: number,
  edit: (drive: MapDrive) => MapDrive,
): ClusterState {
  const drives = state.map.drives.map((drive) => (drive.id === driveId ? edit(drive) : drive))
  return { ...state, map: { ...state.map, drives } }
}

function editPartition(
  state: ClusterState,
  partitionId: number,
  edited: MetaPartitionState,
): ClusterState {
  const metaPartitions = state.metaPartitions.map((partition, id) =>
    id === partitionId ? edited : partition,
  )
  return { ...state, metaPartitions }
}
