// Replicas on real drives, which speak over real connections: a partition begins, serves, moves and goes on after a stop.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import { replicaIdOf } from '../../../../src/metadata/replication/replica-id.ts'
import { firstRecord, type PartitionRecord } from '../../../../src/placement/etcd/leadership.ts'
import type { PartitionRecords } from '../../../../src/placement/etcd/partition-records.ts'
import { Drive } from '../../../../src/storage-node/drive.ts'
import { DRIVE_FORMAT, formatDrive } from '../../../../src/storage-node/drive-format.ts'
import type { Reigning } from '../../../../src/storage-node/replicated/contract.ts'
import { Founder } from '../../../../src/storage-node/replicated/founder.ts'
import { PeerTransport } from '../../../../src/storage-node/replicated/peer-transport.ts'
import { RecordDecisions } from '../../../../src/storage-node/replicated/record-decisions.ts'
import { ReplicaHost } from '../../../../src/storage-node/replicated/replica-host.ts'
import { ReplicaService } from '../../../../src/storage-node/replicated/replica-service.ts'
import { Peers } from '../../../../src/storage-node/rpc/peers.ts'
import { identityOf, startNode } from '../../../support/node-pair.ts'
import { testWorld } from '../metadata-testbed.ts'
import { put, read } from './replica-cluster.ts'

const PARTITIONS = 2
const world = realWorld()
const patience = testWorld()

/** Records that everybody sees at once. */
class RecordsInMemory implements Pick<PartitionRecords, 'get' | 'watch' | 'change'> {
  readonly #records = new Map<number, PartitionRecord>()
  readonly #listeners = new Set<(partition: number, record: PartitionRecord) => void>()
  #changes = 0

  get(partition: number): PartitionRecord | undefined {
    return this.#records.get(partition)
  }

  watch(listener: (partition: number, record: PartitionRecord) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async change(
    partition: number,
    change: Parameters<PartitionRecords['change']>[1],
  ): ReturnType<PartitionRecords['change']> {
    const found = this.get(partition)
    const next = change(found)
    if (next === undefined) return { kind: 'unchanged', found }
    this.#changes += 1
    const record = { ...next, id: `${this.#changes}` }
    this.#records.set(partition, record)
    for (const listener of this.#listeners) listener(partition, record)
    return { kind: 'changed', record }
  }
}

interface Node {
  host: ReplicaHost
  reigns: Map<number, Reigning>
  stop(): Promise<void>
}

/** Nodes n1 to n4; node i has drive i. */
async function startNodes(t: Test, count: number) {
  const root = await mkdtemp(join(tmpdir(), 'kintsugi-replicas-'))
  const records = new RecordsInMemory()
  const origins = new Map<string, string>()
  const allPeers: Peers[] = []
  const nodes = new Map<number, Node>()
  t.teardown(async () => {
    for (const node of nodes.values()) await node.stop()
    await rm(root, { recursive: true })
  })
  const start = async (id: number): Promise<void> => {
    const node = await startOne(t, id, { root, records, allPeers })
    origins.set(`n${id}`, node.origin)
    await Promise.all(allPeers.map((peers) => peers.setOrigins(origins)))
    nodes.set(id, node)
  }
  for (let id = 1; id <= count; id += 1) {
    const path = join(root, `drive${id}`)
    await mkdir(path)
    const marker = { clusterId: 'test', driveId: id, uuid: `u${id}`, createdMs: 1 }
    await formatDrive(world, path, { format: DRIVE_FORMAT, ...marker })
    await start(id)
  }
  return { records, nodes, start }
}

async function startOne(
  t: Test,
  id: number,
  parts: { root: string; records: RecordsInMemory; allPeers: Peers[] },
): Promise<Node & { origin: string }> {
  const { root, records, allPeers } = parts
  const marker = { clusterId: 'test', driveId: id, uuid: `u${id}`, createdMs: 1 }
  const drive = await Drive.open(world, join(root, `drive${id}`), {
    ...{ format: DRIVE_FORMAT, ...marker },
  })
  const identity = identityOf(`n${id}`)
  const peers = new Peers({ identity }, world)
  allPeers.push(peers)
  const log = silentLog
  const nodeOf = (driveId: number): string => `n${driveId}`
  const transport = new PeerTransport({ world, log, peers, nodeOf })
  const decisions = new RecordDecisions(records)
  const host = await ReplicaHost.open(
    { drives: new Map([[id, drive]]) },
    { world, log, decisions, transport },
  )
  transport.hear((message) => host.receive(message))
  const service = new ReplicaService({ host, world, transport })
  const { origin, server } = await startNode(t, service, { identity })
  const founder = new Founder({
    ...{ world, log, records, host, transport, partitionCount: () => PARTITIONS },
  })
  const reigns = new Map<number, Reigning>()
  host.onReign((reign) => reigns.set(reign.partition, reign))
  host.start()
  founder.start()
  const stop = async (): Promise<void> => {
    await founder.close()
    await host.close()
    service.close()
    await server.close({ deadlineMs: 0 })
    allPeers.splice(allPeers.indexOf(peers), 1)
    await peers.close()
    await drive.close()
  }
  return { host, reigns, stop, origin }
}

function reignOf(nodes: ReadonlyMap<number, Node>, partition: number): Reigning | undefined {
  const reigns = [...nodes.values()].flatMap(({ reigns }) => reigns.get(partition) ?? [])
  return reigns.find(({ ended }) => !ended.aborted)
}

/** Time passes faster here: it is not waited for a primary that was stopped. */
async function until<T>(
  what: string,
  nodes: ReadonlyMap<number, Node>,
  found: () => T | undefined,
): Promise<T> {
  for (let round = 0; round < 600; round += 1) {
    const value = found()
    if (value !== undefined) return value
    for (const { host } of nodes.values()) host.tick()
    await patience.clock.sleep(50)
  }
  throw new Error(`it does not come: ${what}`)
}

t.test('partitions begin once all replicas are there, serve, and go on after a stop', async (t) => {
  const { records, nodes, start } = await startNodes(t, 3)
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const replicas = [1, 2, 3].map((driveId) => {
      return { driveId, incarnation: `${partition}${driveId}`.padStart(16, '0') }
    })
    await records.change(partition, () => firstRecord(replicas, 1))
  }
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const reign = await until('a reign', nodes, () => reignOf(nodes, partition))
    const writes = Array.from({ length: 500 }, (_, at) =>
      reign.log.append(put(`k${at}`, `${partition} ${at}`)),
    )
    const positions = await Promise.all(writes)
    t.same(
      positions.map(({ sequence }) => sequence),
      positions.map((_, at) => positions[0]!.sequence + at),
    )
    t.equal(await read(reign, 'k499'), `${partition} 499`)
  }
  const first = [...nodes].find(([, { reigns }]) => reigns.has(0))![0]
  await nodes.get(first)!.stop()
  nodes.delete(first)
  const reign = await until('another reign', nodes, () => reignOf(nodes, 0))
  t.equal(await read(reign, 'k123'), '0 123')
  const { sequence } = await reign.log.append(put('k123', 'new'))
  await start(first)
  await until('it follows', nodes, () => {
    const mine = nodes
      .get(first)!
      .host.replicas()
      .find(({ partition }) => partition === 0)
    return mine && mine.applied >= sequence ? mine : undefined
  })
})

t.test('a replica is made on another node, which copies rows', async (t) => {
  const { records, nodes } = await startNodes(t, 4)
  const replicas = [1, 2, 3].map((driveId) => ({ driveId, incarnation: `${driveId}`.repeat(16) }))
  await records.change(0, () => firstRecord(replicas, 1))
  const reign = await until('a reign', nodes, () => reignOf(nodes, 0))
  for (let round = 0; round < 4; round += 1) {
    const writes = Array.from({ length: 500 }, (_, at) =>
      reign.log.append(put(`k${round} ${at}`, 'x'.repeat(1000))),
    )
    await Promise.all(writes)
  }
  const leader = [...nodes.values()].find(({ reigns }) => reigns.get(0) === reign)!
  const [one, two] = records.get(0)!.replicas.map(replicaIdOf)
  const four = await leader.host.make(4, 0)
  t.equal(await leader.host.make(4, 0), four, 'once')
  await until('it is there', nodes, () => {
    for (const { reigns } of nodes.values()) reigns.get(0)?.want([one!, two!, four])
    const record = records.get(0)!
    const drives = record.replicas.map(({ driveId }) => driveId).sort()
    return record.previous === undefined && drives.join() === '1,2,4' ? record : undefined
  })
  const now = await until('a reign', nodes, () => reignOf(nodes, 0))
  const { sequence } = await now.log.append(put('last', '1'))
  await until('the new one has all', nodes, () => {
    const mine = nodes.get(4)!.host.replicas()[0]
    return mine && mine.applied >= sequence ? mine : undefined
  })
  await nodes.get(1)!.stop()
  nodes.delete(1)
  const last = await until('a reign of the others', nodes, () => reignOf(nodes, 0))
  t.equal(await read(last, 'k0 0'), 'x'.repeat(1000))
  t.equal(await read(last, 'last'), '1')
})

t.test(
  'after etcd was restored those who live lead again, and nobody takes the name of a lost one',
  async (t) => {
    const { records, nodes } = await startNodes(t, 3)
    const replicas = [1, 2, 3].map((driveId) => ({ driveId, incarnation: `${driveId}`.repeat(16) }))
    await records.change(0, () => firstRecord(replicas, 1))
    const reign = await until('a reign', nodes, () => reignOf(nodes, 0))
    await reign.log.append(put('k', 'v'))
    const lost = { driveId: 3, incarnation: 'f'.repeat(16) }
    await records.change(0, (found) => {
      if (found === undefined) return undefined
      const left = found.replicas.filter(({ driveId }) => driveId !== 3)
      const epoch = found.epoch + 2 ** 32
      return { epoch, replicas: [...left, lost], restoredFrom: found.epoch }
    })
    const again = await until('another reign', nodes, () =>
      [...nodes.values()].flatMap(({ reigns }) => reigns.get(0) ?? []).find((one) => one !== reign),
    )
    t.equal(await read(again, 'k'), 'v')
    const there = [...nodes.values()].flatMap(({ host }) => host.replicas())
    t.same(
      there.filter(({ replica }) => replica === replicaIdOf(lost)),
      [],
    )
    t.notOk(records.get(0)?.restoredFrom)
  },
)
