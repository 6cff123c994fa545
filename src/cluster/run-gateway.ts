// What a gateway of a cluster does once it has etcd and ways to the nodes: the store that it serves, and the chores that any
// gateway does. Sockets are of gateway.ts; a simulation has a network of its own.
import type { GatewayConfig } from '../config-cluster.ts'
import { openKeyProvider } from '../embedded/encryption-keys.ts'
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import { repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import { abortRegularly } from '../objects/abandoned-uploads.ts'
import { watchUploads } from '../objects/metrics.ts'
import { LeftDeletions } from '../objects/shared-buckets.ts'
import type { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import { NodeRegistry } from '../placement/etcd/node-registry.ts'
import { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { createBuckets } from '../serve-s3.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'
import { remotePartitions } from '../storage-node/rpc/remote-partition.ts'
import { nodesOfMap, startPulse } from './chores.ts'
import { ClockWatch } from './clock-watch.ts'
import { listClusterMetrics } from './cluster-metrics.ts'
import { openClusterStore } from './cluster-store.ts'
import { CutOff } from './cut-off.ts'
import { DamageReports } from './damage-reports.ts'
import { nodesOfDrives } from './drive-nodes.ts'
import { Hearsay } from './hearsay.ts'
import { NodeCare } from './node-care.ts'
import { followOrigins } from './origins.ts'
import { primaryHints } from './primary-hints.ts'
import { waitForMap } from './wait-for-map.ts'

/** What people set of the store that a gateway serves. */
export type RunGatewayOptions = Pick<
  GatewayConfig,
  | 'abandonedUploadMs'
  | 'buckets'
  | 'encryptionKeyFile'
  | 'reducedRedundancyCode'
  | 'region'
  | 'vault'
>

/** What a gateway runs on. */
export interface RunGatewayParts {
  world: World
  log: Log
  registry: Registry
  /** Of each pool of stripes, where it is not what is usual. */
  poolBytes?: number
  coordinator: EtcdCoordinator
  /** The ways to the nodes. */
  openPeers(): NodePeers
}

const LOOK_AT_DELETIONS_MS = 15_000

/** Runs until what is on `opened` is closed. Waits for the first map of a cluster that is being made. Throws Exit. */
export async function runGateway(
  options: RunGatewayOptions,
  parts: RunGatewayParts,
  opened: ClosingStack,
) {
  const { world, log, registry, coordinator } = parts
  await waitForMap(coordinator, parts)
  const ways = openWays({ ...parts, opened })
  const { peers, care, partitions } = ways
  const hearsay = new Hearsay({
    ...{ world, log, peers, mirror: coordinator.mirror },
    nodes: () => nodesOfMap(coordinator),
  })
  opened.defer(() => hearsay.stop())
  await hearsay.look()
  const damage = new DamageReports({ ...parts, clock: world.clock, report: ways.report })
  opened.defer(() => damage.stop())
  const keys = await openKeyProvider(options, { ...parts, opened })
  const store = await openClusterStore(options, {
    ...parts,
    ...{ nodes: peers, care, partitions, keys },
    reportDamage: (report) => damage.add(report),
  })
  const { objects } = store
  const { clock } = world
  await createBuckets(objects, options)
  watchUploads({ objects, registry, clock, log })
  listClusterMetrics({ coordinator, care, registry })
  if (options.abandonedUploadMs !== undefined) {
    const aborting = abortRegularly(options.abandonedUploadMs, { objects, coordinator, clock, log })
    opened.defer(() => aborting.stop())
  }
  const left = new LeftDeletions({ objects, clock, log })
  const ending = repeat('left-deletions', LOOK_AT_DELETIONS_MS, () => left.look(), { clock, log })
  opened.defer(() => ending.stop())
  return { ...ways, store }
}

/** The ways to the nodes, and what is known of them. */
function openWays({
  world,
  log,
  coordinator,
  openPeers,
  opened,
}: RunGatewayParts & { opened: ClosingStack }) {
  const peers = openPeers()
  opened.defer(() => peers.close())
  const { mirror } = coordinator
  const registry = new NodeRegistry(mirror, { world, log })
  const unfollow = followOrigins({ nodes: registry, mirror, peers, log })
  opened.defer(async () => unfollow())
  const pulse = startPulse({ world, log, coordinator, peers }, opened)
  const care = new NodeCare({ world, log, coordinator, pulse })
  opened.defer(() => care.stop())
  const clocks = new ClockWatch({
    ...{ world, log, nodes: () => nodesOfMap(coordinator) },
    askClock: async (id, deadlineMs) => await peers.askClock?.(id, deadlineMs),
  })
  opened.defer(() => clocks.stop())
  const cutOff = new CutOff({
    ...{ world, log, care, registry },
    nodes: () => nodesOfMap(coordinator),
  })
  opened.defer(() => cutOff.stop())
  const records = new PartitionRecords(mirror, world)
  const primaries = primaryHints(records, nodesOfDrives(coordinator))
  const { metaPartitionCount } = coordinator.state.map
  const remote = remotePartitions(metaPartitionCount, { primaries, transport: peers, world })
  opened.defer(async () => remote.close())
  const { partitions, report } = remote
  return { peers, care, clocks, cutOff, registry, records, partitions, report }
}
