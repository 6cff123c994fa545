// Drives that their node does not serve: the map is told, nobody takes them back but their node, and they come back with their
// directory.
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { initCluster } from '../../../src/cluster/init.ts'
import { NodeDriveService } from '../../../src/cluster/node-drive-service.ts'
import { type NodeStorage, openNodeStorage } from '../../../src/cluster/node-storage.ts'
import { listUnserved } from '../../../src/cluster/unserved-drives.ts'
import { ClosingStack } from '../../../src/kit/closing-stack.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { Registry } from '../../../src/kit/metrics.ts'
import type { Clock } from '../../../src/kit/world.ts'
import { markOut, moveDrive } from '../../../src/placement/coordinator-changes.ts'
import { EtcdCoordinator } from '../../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../../src/placement/etcd/etcd-client.ts'
import { drivesToTakeBack, SILENT_REASON } from '../../../src/placement/silent-nodes.ts'
import { encodeDrivesOfNode } from '../../../src/storage-node/rpc/drive-messages.ts'
import { openEtcdInMemory } from '../../support/etcd-in-memory.ts'

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

const HOME = { nodeId: '0123456789abcdef' }
const NO_REPLICAS = { addDrive: async () => {}, driveFailed: async () => {} }

interface StartedNode extends NodeStorage {
  service: NodeDriveService
  stop(): Promise<void>
}

/** A node of a cluster, started again and again over its directories. */
async function openNode(t: Test) {
  const place = await mkdtemp(join(tmpdir(), 'unserved-'))
  t.teardown(() => rm(place, { recursive: true, force: true }))
  const { endpoint, world } = await openEtcdInMemory()
  const where = { endpoints: [endpoint], prefix: '/test/' }
  const etcd = new EtcdClient(where, world)
  await initCluster({ etcd: where, nodeCount: 2, allowsUnsafeLayout: false }, { etcd, world })
  const coordinator = await EtcdCoordinator.open(
    { prefix: where.prefix },
    { etcd, world, log: silentLog },
  )
  t.teardown(() => coordinator.close())
  const others = new Map<string, () => Promise<Uint8Array>>()
  const ask = async (nodeId: string): Promise<Uint8Array> => {
    const answer = others.get(nodeId)
    if (answer === undefined) throw new Error('nobody is there')
    return await answer()
  }
  const start = async (...names: string[]): Promise<StartedNode> => {
    const parts = { world, log: silentLog, registry: new Registry(), coordinator }
    const opened = new ClosingStack()
    const paths = names.map((name) => join(place, name))
    const storage = await openNodeStorage(paths, HOME, parts, opened)
    t.teardown(() => opened.close())
    await storage.serve(NO_REPLICAS)
    const hurried: Clock = {
      now: () => world.clock.now(),
      monotonicMs: () => world.clock.monotonicMs(),
      sleep: (ms, signal) => world.clock.sleep(Math.min(ms, 20), signal),
    }
    const service = new NodeDriveService({
      ...{ ...parts, world: { ...world, clock: hurried }, storage, home: HOME },
      ...{ peers: { ask }, moves: () => undefined, counts: () => [] },
    })
    service.watch(opened)
    return { ...storage, service, stop: () => opened.close() }
  }
  const find = (id: number) => coordinator.state.map.drives.find((drive) => drive.id === id)
  return { place, coordinator, start, find, others }
}

t.test('a drive that is not there at the start is out, and back with its directory', async (t) => {
  const { place, coordinator, start, find } = await openNode(t)
  const first = await start('one', 'two')
  t.match([find(1)?.state, find(2)?.state], ['active', 'active'])
  await first.stop()
  t.match(find(2)?.state, 'active', 'a node that ends says nothing of its drives')
  await rename(join(place, 'two'), join(place, 'pulled'))
  for (const id of [1, 2]) await coordinator.decide(markOut(id, SILENT_REASON))

  await start('one', 'two')
  t.match(find(1), { state: 'active' })
  t.match(find(2), { state: 'out', reason: 'its directory is missing' })
  t.same(
    drivesToTakeBack(coordinator.state.map, () => true),
    [],
    'that its node answers does not bring it back',
  )
  await rename(join(place, 'pulled'), join(place, 'two'))
  for (let round = 0; round < 1_000 && find(2)?.state === 'out'; round += 1) await sleep(10)
  t.match(find(2), { state: 'active', path: join(place, 'two') })
})

t.test('a drive whose directory is not given is looked for where it was last', async (t) => {
  const { place, coordinator, start, find } = await openNode(t)
  const first = await start('one', 'two')
  await first.stop()
  const second = await start('one')
  t.match(find(2), { state: 'active' })
  t.same(
    second.drives.list().map(({ id }) => id),
    [1, 2],
  )
  const { drives } = await second.service.describe()
  t.ok(drives.every(({ level }) => level !== undefined) && drives.length === 2, 'how full it is')
  await second.stop()
  await rename(join(place, 'two'), join(place, 'pulled'))
  await (await start('one')).stop()
  t.match(find(2), { state: 'out', reason: 'it is not where it was last' })
  await start('one', 'pulled')
  t.match(find(2), { state: 'active', path: join(place, 'pulled') })
  await coordinator.decide(moveDrive(2, { nodeId: 'another', path: '/x' }))
  const own = { ...HOME, live: [], leftOut: new Map([[1, new Error('it burns')]]) }
  t.match(
    listUnserved(coordinator.state.map, own).map(({ id, failure }) => [id, String(failure)]),
    [[1, /it burns/]],
    'what moved to another node is none of ours',
  )
})

t.test('a drive that another node serves is not taken back from a copy', async (t) => {
  const { place, coordinator, start, find, others } = await openNode(t)
  await (await start('one', 'two')).stop()
  const other = 'f'.repeat(16)
  await rename(join(place, 'two'), join(place, 'copy'))
  await coordinator.decide(moveDrive(2, { nodeId: other, path: '/there' }))
  const { service } = await start('one')
  others.set(other, async () =>
    encodeDrivesOfNode({
      ...{ epoch: 1, leaving: [], counts: [], drives: [{ driveId: 2, path: '/there' }] },
      moves: { phase: 'idle', movedShards: 0, movedBytes: 0, anewBlobs: 0 },
    }),
  )
  const path = join(place, 'copy')
  const refused = await service.enter({ kind: 'add', path })
  t.match(refused, { kind: 'refused', sentence: /copy is a copy of drive 2, which node f+ serves/ })
  t.match(find(2), { nodeId: other, path: '/there' })
  others.delete(other)
  t.match(await service.enter({ kind: 'add', path }), { kind: 'done' })
  t.match(find(2), { ...HOME, path }, 'its disks were moved')
})
