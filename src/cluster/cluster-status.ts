// How a cluster stands, as far as a gateway knows: from the map, from etcd as it was last read, and from who answers.
import { inspectObject } from '../embedded/inspect-object.ts'
import type { HealingStatus, OrphansReleased } from '../gateway/admin-api.ts'
import type {
  ClusterApi,
  ClusterDriveStatus,
  ClusterNodeStatus,
  ClusterPartitionStatus,
  ClusterStatus,
} from '../gateway/cluster-api.ts'
import { nameCode } from '../kit/erasure-code.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import { type MapDrive, metaPartitionIds, nodeIdsOf } from '../placement/cluster-map.ts'
import { releaseOrphans } from '../placement/coordinator-changes.ts'
import type { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import { hasMajority } from '../placement/etcd/leadership.ts'
import type { NodeRegistry } from '../placement/etcd/node-registry.ts'
import type { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { replicaCountFor } from '../placement/replica-drives.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'
import type { ClockWatch } from './clock-watch.ts'
import { type ClusterDriveParts, ClusterDrives } from './cluster-drives.ts'
import { beginClusterHeal, clusterHealing } from './cluster-healing.ts'
import { judgeCluster, sayDrives, sayPartitions } from './cluster-health.ts'
import { readinessOfCluster } from './cluster-readiness.ts'
import type { ClusterStore } from './cluster-store.ts'
import type { CutOff } from './cut-off.ts'
import { type Described, describeNodes, detailsOf, sumMoves } from './described-drives.ts'
import { drivesThere } from './drive-nodes.ts'
import { viewMap } from './map-view.ts'
import type { NodeCare } from './node-care.ts'

/** What the answers are made of. */
export interface ClusterStatusParts {
  coordinator: Pick<EtcdCoordinator, 'state' | 'standing' | 'decide' | 'watch'>
  registry: Pick<NodeRegistry, 'list' | 'forget' | 'hints'>
  peers: Pick<NodePeers, 'ask'>
  records: Pick<PartitionRecords, 'get'>
  care: Pick<NodeCare, 'nodesAway'>
  clocks: Pick<ClockWatch, 'sentence'>
  cutOff: Pick<CutOff, 'isCutOff'>
  store: ClusterStore
  partitions: ClusterDriveParts['partitions']
  reducedCode: ClusterDriveParts['reducedCode']
  world: Pick<World, 'clock'>
  log: Log
}

/** What the root of a cluster can ask of a gateway. */
export function openClusterApi(outside: ClusterStatusParts): ClusterApi {
  const { coordinator, store, world } = outside
  const { clock } = world
  const parts = { ...outside, clock }
  const storage = { node: store.node, coordinator, drives: { find: () => undefined } }
  const drives = new ClusterDrives(parts)
  const inspecting = { storage, objects: store.objects, clock }
  return {
    clusterStatus: async () => {
      const [{ healing, described }, hints] = await Promise.all([lookNow(parts), hintsNow(parts)])
      return clusterStatusOf({ healing, described, hints }, parts)
    },
    inspect: (request, signal) => inspectObject(request, inspecting, signal),
    healing: async () => (await lookNow(parts)).healing,
    beginHeal: () => beginClusterHeal(parts),
    releaseOrphans: () => letOrphansGo(coordinator),
    map: async ({ withTable }) => {
      const described = await describeNodes(parts)
      return viewMap({
        ...{ state: coordinator.state, withTable, moving: sumMoves(described, coordinator.state) },
        recordOf: (partition) => parts.records.get(partition),
        detailsOf: (drive) => detailsOf(drive, described, parts),
      })
    },
    ...{ drives, nodes: drives.nodes },
  }
}

async function letOrphansGo(
  coordinator: Pick<EtcdCoordinator, 'state' | 'decide'>,
): Promise<OrphansReleased> {
  const { orphanHold } = coordinator.state
  if (orphanHold === undefined) return {}
  await coordinator.decide(releaseOrphans())
  return { heldSinceMs: orphanHold.sinceMs }
}

/** What the nodes say now. */
interface Look {
  healing: HealingStatus
  described: Described
}

async function lookNow(
  parts: Parameters<typeof clusterHealing>[0] & Parameters<typeof describeNodes>[0],
): Promise<Look> {
  const [healing, described] = await Promise.all([clusterHealing(parts), describeNodes(parts)])
  const moves = sumMoves(described, parts.coordinator.state)
  return { healing: { ...healing, ...(moves === undefined ? {} : { moves }) }, described }
}

/** Whom etcd hears, where that is asked: of nodes that do not answer. */
async function hintsNow({
  care,
  registry,
}: Pick<ClusterStatusParts, 'care' | 'registry'>): Promise<Hints> {
  if (care.nodesAway.length === 0) return undefined
  // That etcd is away is in its standing.
  return await registry.hints().catch(() => undefined)
}

/** Ids of nodes; undefined where nobody knows. */
type Hints = ReadonlySet<string> | undefined

function clusterStatusOf(
  { healing, described, hints }: Look & { hints: Hints },
  parts: ClusterStatusParts,
): ClusterStatus {
  const { coordinator, care, store } = parts
  const { clusterId, map } = coordinator.state
  const partitions = partitionsOf(parts)
  const replicas = replicaCountFor(map)
  const degraded = [
    ...readinessOfCluster(parts).degraded,
    ...sayDrives(map, described),
    ...sayPartitions(partitions, { replicas }),
  ]
  return {
    kind: 'cluster',
    ...judgeCluster(degraded, healing),
    ...{ clusterId, healing },
    code: nameCode(map.code),
    reducedCode: nameCode(store.reducedCode()),
    etcd: coordinator.standing,
    nodes: nodesOf(parts, { partitions, hints }),
    drives: map.drives.map((drive) => describeDrive(drive, care)),
    ...{ replicas, partitions },
  }
}

function partitionsOf(parts: ClusterStatusParts): ClusterPartitionStatus[] {
  const { coordinator, records, care } = parts
  const isThere = drivesThere(coordinator.state.map, care.nodesAway)
  return metaPartitionIds(coordinator.state.map).map((id) => {
    const { epoch = 0, primary, replicas = [], previous } = records.get(id) ?? {}
    return {
      ...{ id, epoch },
      ...(primary ? { primary: primary.driveId } : {}),
      isLed: primary !== undefined && isThere(primary.driveId),
      replicas: replicas.map(({ driveId }) => driveId),
      there: replicas.filter(({ driveId }) => isThere(driveId)).length,
      hasMajority: hasMajority({ replicas, ...(previous ? { previous } : {}) }, isThere),
      isChanging: previous !== undefined,
    }
  })
}

function nodesOf(
  { coordinator, registry, care }: ClusterStatusParts,
  { partitions, hints }: { partitions: readonly ClusterPartitionStatus[]; hints: Hints },
): ClusterNodeStatus[] {
  const { drives } = coordinator.state.map
  const registered = new Map(registry.list().map((node) => [node.id, node]))
  const ids = new Set([...registered.keys(), ...nodeIdsOf(drives)])
  const away = new Set(care.nodesAway)
  return [...ids].sort().map((id) => {
    const own = drives.filter(({ nodeId }) => nodeId === id)
    const ownIds = new Set(own.map((drive) => drive.id))
    const zone = own[0]?.zone ?? registered.get(id)?.zone
    const address = registered.get(id)?.address
    return {
      id,
      ...(zone === undefined ? {} : { zone }),
      ...(address === undefined ? {} : { address }),
      ...(own.length === 0 ? {} : { answers: !away.has(id) }),
      ...(hints !== undefined && away.has(id) ? { isHeardByEtcd: hints.has(id) } : {}),
      drives: own.filter(({ state }) => state !== 'out').length,
      leads: partitions.filter(({ primary }) => primary !== undefined && ownIds.has(primary))
        .length,
    }
  })
}

function describeDrive(
  drive: MapDrive,
  { nodesAway }: ClusterStatusParts['care'],
): ClusterDriveStatus {
  const { id, nodeId = '', state, reason, weight, isLeaving } = drive
  return {
    ...{ id, state, weight, isLeaving: isLeaving === true, answers: !nodesAway.includes(nodeId) },
    ...(nodeId === '' ? {} : { nodeId }),
    ...(reason === undefined ? {} : { reason }),
  }
}
