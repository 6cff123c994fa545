// Dumps of metadata in a cluster: on which nodes they lie, what they hold, and when those go that a node has no use for.
import t from 'tap'
import { type NodeDumpParts, planOfNode } from '../../../src/cluster/node-dumps.ts'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { parseReplicaId } from '../../../src/metadata/replication/replica-id.ts'
import type { MapDrive } from '../../../src/placement/cluster-map.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import { dumpNodes } from '../../../src/placement/dump-nodes.ts'
import { emptyClusterMap } from '../../../src/placement/first-map.ts'
import { type FoundDump, findDumps, readDump } from '../../../src/storage-node/dump/dump-files.ts'
import { MetadataDumps } from '../../../src/storage-node/dump/metadata-dumps.ts'
import type { ReplicaTransport } from '../../../src/storage-node/replicated/contract.ts'
import { put, ReplicaCluster } from '../storage-node/replicated/replica-cluster.ts'

const CODE = { dataCount: 2, parityCount: 1, matrix: 1 } as ClusterState['map']['code']
const P = 1

function stateOf(nodeCount: number, drivesOfEach = 1): ClusterState {
  const drives = Array.from({ length: nodeCount * drivesOfEach }, (_, index): MapDrive => {
    const id = index + 1
    return { id, uuid: `u${id}`, weight: 1, state: 'active', nodeId: `n${(index % nodeCount) + 1}` }
  })
  const counts = { partitionCount: 4, metaPartitionCount: 2 }
  const map = { ...emptyClusterMap('42', counts), code: CODE, drives }
  const [clusterId, epoch] = ['test', 1]
  return { clusterId, epoch, map, metaPartitions: [], buckets: {}, nextBucketId: 1, nextDriveId: 9 }
}

t.test('nodes without a replica come first, each the same for all who ask', async (t) => {
  await prepareDigests()
  const { map } = stateOf(6)
  for (let partition = 0; partition < 50; partition += 1) {
    const { nodes, copiesOfEach } = dumpNodes(map, partition, [1, 2, 3])
    t.equal(copiesOfEach, 1)
    t.equal(nodes.length, 2, 'one more than may be lost')
    t.ok(nodes.every((node) => ['n4', 'n5', 'n6'].includes(node)))
  }
  const used = Array.from({ length: 50 }, (_, p) => dumpNodes(map, p, [1, 2, 3]).nodes).flat()
  t.equal(new Set(used).size, 3, 'spread over all of them')
  const few = dumpNodes(map, 0, [1, 2, 3, 4, 5])
  t.equal(few.nodes[0], 'n6')
  t.equal(few.nodes.length, 2, 'those with a replica, where others are too few')
  const alone = stateOf(1, 3)
  t.same(dumpNodes(alone.map, 0, [1]), { nodes: ['n1'], copiesOfEach: 2 })
  const away = map.drives.map((drive) =>
    drive.id < 5 ? drive : { ...drive, state: 'out' as const },
  )
  t.equal(dumpNodes({ ...map, drives: away }, 0, [1, 2, 3]).nodes[0], 'n4', 'not on what is out')
})

type Rows = Map<string, string>

interface DumpingNode {
  dumps: MetadataDumps
  found(): Promise<{ partition: number; rows: Rows }[]>
  /** How far the clock of the node is ahead. */
  ahead: { ms: number }
}

const EVERY_MS = 100_000

/** Nodes with one drive each; the partition has replicas on the first three. */
async function openCluster(
  nodeCount: number,
): Promise<{ cluster: ReplicaCluster; state: ClusterState; nodes: DumpingNode[] }> {
  const cluster = await ReplicaCluster.make(nodeCount)
  await cluster.found(P, [1, 2, 3])
  await cluster.until('it is served', () => cluster.reignOf(P) !== undefined)
  const state = stateOf(nodeCount)
  const transport: Pick<ReplicaTransport, 'copyRows'> = {
    copyRows: (source, partition, signal) =>
      cluster.host(parseReplicaId(source)!.driveId).serveRows(source, partition, signal),
  }
  const { clock, decisions } = cluster
  const bornMs = clock.now() - 10 * EVERY_MS
  const found = async (id: number): ReturnType<typeof findDumps> =>
    await findDumps([cluster.node(id).life!.drive], cluster.node(id).machine.world)
  const ask = async (node: string, partition: number): Promise<FoundDump[]> => {
    const id = Number(node.slice(1))
    if (cluster.cut.has(id)) throw new Error('it does not answer')
    return (await found(id)).filter((dump) => dump.partition === partition)
  }
  const recovery: NodeDumpParts['recovery'] = {
    dumps: async (node, partition) => (await ask(node, partition)).map(({ takenMs }) => takenMs),
    async *readDump(node, partition, takenMs) {
      const dump = (await ask(node, partition)).find((one) => one.takenMs === takenMs)
      for await (const chunk of readDump(dump!, cluster.node(Number(node.slice(1))).machine.world))
        if (chunk.kind === 'head') yield { position: chunk.head.position, rows: [] }
    },
  }
  const nodes = Array.from({ length: nodeCount }, (_, index): DumpingNode => {
    const { machine, life } = cluster.node(index + 1)
    const ahead = { ms: 0 }
    const world = {
      ...machine.world,
      clock: {
        now: () => clock.now() + ahead.ms,
        monotonicMs: () => clock.monotonicMs(),
        sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal),
      },
    }
    const shared = { coordinator: { state }, decisions, transport, recovery }
    const parts = { world, log: silentLog, ...shared }
    const plan = planOfNode({ ...parts, nodeId: `n${index + 1}`, host: life!.host })
    const only = { ...plan, partitions: () => [...plan.partitions()].filter((id) => id === P) }
    const drives = () => [life!.drive]
    const dumps = new MetadataDumps({ everyMs: EVERY_MS, bornMs }, { ...parts, plan: only, drives })
    const foundHere = async () => await readAll(await findDumps(drives(), world), world)
    return { dumps, found: foundHere, ahead }
  })
  return { cluster, state, nodes }
}

async function readAll(
  dumps: Awaited<ReturnType<typeof findDumps>>,
  world: Parameters<typeof readDump>[1],
): Promise<{ partition: number; rows: Rows }[]> {
  const all: { partition: number; rows: Rows }[] = []
  for (const dump of dumps) {
    const rows: Rows = new Map()
    for await (const chunk of readDump(dump, world)) {
      if (chunk.kind !== 'rows') continue
      for (const { key, value } of chunk.rows)
        rows.set(Buffer.from(key).toString(), Buffer.from(value).toString())
    }
    all.push({ partition: dump.partition, rows })
  }
  return all
}

const { signal } = new AbortController()

t.test('a dump holds the rows of whoever leads, here or on another node', async (t) => {
  const { cluster, nodes } = await openCluster(4)
  const wanted: Rows = new Map()
  for (let key = 0; key < 30; key += 1) {
    wanted.set(`k${key}`, `${key}`)
    await cluster.wait(cluster.reignOf(P)!.log.append(put(`k${key}`, `${key}`)))
  }
  for (const { dumps } of nodes) await cluster.wait(dumps.takeDue(signal))
  const found = await Promise.all(nodes.map((node) => node.found()))
  t.same(
    found[3]!.map(({ rows }) => rows),
    [wanted],
    'the node without a replica has one',
  )
  t.equal(found.flat().length, 2, 'one more than may be lost')
  for (const { rows } of found.flat()) t.same(rows, wanted)
  t.equal(nodes[3]!.dumps.ageMs() !== undefined, true)
  await cluster.close()
})

t.test('without a leader no dump is taken, and none is lost', async (t) => {
  const { cluster, state, nodes } = await openCluster(5)
  const [, , , fourth, fifth] = nodes
  await cluster.wait(cluster.reignOf(P)!.log.append(put('a', '1')))
  for (const { dumps } of [fourth!, fifth!]) await cluster.wait(dumps.takeDue(signal))
  t.equal((await fifth!.found()).length, 1)
  // Another node takes the place of the fifth.
  state.map.drives[4] = { ...state.map.drives[4]!, state: 'draining' }
  await cluster.wait(fifth!.dumps.takeDue(signal))
  t.equal((await fifth!.found()).length, 1, 'what was taken stays for now')
  for (const id of [1, 2, 3]) await cluster.stop(id)
  await cluster.step((3 * EVERY_MS) / 500)
  await cluster.wait(fourth!.dumps.takeDue(signal))
  await cluster.wait(fifth!.dumps.takeDue(signal))
  t.equal((await fourth!.found()).length, 1)
  t.equal((await fifth!.found()).length, 1, 'it may be the last: nobody serves the partition')
  for (const id of [1, 2, 3]) await cluster.start(id)
  await cluster.until('it is served', () => cluster.reignOf(P) !== undefined)
  await cluster.wait(fifth!.dumps.takeDue(signal))
  t.equal((await fifth!.found()).length, 1, 'the partition lives, yet nobody has a newer one')
  await cluster.wait(fourth!.dumps.takeDue(signal))
  t.equal((await fourth!.found()).length, 2)
  cluster.cut.add(4)
  await cluster.wait(fifth!.dumps.takeDue(signal))
  t.equal((await fifth!.found()).length, 1, 'nobody can say that they have')
  cluster.cut.clear()
  await cluster.wait(fifth!.dumps.takeDue(signal))
  t.equal((await fifth!.found()).length, 0, 'others have newer ones')
  await cluster.close()
})

t.test('which dump is the newer one is told by the log, not by clocks of nodes', async (t) => {
  const { cluster, state, nodes } = await openCluster(5)
  const [, , , fourth, fifth] = nodes
  await cluster.wait(cluster.reignOf(P)!.log.append(put('a', '1')))
  // Its clock is a year ahead, then set right.
  fourth!.ahead.ms = 365 * 24 * 3_600_000
  await cluster.wait(fourth!.dumps.takeDue(signal))
  fourth!.ahead.ms = 0
  await cluster.wait(cluster.reignOf(P)!.log.append(put('b', '2')))
  await cluster.wait(fifth!.dumps.takeDue(signal))
  state.map.drives[4] = { ...state.map.drives[4]!, state: 'draining' }
  await cluster.step((3 * EVERY_MS) / 500)
  await cluster.wait(fifth!.dumps.takeDue(signal))
  t.equal((await fifth!.found()).length, 1, 'the other one has a later time, and fewer rows')
  await cluster.wait(fourth!.dumps.takeDue(signal))
  t.equal((await fourth!.found()).length, 2, 'and is not taken for new by its own node')
  await cluster.wait(cluster.reignOf(P)!.log.append(put('c', '3')))
  await cluster.step((1.5 * EVERY_MS) / 500)
  await cluster.wait(fourth!.dumps.takeDue(signal))
  await cluster.wait(fifth!.dumps.takeDue(signal))
  t.equal((await fifth!.found()).length, 0)
  await cluster.close()
})
