// A cluster in one process: an etcd in memory, nodes that serve shards and lead partitions in memory over real sockets
// on loopback. Gateways and whoever else is tested talk to them as to any node.
import type { Test } from 'tap'
import { NO_STATUS } from '../../src/cluster/upkeep-status.ts'
import { prepareDigests } from '../../src/digest/digest.ts'
import { silentLog } from '../../src/kit/log.ts'
import type { World } from '../../src/kit/world.ts'
import type { MetadataPartition } from '../../src/metadata/contract.ts'
import { openPartition } from '../../src/metadata/partition.ts'
import type { MapDrive } from '../../src/placement/cluster-map.ts'
import type { ClusterState } from '../../src/placement/coordinator.ts'
import { EtcdCoordinator } from '../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../src/placement/etcd/etcd-client.ts'
import { NodeRegistry } from '../../src/placement/etcd/node-registry.ts'
import { PartitionRecords } from '../../src/placement/etcd/partition-records.ts'
import { emptyClusterMap, firstClusterMap } from '../../src/placement/first-map.ts'
import { NodeServer } from '../../src/storage-node/rpc/node-server.ts'
import type { NodeService } from '../../src/storage-node/rpc/node-service.ts'
import { PartitionService } from '../../src/storage-node/rpc/partition-service.ts'
import { answerPings, joinServices } from '../../src/storage-node/rpc/peers.ts'
import { ShardService } from '../../src/storage-node/rpc/shard-service.ts'
import type { BlobReport } from '../../src/storage-node/rpc/upkeep-messages.ts'
import { UpkeepService } from '../../src/storage-node/rpc/upkeep-service.ts'
import { MemoryLog } from '../unit/metadata/memory-log.ts'
import { MemoryNode } from '../unit/objects/memory-store.ts'
import { openEtcdInMemory } from './etcd-in-memory.ts'
import { TEST_KEYS } from './server.ts'
import type { SimulatedEtcd } from './simulated-etcd.ts'

const SECRET = Buffer.alloc(32, 'the secret of the small cluster')
const COUNTS = { partitionCount: 64, metaPartitionCount: 8 }

/** One node, and what a test does to it. */
export interface SmallNode {
  id: string
  /** Its only drive. */
  driveId: number
  shards: MemoryNode
  /** It takes requests and answers none until the function is called. */
  hang(): () => void
  /** Nobody listens there any more. */
  stop(): Promise<void>
}

export interface SmallCluster {
  world: World
  etcd: SimulatedEtcd
  endpoint: string
  coordinator: EtcdCoordinator
  nodes: readonly SmallNode[]
  partitions: readonly MetadataPartition[]
  /** What nodes were told of blobs of partitions that they lead. */
  reports: { node: string; partition: number; report: BlobReport }[]
}

/** Nodes with one drive each; node number p modulo their count leads partition p. */
export async function openSmallCluster(t: Test, nodeCount = 6): Promise<SmallCluster> {
  await prepareDigests()
  const { world, etcd, endpoint } = await openEtcdInMemory()
  const client = new EtcdClient({ endpoints: [endpoint] }, world)
  const parts = { world, log: silentLog, etcd: client }
  const drives = Array.from({ length: nodeCount }, (_, index) => newDrive(index + 1))
  await EtcdCoordinator.create(firstState(drives), parts)
  const coordinator = await EtcdCoordinator.open({}, parts)
  t.teardown(() => coordinator.close())
  await coordinator.decide(firstClusterMap())
  const partitions = await openPartitions(world)
  const records = new PartitionRecords(coordinator.mirror, world)
  for (const { id } of partitions) {
    const primary = { driveId: drives[id % nodeCount]!.id, incarnation: `i${id}` }
    await records.change(id, () => ({ epoch: 2, primary, replicas: [primary] }))
  }
  const registry = new NodeRegistry(coordinator.mirror, parts)
  const reports: SmallCluster['reports'] = []
  const nodes = await Promise.all(
    drives.map(async ({ id: driveId, nodeId }, index) => {
      const led = partitions.filter(({ id }) => id % nodeCount === index)
      const { origin, node } = await startNode(t, { id: nodeId!, driveId, led, reports }, world)
      return { origin, node }
    }),
  )
  for (const { origin, node } of nodes) {
    await registry.register({ id: node.id, address: origin, protocol: 1, bootId: 'b' })
  }
  const started = nodes.map(({ node }) => node)
  return { world, etcd, endpoint, coordinator, partitions, nodes: started, reports }
}

function newDrive(id: number): MapDrive {
  const nodeId = id.toString(16).padStart(16, '0')
  return { id, uuid: `drive-${id}`, weight: 1, state: 'active', nodeId }
}

function firstState(drives: MapDrive[]): Omit<ClusterState, 'epoch'> {
  return {
    clusterId: 'small',
    map: { ...emptyClusterMap('42', COUNTS), drives },
    metaPartitions: [],
    buckets: {},
    nextBucketId: 1,
    nextDriveId: drives.length + 1,
    rootCredentials: TEST_KEYS,
    cluster: {
      nodesExpected: drives.length,
      secret: SECRET.toString('hex'),
      allowsUnsafeLayout: true,
    },
  }
}

function openPartitions({ clock }: World): Promise<MetadataPartition[]> {
  const garbage = { graceMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }
  const ids = Array.from({ length: COUNTS.metaPartitionCount }, (_, id) => id)
  return Promise.all(
    ids.map((id) => openPartition({ id, garbage }, { log: new MemoryLog(), clock })),
  )
}

interface NodeToStart {
  id: string
  driveId: number
  led: readonly MetadataPartition[]
  reports: SmallCluster['reports']
}

async function startNode(
  t: Test,
  { id, driveId, led, reports }: NodeToStart,
  world: World,
): Promise<{ origin: string; node: SmallNode }> {
  const shards = new MemoryNode()
  const shardService = new ShardService(shards, { clock: world.clock, log: silentLog })
  const partitionParts = {
    findLed: (partition: number) => led.find((one) => one.id === partition),
    primaries: { primaryOf: () => undefined },
  }
  const partitionService = new PartitionService({
    ...partitionParts,
    clock: world.clock,
    log: silentLog,
  })
  const upkeepService = new UpkeepService({
    ...partitionParts,
    upkeep: {
      take: (partition, report) => reports.push({ node: id, partition, report }),
      judge: async (_partition, { length }) => Array(length).fill('undecided'),
      status: () => NO_STATUS,
      healNow: () => 1,
    },
  })
  const services = [shardService, partitionService, upkeepService, answerPings(world.clock)]
  let gate: Promise<void> | undefined
  const service = behind(() => gate, joinServices(services))
  const identity = { clusterId: 'small', nodeId: id, secrets: () => [SECRET] }
  const server = new NodeServer({ identity }, { world, log: silentLog, service })
  const { port } = await server.listen({ address: '127.0.0.1', port: 0 })
  const stop = async (): Promise<void> => {
    await server.close({ deadlineMs: 0 })
    await shardService.close()
  }
  t.teardown(stop)
  const hang = (): (() => void) => {
    let open = (): void => {}
    gate = new Promise((resolve) => {
      open = resolve
    })
    return () => {
      gate = undefined
      open()
    }
  }
  return { origin: `http://127.0.0.1:${port}`, node: { id, driveId, shards, hang, stop } }
}

/** The same service, which waits for a gate before everything. */
function behind(gate: () => Promise<void> | undefined, service: NodeService): NodeService {
  return {
    messages: new Map(
      [...service.messages].map(([type, handle]) => [
        type,
        async (body, context) => {
          await gate()
          return await handle(body, context)
        },
      ]),
    ),
    streams: new Map(
      [...service.streams].map(([path, handle]) => [
        path,
        async (context) => {
          await gate()
          await handle(context)
        },
      ]),
    ),
  }
}
