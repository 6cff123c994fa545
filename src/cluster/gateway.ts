// A gateway of a cluster: S3 on a port, everything else on the nodes. It keeps nothing but what it last knew of etcd, so
// that any of them serves every key, and starts while etcd is away.
import type { GatewayConfig } from '../config-cluster.ts'
import { prepareDigests } from '../digest/digest.ts'
import { openKeyProvider } from '../embedded/encryption-keys.ts'
import { Exit } from '../exit.ts'
import { asBuffer } from '../kit/bytes.ts'
import { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import { repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import { abortRegularly } from '../objects/abandoned-uploads.ts'
import { watchUploads } from '../objects/metrics.ts'
import { LeftDeletions } from '../objects/shared-buckets.ts'
import { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import { NodeRegistry } from '../placement/etcd/node-registry.ts'
import { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { createBuckets, serveS3 } from '../serve-s3.ts'
import { Peers } from '../storage-node/rpc/peers.ts'
import { remotePartitions } from '../storage-node/rpc/remote-partition.ts'
import { listClusterMetrics } from './cluster-metrics.ts'
import { type ClusterReadiness, readinessOfCluster } from './cluster-readiness.ts'
import { openClusterApi } from './cluster-status.ts'
import { openClusterStore } from './cluster-store.ts'
import { nodesOfDrives } from './drive-nodes.ts'
import { openEtcd, readTlsFiles } from './etcd.ts'
import { identityIn } from './identity.ts'
import { NodeCare } from './node-care.ts'
import { NodePulse } from './node-pulse.ts'
import { followOrigins } from './origins.ts'
import { primaryHints } from './primary-hints.ts'
import { waitForMap } from './wait-for-map.ts'

/** What the outside of a gateway is made of. */
export interface GatewayParts {
  world: World
  log: Log
  registry: Registry
  /** Of each pool of stripes, where it is not what is usual. */
  poolBytes?: number
}

const LOOK_AT_DELETIONS_MS = 15_000

/** A gateway that serves. */
export interface ClusterGateway {
  endpoint: string
  clusterId: string
  readiness(): ClusterReadiness
  close(options: { deadlineMs: number }): Promise<void>
}

/** Opens it; waits for the first map of a cluster that is being made. Throws Exit with a sentence. */
export async function openClusterGateway(
  config: GatewayConfig,
  parts: GatewayParts,
): Promise<ClusterGateway> {
  await prepareDigests()
  const opened = new ClosingStack()
  return await opened.guard(() => openAll(config, parts, opened))
}

async function openAll(
  config: GatewayConfig,
  parts: GatewayParts,
  opened: ClosingStack,
): Promise<ClusterGateway> {
  const { world, log, registry } = parts
  const coordinator = await openCoordinator(config, parts)
  opened.defer(() => coordinator.close())
  await waitForMap(coordinator, parts)
  const ways = await openWays(config, coordinator, { ...parts, opened })
  const { peers, care, partitions } = ways
  const keys = await openKeyProvider(config, { ...parts, coordinator, opened })
  const store = await openClusterStore(config, {
    ...parts,
    ...{ coordinator, nodes: peers, care, partitions, keys },
  })
  const { objects } = store
  const { clock } = world
  await createBuckets(objects, config)
  watchUploads({ objects, registry, clock, log })
  listClusterMetrics({ coordinator, care, registry })
  if (config.abandonedUploadMs !== undefined) {
    const aborting = abortRegularly(config.abandonedUploadMs, { objects, coordinator, clock, log })
    opened.defer(() => aborting.stop())
  }
  const left = new LeftDeletions({ objects, clock, log })
  const ending = repeat('left-deletions', LOOK_AT_DELETIONS_MS, () => left.look(), { clock, log })
  opened.defer(() => ending.stop())
  const credentials = credentialsOf(config, coordinator)
  const admin = openClusterApi({ ...ways, coordinator, store, clock })
  const served = await serveS3(config, { objects, credentials, admin }, { ...parts, opened })
  return {
    endpoint: served.endpoint,
    clusterId: coordinator.state.clusterId,
    readiness: () => readinessOfCluster(coordinator, care),
    close: async ({ deadlineMs }) => {
      await served.close({ deadlineMs })
      await opened.close()
    },
  }
}

/** Throws Exit when there is no cluster, or nobody knows. */
async function openCoordinator(
  { etcd, stateDirectory }: GatewayConfig,
  { world, log }: GatewayParts,
): Promise<EtcdCoordinator> {
  if (stateDirectory !== undefined) await makeStateDirectory(stateDirectory, world)
  const options = {
    prefix: etcd.prefix,
    ...(stateDirectory === undefined ? {} : { directory: stateDirectory }),
  }
  try {
    return await EtcdCoordinator.open(options, { world, log, etcd: await openEtcd(etcd, world) })
  } catch (error) {
    if ((error as { code?: string }).code !== 'COORDINATOR_UNAVAILABLE') throw error
    const sentence = `etcd at ${etcd.endpoints.join(', ')}: ${(error as Error).message}.`
    throw new Exit(1, sentence, { cause: error })
  }
}

async function makeStateDirectory(path: string, { disk }: Pick<World, 'disk'>): Promise<void> {
  if ((await disk.stat(path))?.kind === 'directory') return
  try {
    await disk.makeDirectory(path)
  } catch (error) {
    const sentence = `--state ${path} can not be made: ${(error as Error).message}.`
    throw new Exit(2, sentence, { cause: error })
  }
}

/** The ways to the nodes, and what is known of them. */
async function openWays(
  config: GatewayConfig,
  coordinator: EtcdCoordinator,
  { world, log, opened }: GatewayParts & { opened: ClosingStack },
) {
  const tls = config.nodeTls && (await readTlsFiles(config.nodeTls, world))
  const identity = identityIn(coordinator, newGatewayId(world))
  const peers = new Peers({ identity, ...(tls ? { tls } : {}) }, world)
  opened.defer(() => peers.close())
  const { mirror } = coordinator
  const registry = new NodeRegistry(mirror, { world, log })
  const unfollow = followOrigins({ nodes: registry, mirror, peers })
  opened.defer(async () => unfollow())
  const ping = (nodeId: string, deadlineMs: number): Promise<void> => peers.ping(nodeId, deadlineMs)
  const inMap = (): string[] => [
    ...new Set(coordinator.state.map.drives.flatMap(({ nodeId: id }) => id ?? [])),
  ]
  const pulse = new NodePulse({ world, log, nodes: inMap, ping })
  pulse.start()
  opened.defer(() => pulse.stop())
  const care = new NodeCare({ world, log, coordinator, pulse })
  opened.defer(() => care.stop())
  const records = new PartitionRecords(mirror, world)
  const primaries = primaryHints(records, nodesOfDrives(coordinator))
  const { metaPartitionCount } = coordinator.state.map
  const remote = remotePartitions(metaPartitionCount, { primaries, transport: peers, world })
  opened.defer(async () => remote.close())
  return { peers, care, registry, records, partitions: remote.partitions }
}

/** As a node has one; gateways are not registered, and take another with every start. */
function newGatewayId({ random }: Pick<World, 'random'>): string {
  return asBuffer(random.bytes(8)).toString('hex')
}

function credentialsOf(
  { rootCredentials }: GatewayConfig,
  { state }: Pick<EtcdCoordinator, 'state'>,
): { accessKeyId: string; secretAccessKey: string } {
  const credentials = rootCredentials ?? state.rootCredentials
  if (credentials !== undefined) return credentials
  throw new Exit(
    2,
    'the cluster has no root key: set KINTSUGI_ROOT_ACCESS_KEY_ID and KINTSUGI_ROOT_SECRET_ACCESS_KEY.',
  )
}
