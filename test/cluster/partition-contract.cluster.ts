// What holds of a partition holds of one that is asked over the network: the same tests, with the wire between.

import type { MetadataPartition } from '../../src/metadata/contract.ts'
import { remotePartitions } from '../../src/storage-node/rpc/remote-partition.ts'
import { PATIENT_WORLD, PartitionNodes } from '../support/partition-nodes.ts'
import { reachPartitions } from '../unit/metadata/partition-fixture.ts'

reachPartitions((partition: MetadataPartition) => {
  const nodes = new PartitionNodes()
  nodes.add('n1', () => partition)
  nodes.setPrimary(0, 'n1')
  const parts = { primaries: nodes, transport: nodes, world: PATIENT_WORLD }
  const { partitions } = remotePartitions(1, parts)
  return {
    ...partitions[0]!,
    tally: partition.tally,
    forgetExpired: () => partition.forgetExpired(),
    owedAfter: (...of: Parameters<MetadataPartition['owedAfter']>) => partition.owedAfter(...of),
    countOwed: () => partition.countOwed(),
    garbageAfter: (...of: Parameters<MetadataPartition['garbageAfter']>) =>
      partition.garbageAfter(...of),
    judgeBlobs: (...of: Parameters<MetadataPartition['judgeBlobs']>) => partition.judgeBlobs(...of),
  }
})

await import('../unit/metadata/commands/objects.test.ts')
await import('../unit/metadata/commands/annotate.test.ts')
await import('../unit/metadata/commands/append-object.test.ts')
await import('../unit/metadata/commands/buckets.test.ts')
await import('../unit/metadata/commands/complete-claims.test.ts')
await import('../unit/metadata/commands/edit-version.test.ts')
await import('../unit/metadata/commands/locks.test.ts')
await import('../unit/metadata/commands/move-blob.test.ts')
await import('../unit/metadata/commands/replace-blob.test.ts')
await import('../unit/metadata/commands/versions.test.ts')
await import('../unit/metadata/scan.test.ts')
