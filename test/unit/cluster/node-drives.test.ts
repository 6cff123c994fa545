// Directories of a node: what becomes a drive of the cluster, what is refused, and what the map is told of it all.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { initCluster } from '../../../src/cluster/init.ts'
import {
  enterMap,
  lockNodeDrives,
  markServing,
  type NodeDriveParts,
} from '../../../src/cluster/node-drives.ts'
import { readinessOfNode } from '../../../src/cluster/node-readiness.ts'
import { refuseCopies } from '../../../src/cluster/refuse-copies.ts'
import { listUnserved } from '../../../src/cluster/unserved-drives.ts'
import { openLog, silentLog } from '../../../src/kit/log.ts'
import { markOut } from '../../../src/placement/coordinator-changes.ts'
import { EtcdCoordinator } from '../../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../../src/placement/etcd/etcd-client.ts'
import type { Drive } from '../../../src/storage-node/drive.ts'
import {
  type DescribedDrive,
  encodeDrivesOfNode,
} from '../../../src/storage-node/rpc/drive-messages.ts'
import { openEtcdInMemory } from '../../support/etcd-in-memory.ts'

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

const HOME = { nodeId: '0123456789abcdef', zone: 'a' }

async function openCluster(t: Test) {
  const place = await mkdtemp(join(tmpdir(), 'node-drives-'))
  t.teardown(() => rm(place, { recursive: true, force: true }))
  const { endpoint, world, etcd: server } = await openEtcdInMemory()
  const where = { endpoints: [endpoint], prefix: '/test/' }
  const etcd = new EtcdClient(where, world)
  await initCluster({ etcd: where, nodeCount: 2, allowsUnsafeLayout: false }, { etcd, world })
  const options = { prefix: where.prefix, directory: place }
  const coordinator = await EtcdCoordinator.open(options, { etcd, world, log: silentLog })
  t.teardown(() => coordinator.close())
  const said: string[] = []
  const log = openLog('info', { write: (line) => said.push(line) })
  const parts: NodeDriveParts = { coordinator, world, log }
  const lock = async (...names: string[]): Promise<Drive[]> => {
    const paths = names.map((name) => join(place, name))
    const drives = await lockNodeDrives(paths, HOME, parts)
    t.teardown(() => Promise.all(drives.map((drive) => drive.close())))
    return drives
  }
  return { place, coordinator, world, parts, lock, server, said }
}

t.test('empty directories become drives, and are found again', async (t) => {
  const { coordinator, parts, place, lock } = await openCluster(t)
  const drives = await lock('one', 'two')
  t.same(
    drives.map(({ id }) => id),
    [1, 2],
  )
  t.same(coordinator.state.map.drives, [], 'the map knows nothing of them yet')
  t.same(await enterMap(drives, HOME, parts), [])
  t.match(coordinator.state.map.drives, [
    { id: 1, ...HOME, path: join(place, 'one'), state: 'active' },
    { id: 2, ...HOME, path: join(place, 'two') },
  ])
  const { epoch } = coordinator.state
  await enterMap(drives, HOME, parts)
  t.equal(coordinator.state.epoch, epoch, 'what is known is not decided again')
  await enterMap(drives, { nodeId: HOME.nodeId }, parts)
  t.equal(coordinator.state.map.drives[0]?.zone, undefined, 'the node is in no zone any more')

  await t.rejects(lock('one'), { message: /in use/ }, 'a drive is locked once')
  for (const drive of drives) await drive.close()
  const again = await lock()
  t.same(
    again.map(({ path }) => path),
    [join(place, 'one'), join(place, 'two')],
    'where they were last, when nobody names them',
  )
  await coordinator.decide(markOut(1, 'its node does not answer'))
  await markServing([1, 2], parts)
  t.equal(coordinator.state.map.drives[0]?.state, 'active')
})

t.test('a node that has drives makes no more of them by itself', async (t) => {
  const { parts, lock, server, place, said } = await openCluster(t)
  const [drive] = await lock('one')
  server.mood = 'away'
  await t.rejects(lock('two'), { name: 'CoordinatorUnavailable' }, 'a node that has nothing waits')
  server.mood = 'well'
  await enterMap([drive!], HOME, parts)
  await drive!.close()
  await mkdir(join(place, 'three'))
  for (const mood of ['away', 'well'] as const) {
    server.mood = mood
    said.length = 0
    const [again, ...more] = await lock('one', 'two', 'three')
    t.equal(again?.id, drive!.id)
    t.same(more, [])
    for (const [name, kind] of [
      ['two', 'missing'],
      ['three', 'empty'],
    ]) {
      const path = join(place, name!)
      const sentence = `${path} is ${kind}, and no drive of this node: kintsugi drive add ${path} --node ${HOME.nodeId}`
      t.match(said.join(), sentence)
    }
    await again!.close()
  }
})

t.test('what is no drive of this node is refused', async (t) => {
  const { parts, place, lock } = await openCluster(t)
  await t.rejects(
    lock(),
    { message: /takes the directories/ },
    'nothing is named and nothing known',
  )
  await t.rejects(lock('one', 'one'), { message: /twice/ })
  await mkdir(join(place, 'foreign'))
  await writeFile(join(place, 'foreign', 'letter.txt'), 'of somebody')
  await t.rejects(lock('foreign'), { message: /letter.txt/ })

  const drives = await lock('one')
  await enterMap(drives, HOME, parts)
  for (const drive of drives) await drive.close()
  const other = await openCluster(t)
  const paths = [join(place, 'one')]
  await t.rejects(lockNodeDrives(paths, HOME, other.parts), { message: /another/ })
})

t.test('a missing directory is not made a drive anew, and the map hears of it', async (t) => {
  const { coordinator, parts, place, lock, server } = await openCluster(t)
  const drives = await lock('one', 'two')
  await enterMap(drives, HOME, parts)
  for (const drive of drives) await drive.close()
  const states = (): string[] => coordinator.state.map.drives.map(({ state }) => state)
  await rm(join(place, 'one'), { recursive: true })
  const [other, ...more] = await lock('one', 'two')
  t.equal(other?.id, 2, 'the others serve without it')
  t.same(more, [])
  await other!.close()
  t.same(states(), ['active', 'active'], 'a node that serves says it later')

  await rm(join(place, 'two'), { recursive: true })
  const none = { exitCode: 4, message: /the directory of drive 1, .*one, is missing/ }
  server.mood = 'away'
  await t.rejects(lock('one', 'two'), none, 'whether etcd can be told or not')
  server.mood = 'well'
  t.same(states(), ['active', 'active'])
  await t.rejects(lock('one', 'two', 'three'), none)
  t.match(coordinator.state.map.drives, [
    { state: 'out', reason: /missing/ },
    { state: 'out', reason: /missing/ },
  ])
  t.equal(coordinator.state.nextDriveId, 3)
  await mkdir(join(place, 'three'))
  await mkdir(join(place, 'four'))
  t.same(
    (await lock('one', 'three', 'four')).map(({ id }) => id),
    [3, 4],
    'who has nothing left begins anew with empty disks',
  )
})

t.test('a drive that another process has is not said to be gone', async (t) => {
  const { coordinator, parts, lock } = await openCluster(t)
  await enterMap(await lock('one'), HOME, parts)
  await t.rejects(lock('one'), { exitCode: 3, message: /in use/ })
  t.equal(coordinator.state.map.drives[0]?.state, 'active')
})

t.test('the directory of a removed drive is left alone, and the others are served', async (t) => {
  const { coordinator, parts, lock, place } = await openCluster(t)
  const drives = await lock('one', 'two')
  await enterMap(drives, HOME, parts)
  for (const drive of drives) await drive.close()
  const remove = async (id: number): Promise<void> => {
    await coordinator.decide((state) => {
      const { drives, removed = [] } = state.map
      const left = drives.filter((drive) => drive.id !== id)
      return { ...state, map: { ...state.map, drives: left, removed: [...removed, id] } }
    })
  }
  await remove(1)
  const [left, ...more] = await lock('one', 'two')
  t.equal(left?.id, 2)
  t.same(more, [])
  await left?.close()
  await remove(2)
  const sentence = `${join(place, 'one')} was drive 1, which was removed and never comes back, and so were all others`
  await t.rejects(lock('one', 'two'), { exitCode: 4, message: new RegExp(sentence) })
  await t.rejects(lock('two'), { message: /this node was taken out of the cluster/ })
  parts.hasServed = true
  await t.rejects(
    lock('three'),
    { exitCode: 4, message: /three is missing, and no drive of this node: make it/ },
    'its disk may not be mounted',
  )
  await mkdir(join(place, 'three'))
  const [another] = await lock('two', 'three')
  t.equal(another?.id, 3, 'with an empty directory it is one again')
})

t.test('a drive that the map lacks and never removed stops the node', async (t) => {
  const { coordinator, parts, lock, place } = await openCluster(t)
  const drives = await lock('one', 'two')
  await enterMap(drives, HOME, parts)
  for (const drive of drives) await drive.close()
  await coordinator.decide((state) => {
    const known = state.map.drives.filter(({ id }) => id !== 2)
    return { ...state, map: { ...state.map, drives: known } }
  })
  const { epoch } = coordinator.state
  await t.rejects(lock('one', 'two'), {
    exitCode: 4,
    message: new RegExp(`${join(place, 'two')} is drive 2 .*does not know and never removed`),
  })
  t.equal(coordinator.state.epoch, epoch, 'nothing was decided')
  const [one] = await lock('one')
  t.equal(one?.id, 1, 'and nothing is locked')
})

t.test('a node is ready once the cluster has begun and knows its drives', async (t) => {
  const { coordinator, parts, lock } = await openCluster(t)
  const drives = await lock('one')
  let leftOut = new Map<number, Error>()
  let others = { nodesAway: [] as string[], stuck: 0 }
  const readiness = () => {
    const unserved = listUnserved(coordinator.state.map, { ...HOME, live: drives, leftOut })
    return readinessOfNode({ drives, unserved, ...others }, coordinator)
  }
  t.match(readiness(), { ready: false, degraded: [/0 of 2 nodes/, /not part of the cluster yet/] })
  await enterMap(drives, HOME, parts)
  t.match(readiness(), { ready: false, degraded: [/1 of 2 nodes/] })
  t.equal(readiness().degraded.length, 1)
  drives[0]!.fail(new Error('it burns'))
  t.match(readiness().degraded, [/1 of 2/, /drive 1 failed: it burns/])
  await coordinator.decide((state) => {
    const gone = { ...state.map.drives[0]!, id: 9, uuid: 'u9', path: '/gone' }
    return { ...state, map: { ...state.map, drives: [...state.map.drives, gone] } }
  })
  leftOut = new Map([[9, new Error('it is not where it was last')]])
  t.match(readiness().degraded.at(-1), 'drive 9 at /gone is left out: it is not where it was last')
  others = { nodesAway: ['beef'], stuck: 2 }
  t.match(readiness().degraded.slice(-2), [
    '1 of 1 node does not answer (beef).',
    '2 metadata partitions that this node leads lack a majority of replicas.',
  ])
})

t.test(
  'a copy of a drive that another node serves is refused, one that moved is not',
  async (t) => {
    const { parts, lock } = await openCluster(t)
    const drives = await lock('one')
    await enterMap(drives, HOME, parts)
    const ask = (nodeId: string, answer: () => Promise<Uint8Array>) =>
      refuseCopies(drives, nodeId, { ...parts, peers: { ask: answer }, clock: parts.world.clock })
    const serving = (drive: Partial<DescribedDrive>) => async () =>
      encodeDrivesOfNode({
        ...{ epoch: 1, leaving: [], counts: [] },
        drives: [{ driveId: 1, path: '/there', ...drive }],
        moves: { phase: 'idle', movedShards: 0, movedBytes: 0, anewBlobs: 0 },
      })
    const other = 'f'.repeat(16)
    const refused = { exitCode: 4, message: /one is a copy of drive 1, which node 0.* at \/there/ }
    await t.rejects(ask(other, serving({})), refused)
    await ask(other, serving({ failure: 'it is gone' }))
    await ask(other, serving({ driveId: 2 }))
    await ask(other, async () => {
      throw new Error('nobody is there')
    })
    await ask(HOME.nodeId, serving({}))
  },
)
