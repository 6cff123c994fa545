// How drives of a cluster leave, step by step, each on positive knowledge (decision 0021): a drive that is draining or out is
// closed to rows; once every leader has counted, knowing that, no row that names it, it is vacated and may be removed. Pure.
import type { ClusterMap, MapDrive } from './cluster-map.ts'
import type { Change } from './coordinator.ts'
import { editDrive } from './coordinator-changes.ts'
import type { PartitionRecord } from './etcd/leadership.ts'

/** What the leader of a partition counted after it knew that the drive is closed. */
export interface DepartureCount {
  driveId: number
  /** Of the closing that was known. */
  closedEpoch: number
  partition: number
  /** Of the record by which who counted leads the partition, from before the count until after it. */
  epoch: number
  /** How many blobs name the drive. */
  rows: number
}

/** What is known of all metadata partitions of a cluster: records read after the counts were asked for. */
export interface DepartureFacts {
  map: Pick<ClusterMap, 'drives' | 'metaPartitionCount'>
  recordOf(partition: number): PartitionRecord | undefined
  counts: readonly DepartureCount[]
}

/** Whether a row must not come to name the drive. Of one that the map does not know yet nothing is known. */
export function isClosedToRows(
  { drives, removed = [] }: Pick<ClusterMap, 'drives' | 'removed'>,
  driveId: number,
): boolean {
  const drive = drives.find(({ id }) => id === driveId)
  return drive === undefined ? removed.includes(driveId) : drive.closedEpoch !== undefined
}

/** Drives that were not vacated yet, and are on their way out or lost. */
export function departingDrives({ drives }: Pick<ClusterMap, 'drives'>): MapDrive[] {
  return drives.filter(({ state, isVacated }) => state !== 'active' && !isVacated)
}

/** From this decision on no row comes to name the drive, unless it is taken back. */
export function closeDrive(driveId: number): Change {
  return (state) => {
    const drive = state.map.drives.find(({ id }) => id === driveId)
    if (drive === undefined || drive.state === 'active' || drive.closedEpoch !== undefined)
      return undefined
    return editDrive(state, driveId, (found) => ({ ...found, closedEpoch: state.epoch + 1 }))
  }
}

/** Nothing names a drive any more since this closing of it. */
export function vacateClosed(driveId: number, closedEpoch: number): Change {
  return (state) => {
    const drive = state.map.drives.find(({ id }) => id === driveId)
    if (drive?.closedEpoch !== closedEpoch || drive.isVacated) return undefined
    return editDrive(state, driveId, (found) => ({ ...found, isVacated: true }))
  }
}

/**
 * Whether nothing names a closed drive any more: of every partition there is a count without a row, made by who leads it
 * still, and no replica of it is on the drive. What is not known of only one of them keeps the drive.
 */
export function isUnnamed(
  { id, closedEpoch }: Pick<MapDrive, 'id' | 'closedEpoch'>,
  { map, recordOf, counts }: DepartureFacts,
): boolean {
  if (closedEpoch === undefined) return false
  const own = counts.filter((count) => count.driveId === id && count.closedEpoch === closedEpoch)
  for (let partition = 0; partition < map.metaPartitionCount; partition += 1) {
    const record = recordOf(partition)
    if (record?.primary === undefined || holdsReplica(record, id)) return false
    const count = own.find((one) => one.partition === partition && one.epoch === record.epoch)
    if (count?.rows !== 0) return false
  }
  return true
}

/** Whether a replica of the partition is on the drive, or was in the set that still counts. */
export function holdsReplica(
  { primary, replicas, previous = [] }: PartitionRecord,
  driveId: number,
): boolean {
  const all = [...replicas, ...previous, ...(primary ? [primary] : [])]
  return all.some((replica) => replica.driveId === driveId)
}
