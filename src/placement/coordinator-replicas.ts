// Which drives hold the replicas of a metadata partition: spread evenly, never two on one drive. Pure.
import { asBuffer } from '../kit/bytes.ts'
import type { World } from '../kit/world.ts'
import { type ClusterMap, metaPartitionIds } from './cluster-map.ts'
import type { MetaPartitionState, Replica } from './coordinator.ts'

/** A name for a new replica that no other ever had: 16 hex digits. */
export function newIncarnation(random: World['random']): string {
  return asBuffer(random.bytes(8)).toString('hex')
}

/** The first replicas of a partition: `count` of them, or as many as there are active drives. */
export function chooseReplicas(
  map: ClusterMap,
  partitionId: number,
  count: number,
  random: World['random'],
): Replica[] {
  const drives = activeDrives(map)
  const width = Math.min(count, drives.length)
  return Array.from({ length: width }, (_, index) => ({
    driveId: drives[(partitionId + index) % drives.length]!,
    incarnation: newIncarnation(random),
  }))
}

/** All metadata partitions of a new cluster. Epoch 0 says that none was ever started: empty is right. */
export function newMetaPartitions(
  map: ClusterMap,
  count: number,
  random: World['random'],
): MetaPartitionState[] {
  return metaPartitionIds(map).map((id) => ({
    epoch: 0,
    inSync: chooseReplicas(map, id, count, random),
  }))
}

/** The drive for one more replica: an active one that has none of this partition and the fewest of all. */
export function chooseReplacement(
  map: ClusterMap,
  partitions: readonly MetaPartitionState[],
  partitionId: number,
  usable: (driveId: number) => boolean,
): number | undefined {
  const taken = new Set(partitions[partitionId]!.inSync.map(({ driveId }) => driveId))
  const load = (driveId: number): number =>
    partitions.filter(({ inSync }) => inSync.some((replica) => replica.driveId === driveId)).length
  const free = activeDrives(map).filter((driveId) => !taken.has(driveId) && usable(driveId))
  return free.sort((left, right) => load(left) - load(right) || left - right)[0]
}

/** Replicas of a partition that lie on drives which are to be emptied. */
export function leavingReplicas(
  { drives }: ClusterMap,
  { inSync }: Pick<MetaPartitionState, 'inSync'>,
): Replica[] {
  const leaving = new Set(drives.filter(({ isLeaving }) => isLeaving).map(({ id }) => id))
  return inSync.filter(({ driveId }) => leaving.has(driveId))
}

function activeDrives(map: ClusterMap): number[] {
  return map.drives
    .filter(({ state }) => state === 'active')
    .map(({ id }) => id)
    .sort((left, right) => left - right)
}
