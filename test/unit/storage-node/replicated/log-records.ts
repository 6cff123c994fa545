// Records in the logs of a cluster of replicas, for tests that damage some of them.
import {
  parseLogFileName,
  readSealedFile,
  type WholeRecord,
} from '../../../../src/storage-node/metalog/scan-file.ts'
import { put, ReplicaCluster } from './replica-cluster.ts'

/** Where they lie on the drive of each node. */
export const LOG = '/drive/metalog'

/** Records on the drive of a node, in their order. */
export function recordsOf(
  cluster: ReplicaCluster,
  node: number,
): (WholeRecord & { path: string })[] {
  const { disk } = cluster.node(node).machine
  return disk.files(LOG).flatMap((path) => {
    const { salt } = parseLogFileName(path.slice(LOG.length + 1))!
    return readSealedFile(disk.bytesOf(path), salt).map((record) => ({ ...record, path }))
  })
}

/** A partition on three nodes with entries that put `k0`, `k1` and so on, each durable before the next one. */
export async function written(partition: number, count: number): Promise<ReplicaCluster> {
  const cluster = await ReplicaCluster.make(3)
  await cluster.found(partition, [1, 2, 3])
  await cluster.until('a partition is served', () => cluster.reignOf(partition) !== undefined)
  for (let write = 0; write < count; write += 1) {
    const appended = cluster.reignOf(partition)!.log.append(put(`k${write}`, `${write}`))
    await cluster.settle()
    await appended
  }
  return cluster
}
