// A small cluster as it is shipped, in one process: nodes with drives in a temporary directory, real sockets on loopback, etcd in
// memory, and a gateway that is asked over S3. Nodes are stopped and started again over what they have.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { type ClusterGateway, openClusterGateway } from '../../src/cluster/gateway.ts'
import { identityIn } from '../../src/cluster/identity.ts'
import { type RunningNode, runNode } from '../../src/cluster/run-node.ts'
import { loadGatewayConfig } from '../../src/config-cluster.ts'
import { prepareDigests } from '../../src/digest/digest.ts'
import { mebibytes } from '../../src/kit/bytes.ts'
import { ClosingStack } from '../../src/kit/closing-stack.ts'
import { MatrixId } from '../../src/kit/erasure-code.ts'
import { silentLog } from '../../src/kit/log.ts'
import { Registry } from '../../src/kit/metrics.ts'
import type { World } from '../../src/kit/world.ts'
import { EtcdCoordinator } from '../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../src/placement/etcd/etcd-client.ts'
import { emptyClusterMap } from '../../src/placement/first-map.ts'
import { NodeServer } from '../../src/storage-node/rpc/node-server.ts'
import { Peers } from '../../src/storage-node/rpc/peers.ts'
import { openEtcdInMemory } from './etcd-in-memory.ts'
import { S3Client } from './s3.ts'
import { TEST_KEYS } from './server.ts'

const COUNTS = { partitionCount: 16, metaPartitionCount: 2 }
/** Dumps are due soon after the start, and again and again. */
const DUMP_PERIOD_MS = 60_000

/** A cluster for one test. */
export interface ShippedNodes {
  world: World
  endpoint: string
  coordinator: EtcdCoordinator
  gateway: ClusterGateway
  /** Asks it. */
  client: S3Client
  /** By id, those that run. */
  running: ReadonlyMap<string, RunningNode>
  ids: readonly string[]
  /** The only drive of a node. */
  driveOf(id: string): string
  start(id: string): Promise<void>
  stop(id: string): Promise<void>
}

/** Nodes with one drive each, of a 2+1 cluster that serves. */
export async function openShippedNodes(t: Test, nodeCount: number): Promise<ShippedNodes> {
  await prepareDigests()
  const place = await mkdtemp(join(tmpdir(), 'shipped-'))
  t.teardown(() => rm(place, { recursive: true, force: true }))
  const { world, endpoint } = await openEtcdInMemory()
  const openCoordinator = (): Promise<EtcdCoordinator> => {
    const etcd = new EtcdClient({ endpoints: [endpoint] }, world)
    return EtcdCoordinator.open({}, { world, log: silentLog, etcd })
  }
  await makeCluster(nodeCount, endpoint, world)
  const coordinator = await openCoordinator()
  t.teardown(() => coordinator.close())
  const ids = Array.from({ length: nodeCount }, (_, index) => nodeId(index + 1))
  const driveOf = (id: string): string => join(place, id)
  const nodes = new Map<string, { node: RunningNode; opened: ClosingStack }>()
  const running = new Map<string, RunningNode>()
  const start = async (id: string): Promise<void> => {
    const opened = new ClosingStack()
    const own = await openCoordinator()
    opened.defer(() => own.close())
    const node = await opened.guard(() =>
      runOne(id, driveOf(id), { world, coordinator: own, opened }),
    )
    nodes.set(id, { node, opened })
    running.set(id, node)
  }
  const stop = async (id: string): Promise<void> => {
    const found = nodes.get(id)
    nodes.delete(id)
    running.delete(id)
    await found?.opened.close()
  }
  t.teardown(() => Promise.all(ids.map(stop)))
  for (const id of ids) await start(id)
  const { client, gateway } = await openGateway(endpoint, world)
  t.teardown(async () => {
    client.close()
    await gateway.close({ deadlineMs: 1_000 })
  })
  return { world, endpoint, coordinator, gateway, client, running, ids, driveOf, start, stop }
}

/** Asks until the answer is as wanted; the bound only ends a test that would fail. */
export async function until<T>(ask: () => Promise<T>, wanted: (found: T) => boolean): Promise<T> {
  let found = await ask()
  for (let round = 0; round < 2_000 && !wanted(found); round += 1) {
    await sleep(50)
    found = await ask()
  }
  if (!wanted(found)) throw new Error(`it never came to that: ${JSON.stringify(found)}`)
  return found
}

function nodeId(number: number): string {
  return number.toString(16).padStart(16, '0')
}

async function makeCluster(nodesExpected: number, endpoint: string, world: World): Promise<void> {
  const etcd = new EtcdClient({ endpoints: [endpoint] }, world)
  const code = { dataCount: 2, parityCount: 1, matrix: MatrixId.CentredVandermonde }
  const first = {
    ...{ clusterId: 'shipped', map: emptyClusterMap('42', COUNTS), metaPartitions: [] },
    ...{ buckets: {}, nextBucketId: 1, nextDriveId: 1, rootCredentials: TEST_KEYS },
    cluster: { nodesExpected, code, secret: '17'.repeat(32), allowsUnsafeLayout: true as const },
  }
  await EtcdCoordinator.create(first, { world, etcd })
}

async function runOne(
  id: string,
  directory: string,
  {
    world,
    coordinator,
    opened,
  }: { world: World; coordinator: EtcdCoordinator; opened: ClosingStack },
): Promise<RunningNode> {
  const identity = identityIn(coordinator, id)
  const log = silentLog
  return await runNode(
    {
      directories: [directory],
      ...{ garbageGraceMs: 0, mendDelayMs: 0, scrubPeriodMs: 1e12, dumpPeriodMs: DUMP_PERIOD_MS },
    },
    {
      ...{ world, log, coordinator, nodeId: id, registry: new Registry() },
      tuning: { space: { ballastBytes: 0 }, poolBytes: mebibytes(3) },
      openPeers: () => new Peers({ identity }, world),
      listen: async (service) => {
        const server = new NodeServer({ identity }, { world, log, service })
        opened.defer(() => server.close({ deadlineMs: 0 }))
        const { port } = await server.listen({ address: '127.0.0.1', port: 0 })
        return `http://127.0.0.1:${port}`
      },
    },
    opened,
  )
}

async function openGateway(
  endpoint: string,
  world: World,
): Promise<{ client: S3Client; gateway: ClusterGateway }> {
  const sources = { directories: [], options: { etcd: endpoint, port: '0' }, environment: {} }
  const config = await loadGatewayConfig({ ...sources, readFile: async () => '' })
  const parts = { world, log: silentLog, registry: new Registry(), poolBytes: mebibytes(8) }
  const gateway = await openClusterGateway(config, parts)
  return { client: new S3Client(gateway.endpoint), gateway }
}
