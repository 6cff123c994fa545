// Which node leads a partition, by what was last heard of etcd: whom to ask first. The node that is asked knows better.
import type { PartitionRecords } from '../placement/etcd/partition-records.ts'
import type { PrimaryHints } from '../storage-node/rpc/partition-seams.ts'

/** `nodeOf`: the node of a drive. */
export function primaryHints(
  records: Pick<PartitionRecords, 'get' | 'watch'>,
  nodeOf: (driveId: number) => string | undefined,
): PrimaryHints {
  // Records are read for every request and change with elections only.
  const drives = new Map<number, number | undefined>()
  const driveOf = (partition: number): number | undefined => {
    if (!drives.has(partition)) drives.set(partition, records.get(partition)?.primary?.driveId)
    return drives.get(partition)
  }
  const listeners = new Set<(partition: number) => void>()
  records.watch((partition) => {
    drives.delete(partition)
    for (const listener of listeners) listener(partition)
  })
  return {
    primaryOf: (partition) => {
      const driveId = driveOf(partition)
      return driveId === undefined ? undefined : nodeOf(driveId)
    },
    replicasOf: (partition) => {
      const replicas = records.get(partition)?.replicas ?? []
      return replicas.flatMap(({ driveId }) => nodeOf(driveId) ?? [])
    },
    watch: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
