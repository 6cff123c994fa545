// A cluster that is made, its tokens, and nodes that join with them: each token once, whoever loses which answer.
import { EventEmitter, once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { initCluster, type MadeCluster } from '../../../src/cluster/init.ts'
import { joinNode } from '../../../src/cluster/join.ts'
import { encodeJoinToken, type JoinToken, parseJoinToken } from '../../../src/cluster/join-token.ts'
import { keepNodeFile, readNodeFile, writeNodeFile } from '../../../src/cluster/node-file.ts'
import { clusterIdIn, makeTokens, useToken } from '../../../src/cluster/tokens.ts'
import type { ClusterInitConfig } from '../../../src/config-cluster.ts'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { silentLog } from '../../../src/kit/log.ts'
import type { Clock } from '../../../src/kit/world.ts'
import { EtcdCoordinator } from '../../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../../src/placement/etcd/etcd-client.ts'
import { openEtcdInMemory } from '../../support/etcd-in-memory.ts'

await prepareDigests()

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

interface Made {
  made: MadeCluster
  etcd: EtcdClient
  world: Awaited<ReturnType<typeof openEtcdInMemory>>['world']
  simulated: Awaited<ReturnType<typeof openEtcdInMemory>>['etcd']
  config: ClusterInitConfig
}

async function makeCluster(nodeCount = 3): Promise<Made> {
  const { endpoint, world, etcd: simulated } = await openEtcdInMemory()
  const config: ClusterInitConfig = {
    etcd: { endpoints: [endpoint], prefix: '/test/' },
    nodeCount,
    allowsUnsafeLayout: false,
    code: { dataCount: 2, parityCount: 1 },
  }
  const etcd = new EtcdClient(config.etcd, world)
  return { made: await initCluster(config, { etcd, world }), etcd, world, simulated, config }
}

async function directory(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'join-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

t.test('what a cluster begins with', async (t) => {
  const { made, etcd, world, config } = await makeCluster(4)
  t.equal(made.tokens.length, 4)
  t.equal(new Set(made.tokens.map(({ id }) => id)).size, 4)
  t.equal(await clusterIdIn('/test/', etcd), made.clusterId)
  await t.rejects(clusterIdIn('/other/', etcd), { code: 'COORDINATOR_UNAVAILABLE' })
  const options = { prefix: '/test/', directory: await directory(t) }
  const coordinator = await EtcdCoordinator.open(options, { etcd, world, log: silentLog })
  t.teardown(() => coordinator.close())
  const { map, cluster, rootCredentials, clusterId } = coordinator.state
  t.equal(clusterId, made.clusterId)
  t.same(rootCredentials, made.credentials)
  t.same(map.drives, [])
  t.match(cluster, { nodesExpected: 4, secret: /^[0-9a-f]{64}$/, code: config.code })
  await t.rejects(initCluster(config, { etcd, world }), { message: /there is a cluster/ })
})

t.test('a token says where the cluster is', async (t) => {
  const { made } = await makeCluster()
  const word = encodeJoinToken(made.tokens[0]!)
  t.same(parseJoinToken(word), made.tokens[0])
  t.match(word, /^[\w-]+$/)
  for (const other of [
    `${word}x`,
    `${word}=`,
    '',
    'kintsugi-join-',
    word.slice(0, -9),
    word.slice(14),
    `x${word}`,
  ]) {
    t.equal(parseJoinToken(other), undefined, `refuses ${other}`)
  }
})

t.test('a node joins once with a token', async (t) => {
  const { made, world, etcd, config } = await makeCluster()
  const place = await directory(t)
  const joining = (name: string, token: JoinToken) =>
    joinNode(token, { stateDirectory: `${place}/${name}/state`, etcdAccess: {} }, world)
  const [first, second] = made.tokens
  const node = await joining('a', first!)
  t.match(node, { nodeId: /^[0-9a-f]{16}$/, clusterId: made.clusterId, etcd: config.etcd })
  t.same(await readNodeFile(`${place}/a/state`, world), node)
  await t.rejects(joining('b', first!), { message: /used already/ })
  await t.rejects(joining('a', second!), { message: /already/ })
  await t.rejects(joining('b', { ...second!, id: '0'.repeat(32) }), { message: /no cluster/ })
  t.not((await joining('b', second!)).nodeId, node.nodeId)
  const where = { ...config.etcd, clusterId: made.clusterId }
  const [more] = await makeTokens(1, where, { etcd, world })
  await joining('c', more!)
})

t.test('a state directory that can not be used costs no token', async (t) => {
  const { made, world } = await makeCluster()
  const place = await directory(t)
  await writeFile(`${place}/file`, '')
  const joining = (stateDirectory: string) =>
    joinNode(made.tokens[0]!, { stateDirectory, etcdAccess: {} }, world)
  const refused = { exitCode: 2, message: /file\/state can not be a state directory: .*ENOTDIR/ }
  await t.rejects(joining(`${place}/file/state`), refused)
  t.match(await joining(`${place}/state`), { clusterId: made.clusterId })
  t.same((await readdir(`${place}/state`)).sort(), ['node.json'], 'nothing is left of the trial')
})

t.test('an answer that is lost uses no token up for nobody', async (t) => {
  const { made, world, etcd, simulated } = await makeCluster()
  simulated.loseAnswerOf = '/v3/kv/txn'
  t.equal(await useToken(made.tokens[0]!, 'one', { etcd, world }), 'used')
  t.equal(await useToken(made.tokens[0]!, 'one', { etcd, world }), 'used', 'again for the same')
  t.equal(await useToken(made.tokens[0]!, 'two', { etcd, world }), 'spent')
  const both = await Promise.all(
    ['one', 'two'].map((nodeId) => useToken(made.tokens[1]!, nodeId, { etcd, world })),
  )
  t.same(both.sort(), ['spent', 'used'], 'of two at once one has it')
})

t.test('a file that is damaged is no node', async (t) => {
  const { world } = await makeCluster()
  const place = await directory(t)
  t.equal(await readNodeFile(place, world), undefined)
  const file = { nodeId: '0'.repeat(16), clusterId: 'c', etcd: { endpoints: [], prefix: '/' } }
  await writeNodeFile(place, file, world)
  t.same(await readNodeFile(place, world), file)
  await writeNodeFile(place, { ...file, nodeId: 'x' }, world)
  await t.rejects(readNodeFile(place, world), { message: /damaged/ })
})

t.test('a file that rots while its node serves is written again', async (t) => {
  const { world } = await makeCluster()
  const place = await directory(t)
  const file = { nodeId: '0'.repeat(16), clusterId: 'c', etcd: { endpoints: ['a'], prefix: '/' } }
  await writeNodeFile(place, file, world)
  const minutes = manualMinutes()
  let isServing = false
  const parts = {
    ...{ world: { disk: world.disk, clock: minutes.clock }, log: silentLog },
    isServing: () => isServing,
  }
  const keeping = keepNodeFile(place, file, parts)
  const path = join(place, 'node.json')
  await writeFile(path, '{"format":1,"no')
  await minutes.pass()
  t.same(await readNodeFile(place, world), file)
  await rm(path)
  await minutes.pass()
  t.same(await readNodeFile(place, world), file)
  const moved = { ...file, etcd: { ...file.etcd, endpoints: ['b'] } }
  await writeNodeFile(place, moved, world)
  await minutes.pass()
  t.same(await readNodeFile(place, world), moved, 'what an operator changed stays')
  isServing = true
  await minutes.pass()
  t.same(await readNodeFile(place, world), { ...moved, hasServed: true })
  isServing = false
  await minutes.pass()
  t.ok((await readNodeFile(place, world))?.hasServed, 'that it served is never forgotten')
  await keeping.stop()
})

/** A clock of which the test says when a minute has passed; pass() resolves when the round behind it is over. */
function manualMinutes(): { clock: Clock; pass: () => Promise<void> } {
  const events = new EventEmitter()
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    t.equal(ms, 60_000)
    const passed = once(events, 'minute', { signal })
    events.emit('asleep')
    await passed
  }
  const pass = async (): Promise<void> => {
    const asleep = once(events, 'asleep')
    events.emit('minute')
    await asleep
  }
  return { clock: { now: () => 0, monotonicMs: () => 0, sleep }, pass }
}
