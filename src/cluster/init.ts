// Makes a cluster in etcd: its id, its secret, its root key, and a map without drives, to which nodes add theirs.

import type { ClusterInitConfig } from '../config-cluster.ts'
import { prepareDigests } from '../digest/prepare.ts'
import { makeCredentials } from '../embedded/new-credentials.ts'
import { asBuffer } from '../kit/bytes.ts'
import { MatrixId } from '../kit/erasure-code.ts'
import type { World } from '../kit/world.ts'
import type { ClusterState } from '../placement/coordinator.ts'
import { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import type { EtcdClient } from '../placement/etcd/etcd-client.ts'
import { emptyClusterMap } from '../placement/first-map.ts'
import type { JoinToken } from './join-token.ts'
import { makeTokens } from './tokens.ts'

/** A cluster that has no node yet. */
export interface MadeCluster {
  clusterId: string
  credentials: { accessKeyId: string; secretAccessKey: string }
  tokens: readonly JoinToken[]
}

const SECRET_BYTES = 32

/** Rejects with CoordinatorUnavailable where there is a cluster under this prefix already, and with what etcd gives. */
export async function initCluster(
  config: ClusterInitConfig,
  parts: { etcd: EtcdClient; world: Pick<World, 'clock' | 'disk' | 'random'> },
): Promise<MadeCluster> {
  await prepareDigests()
  const { endpoints, prefix } = config.etcd
  const credentials = config.rootCredentials ?? makeCredentials(parts.world)
  const first = { ...firstState(config, parts.world), rootCredentials: credentials }
  await EtcdCoordinator.create(first, { prefix, ...parts })
  const { clusterId } = first
  const where = { endpoints, prefix, clusterId }
  return { clusterId, credentials, tokens: await makeTokens(config.nodeCount, where, parts) }
}

function firstState(
  { nodeCount, code, allowsUnsafeLayout }: ClusterInitConfig,
  { random }: Pick<World, 'random'>,
): Omit<ClusterState, 'epoch'> {
  const seed = asBuffer(random.bytes(8)).readBigUInt64BE(0).toString()
  return {
    clusterId: hex(random, 16),
    map: emptyClusterMap(seed),
    metaPartitions: [],
    buckets: {},
    nextBucketId: 1,
    nextDriveId: 1,
    cluster: {
      nodesExpected: nodeCount,
      ...(code ? { code: { ...code, matrix: MatrixId.CentredVandermonde } } : {}),
      secret: hex(random, SECRET_BYTES),
      ...(allowsUnsafeLayout ? { allowsUnsafeLayout } : {}),
    },
  }
}

function hex(random: World['random'], bytes: number): string {
  return asBuffer(random.bytes(bytes)).toString('hex')
}
