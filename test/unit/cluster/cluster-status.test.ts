// What a gateway says of a whole cluster: what its nodes tell of their drives is part of its health.
import t from 'tap'
import { type ClusterStatusParts, openClusterApi } from '../../../src/cluster/cluster-status.ts'
import { NO_STATUS } from '../../../src/cluster/upkeep-status.ts'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { MatrixId } from '../../../src/kit/erasure-code.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { buildMap } from '../../../src/placement/build-map.ts'
import type { ClusterMap } from '../../../src/placement/cluster-map.ts'
import {
  type DescribedDrive,
  encodeDrivesOfNode,
} from '../../../src/storage-node/rpc/drive-messages.ts'
import { MessageType } from '../../../src/storage-node/rpc/messages.ts'
import { encodeUpkeepStatus } from '../../../src/storage-node/rpc/upkeep-messages.ts'

await prepareDigests()

const CODE = { dataCount: 1, parityCount: 2, matrix: MatrixId.CentredVandermonde }
const NODES = ['a', 'b', 'c'].map((letter) => letter.repeat(16))

/** Three nodes with a drive each, of which they tell this, and that have read every byte. */
function openStatus(told: Omit<DescribedDrive, 'driveId' | 'path'>[]) {
  const drives = NODES.map((nodeId, at): ClusterMap['drives'][number] => ({
    ...{ id: at + 1, uuid: `u${at}`, weight: 10, state: 'active', nodeId },
  }))
  const map = buildMap(drives, CODE, '1', { partitionCount: 64, metaPartitionCount: 3 })
  const replicas = [1, 2, 3].map((driveId) => ({ driveId, incarnation: `${driveId}`.repeat(16) }))
  const state = {
    ...{ clusterId: 'c', epoch: 1, map, metaPartitions: [], buckets: {} },
    ...{ nextBucketId: 1, nextDriveId: 4, cluster: { nodesExpected: 3, secret: '00' } },
  }
  const moves = { phase: 'idle', movedShards: 0, movedBytes: 0, anewBlobs: 0 } as const
  const none = { remainingShards: 0, remainingBytes: 0, remainingAnew: 0 }
  const ask = async (nodeId: string, { type }: { type: number }): Promise<Uint8Array> => {
    const at = NODES.indexOf(nodeId)
    if (type === MessageType.AskUpkeep)
      return encodeUpkeepStatus({
        ...{ ...NO_STATUS, partitions: [at], complete: true, lastVerifiedMs: 1 },
      })
    const described = { driveId: at + 1, path: '/d', ...told[at] }
    const node = { epoch: 1, drives: [described], leaving: [], counts: [] }
    return encodeDrivesOfNode({ ...node, moves: { ...moves, ...none } })
  }
  const parts = {
    coordinator: { state, standing: { kind: 'current' } },
    registry: { list: () => [] },
    peers: { ask },
    records: { get: (at: number) => ({ epoch: 1, id: 'x', primary: replicas[at], replicas }) },
    ...{ care: { nodesAway: [] }, clocks: {}, cutOff: { isCutOff: false } },
    store: { node: {}, objects: {}, reducedCode: () => CODE },
    ...{ partitions: [], reducedCode: undefined, world: realWorld(), log: silentLog },
  }
  return openClusterApi(parts as unknown as ClusterStatusParts)
}

t.test('a cluster with failed and full drives is degraded', async (t) => {
  const well = { freeBytes: 5, totalBytes: 9, level: 'ample' } as const
  t.match(await openStatus([well, well, well]).clusterStatus(), { health: 'healthy', reasons: [] })
  const full = { freeBytes: 0, totalBytes: 9, level: 'read-only' } as const
  t.match(await openStatus([full, full, { failure: 'EIO' }]).clusterStatus(), {
    health: 'degraded',
    reasons: [
      '1 of 3 drives is not in service (drive 3: EIO).',
      '2 of 3 drives are full and take no new data: 1, 2.',
    ],
  })
})
