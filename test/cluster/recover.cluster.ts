// The last resort of a cluster, with nodes as they are shipped: replicas of metadata partitions are destroyed, and what was
// acknowledged is read again.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test, test } from 'tap'
import { signRequest } from '../../src/cli/admin-client.ts'
import { showClusterRecovery } from '../../src/cli/recover-cluster.ts'
import {
  type ClusterRecoverOutcome,
  type ClusterRecoverRequest,
  recoverCluster,
} from '../../src/cluster/recover-cluster.ts'
import { openForRecovery } from '../../src/cluster/recovering.ts'
import { silentLog } from '../../src/kit/log.ts'
import { stayAlive } from '../../src/kit/world.ts'
import { Seeded } from '../support/seeded.ts'
import { TEST_KEYS } from '../support/server.ts'
import { openShippedNodes, type ShippedNodes, until } from '../support/shipped-nodes.ts'

const random = new Seeded(23)

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

async function recover(
  { endpoint, world }: ShippedNodes,
  mode: ClusterRecoverRequest['mode'],
  withoutMissing: readonly number[] = [],
): Promise<ClusterRecoverOutcome> {
  const etcd = { endpoints: [endpoint], prefix: '/kintsugi/' }
  const opened = await openForRecovery({ etcd }, { world, log: silentLog })
  try {
    return await recoverCluster({ mode, withoutMissing }, opened)
  } finally {
    await opened.close()
  }
}

/** What was acknowledged. */
type Known = Map<string, Buffer>

async function put(cluster: ShippedNodes, known: Known, names: readonly string[]): Promise<void> {
  for (const [index, name] of names.entries()) {
    const body = random.bytes(name.startsWith('empty') ? 0 : index % 5 === 4 ? 300_000 : 2_000)
    const ask = () => cluster.client.put('bucket', name, body)
    await until(ask, ({ status }) => status === 200)
    known.set(name, body)
  }
}

async function readAll(t: Test, { client }: ShippedNodes, known: Known): Promise<void> {
  for (const [name, body] of known) {
    const got = await until(
      () => client.get('bucket', name),
      ({ status }) => status !== 503,
    )
    t.ok(got.status === 200 && got.body.equals(body), `${name}: ${got.status}`)
  }
}

function namesOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
}

async function begin(t: Test, nodeCount: number): Promise<{ cluster: ShippedNodes; known: Known }> {
  const cluster = await stayAlive(openShippedNodes(t, nodeCount))
  const make = () => cluster.client.send({ method: 'PUT', path: '/bucket' })
  await until(make, ({ status }) => status === 200)
  const known: Known = new Map()
  await put(cluster, known, [...namesOf('first', 20), ...namesOf('empty', 4)])
  return { cluster, known }
}

async function loseMetadata({ driveOf }: ShippedNodes, id: string): Promise<void> {
  for (const name of ['metalog', 'meta.db'])
    await rm(join(driveOf(id), name), { recursive: true, force: true })
}

async function releaseOrphans({ gateway, world }: ShippedNodes): Promise<unknown> {
  const origin = new URL(gateway.endpoint)
  const signer = { origin, credentials: TEST_KEYS, region: 'us-east-1', nowMs: world.clock.now() }
  const { url, headers } = signRequest({ method: 'POST', resource: 'orphans/release' }, signer)
  const answer = await fetch(url, { method: 'POST', headers })
  return await answer.json()
}

/** Of how many partitions dumps were taken after `sinceMs`, on any drive. */
async function dumpedSince({ ids, driveOf }: ShippedNodes, sinceMs: number): Promise<number> {
  const names = await Promise.all(
    ids.map((id) => readdir(join(driveOf(id), 'dump')).catch((): string[] => [])),
  )
  const taken = names.flat().flatMap((name) => /^(\d{5})-(\d{14})\.dump$/.exec(name) ?? [])
  const partitions = new Set<string>()
  for (let at = 0; at < taken.length; at += 3)
    if (Number(taken[at + 2]) > sinceMs) partitions.add(taken[at + 1]!)
  return partitions.size
}

test('all replicas of all partitions are lost', async (t) => {
  const { cluster, known } = await begin(t, 4)
  t.same((await recover(cluster, 'plan')).partitions, [], 'nothing is lost yet')
  const sinceMs = cluster.world.clock.now()
  await until(
    () => dumpedSince(cluster, sinceMs),
    (count) => count === 2,
  )
  await put(cluster, known, namesOf('later', 20))
  for (const id of cluster.ids) await cluster.stop(id)
  t.match(
    await recover(cluster, 'recover'),
    { partitions: [{ way: 'waits' }, { way: 'waits' }] },
    'what does not answer is waited for',
  )
  for (const id of cluster.ids) await loseMetadata(cluster, id)
  for (const id of cluster.ids) await cluster.start(id)

  const epoch = cluster.coordinator.state.epoch
  const plan = await recover(cluster, 'plan')
  t.match(plan.partitions, [
    { way: 'rebuild', dumpMs: Number },
    { way: 'rebuild', dumpMs: Number },
  ])
  const tried = await recover(cluster, 'rehearse')
  t.match(tried.partitions, [{ report: { dumpedRows: Number } }, { report: {} }])
  t.equal(cluster.coordinator.state.epoch, epoch, 'nothing was changed')
  const done = await recover(cluster, 'recover')
  t.match(done.partitions, [{ isDone: true }, { isDone: true }])
  t.match(
    showClusterRecovery(done).join('\n'),
    /Partition 0 has no replica that lives and has more than a dump; there is a dump/,
  )
  t.ok(cluster.coordinator.state.orphanHold, 'no shard is deleted now')
  await readAll(t, cluster, known)
  t.same(await cluster.client.listAll('bucket'), [...known.keys()].sort())
  await put(cluster, known, namesOf('after', 5))
  t.same((await recover(cluster, 'recover')).partitions, [], 'and nothing is to be done any more')
  await until(
    async () => replicasOf(cluster),
    (count) => count === 6,
  )
  await readAll(t, cluster, known)
  t.match(await releaseOrphans(cluster), { heldSinceMs: Number })
  t.same(await releaseOrphans(cluster), {})
})

test('what one replica has is enough, and those that come back later follow', async (t) => {
  const { cluster, known } = await begin(t, 3)
  const [first, second, third] = cluster.ids
  await cluster.stop(second!)
  await put(cluster, known, namesOf('with-two', 10))
  await cluster.start(second!)
  await until(
    async () => replicasOf(cluster),
    (count) => count === 6,
  )
  await put(cluster, known, namesOf('with-three', 10))
  // Two of three make a majority: the one that is left need not have had all of it.
  await until(
    async () => replicasOf(cluster),
    (count) => count === 6,
  )
  await cluster.stop(first!)
  await cluster.stop(third!)
  const plan = await recover(cluster, 'plan')
  t.match(plan.partitions, [{ way: 'waits' }, { way: 'waits' }], 'they may come back')
  const { drives } = cluster.coordinator.state.map
  const gone = drives.flatMap(({ id, nodeId }) => (nodeId === second ? [] : [id]))
  const done = await recover(cluster, 'recover', gone)
  t.match(done.partitions, [
    { way: 'survivor', isDone: true },
    { way: 'survivor', isDone: true },
  ])
  await until(
    async () => replicasOf(cluster),
    (count) => count === 2,
  )
  // They were no more lost than somebody believed.
  await cluster.start(first!)
  await cluster.start(third!)
  await readAll(t, cluster, known)
  await put(cluster, known, namesOf('again', 10))
  await until(
    async () => replicasOf(cluster),
    (count) => count === 6,
  )
  await readAll(t, cluster, known)
})

test('a replica that was away does not win over what was written since', async (t) => {
  const { cluster, known } = await begin(t, 3)
  const [first, second, third] = cluster.ids
  await until(
    async () => replicasOf(cluster),
    (count) => count === 6,
  )
  await cluster.stop(third!)
  await put(cluster, known, namesOf('since', 20))
  // Overwritten as well: what the one that was away has of them is older.
  await put(cluster, known, namesOf('first', 10))
  for (const id of [first!, second!]) await cluster.stop(id)
  for (const id of [first!, second!]) await loseMetadata(cluster, id)
  for (const id of cluster.ids) await cluster.start(id)
  const done = await recover(cluster, 'recover')
  t.match(done.partitions, [{ isDone: true }, { isDone: true }])
  await readAll(t, cluster, known)
  t.same(await cluster.client.listAll('bucket'), [...known.keys()].sort())
})

async function logsOf({ driveOf }: ShippedNodes, id: string): Promise<string[]> {
  const directory = join(driveOf(id), 'metalog')
  return (await readdir(directory)).map((name) => join(directory, name))
}

/** The rows of a node that is stopped, and logs that it may have replaced them from: it is damaged then. */
async function loseRows(cluster: ShippedNodes, id: string, logs: readonly string[]): Promise<void> {
  await rm(join(cluster.driveOf(id), 'meta.db'), { recursive: true })
  for (const log of logs) await rm(log, { force: true })
}

/** Those that were taken after `sinceMs`. */
async function loseDumps({ ids, driveOf }: ShippedNodes, sinceMs: number): Promise<void> {
  for (const id of ids) {
    const directory = join(driveOf(id), 'dump')
    for (const name of await readdir(directory).catch((): string[] => []))
      if (Number(name.slice(6, 20)) > sinceMs) await rm(join(directory, name))
  }
}

/** Nodes begin new files of their logs, and need none of the old ones any more, which are given. */
async function beginLogs(cluster: ShippedNodes, known: Known): Promise<Map<string, string[]>> {
  const { ids } = cluster
  for (const id of ids) await cluster.stop(id)
  const before = new Map<string, string[]>()
  for (const id of ids) before.set(id, await logsOf(cluster, id))
  for (const id of ids) await cluster.start(id)
  await put(cluster, known, namesOf('begun', 6))
  // A marker is written every ten seconds, and with it the states of replicas.
  await sleep(12_000)
  return before
}

/** Of these no shard tells anything. */
async function changeRows(cluster: ShippedNodes, known: Known): Promise<void> {
  const { client } = cluster
  await put(cluster, known, namesOf('empty-later', 6))
  await put(cluster, known, ['first-0', 'first-1', 'first-4'])
  for (const name of ['first-2', 'first-3', 'first-5', 'first-9', 'begun-1']) {
    t.equal((await client.delete('bucket', name)).status, 204)
    known.delete(name)
  }
}

test('rows of all replicas are lost, and logs lead on from dumps', async (t) => {
  const { cluster, known } = await begin(t, 3)
  const before = await beginLogs(cluster, known)
  const sinceMs = cluster.world.clock.now()
  await until(
    () => dumpedSince(cluster, sinceMs),
    (count) => count === 2,
  )
  const dumpedMs = cluster.world.clock.now()
  await changeRows(cluster, known)
  for (const id of cluster.ids) await cluster.stop(id)
  await loseDumps(cluster, dumpedMs)
  for (const id of cluster.ids) await loseRows(cluster, id, before.get(id)!)
  for (const id of cluster.ids) await cluster.start(id)
  const plan = await recover(cluster, 'plan')
  t.match(plan.partitions, [
    { way: 'rebuild', dumpMs: Number, replicas: [{ standing: 'damaged' }] },
    { way: 'rebuild', dumpMs: Number, replicas: [{ standing: 'damaged' }] },
  ])
  const done = await recover(cluster, 'recover')
  const replayed = done.partitions.map(({ replay }) => replay!.replayed)
  t.ok(replayed[0]! + replayed[1]! >= 14, `${replayed} entries`)
  for (const { report, replay, isDone } of done.partitions) {
    t.equal(isDone, true)
    t.equal(replay!.acknowledgedEnd, undefined)
    t.match(report, { unconfirmed: 0, gone: [], damaged: [], unplaced: [] }, 'nothing is guessed')
  }
  await readAll(t, cluster, known)
  t.same(await cluster.client.listAll('bucket'), [...known.keys()].sort(), 'nor deleted in vain')
  await put(cluster, known, namesOf('after', 5))
})

test('one that was away goes on with the log of one that is damaged', async (t) => {
  const { cluster, known } = await begin(t, 3)
  const [first, second, third] = cluster.ids
  const before = await beginLogs(cluster, known)
  await until(
    async () => replicasOf(cluster),
    (count) => count === 6,
  )
  await cluster.stop(third!)
  await changeRows(cluster, known)
  for (const id of [first!, second!]) await cluster.stop(id)
  await loseMetadata(cluster, first!)
  await loseRows(cluster, second!, before.get(second!)!)
  await loseDumps(cluster, 0)
  for (const id of cluster.ids) await cluster.start(id)
  const done = await recover(cluster, 'recover')
  t.match(done.partitions, [
    { way: 'survivor', isDone: true, report: { unconfirmed: 0 } },
    { way: 'survivor', isDone: true, report: { unconfirmed: 0 } },
  ])
  const gained = done.partitions.flatMap(({ replay }) => replay!.logs.map((log) => log.gained))
  t.ok(gained.reduce((sum, count) => sum + count, 0) >= 14, `${gained} entries`)
  t.match(showClusterRecovery(done).join('\n'), /of them, which no replica has that lives/)
  await readAll(t, cluster, known)
  t.same(await cluster.client.listAll('bucket'), [...known.keys()].sort())
})

/** The steps that change something, in their order; a recovery is broken off in the midst of one, or right behind it. */
const STEPS = ['fence', 'fence-told', 'install', 'record'] as const

/** Carries out a recovery, which never goes on from a step: as if its process had been killed there. */
async function breakOff(
  { endpoint, world }: ShippedNodes,
  at: { step: (typeof STEPS)[number]; isDone: boolean },
): Promise<void> {
  const etcd = { endpoints: [endpoint], prefix: '/kintsugi/' }
  const { close, ...opened } = await openForRecovery({ etcd }, { world, log: silentLog })
  const broken = new Promise<void>((resolve) => {
    const never = new Promise<never>(() => {})
    const during = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
      if (step !== at.step) return await work()
      if (at.isDone) await work()
      resolve()
      return await never
    }
    const { records, recovery } = opened
    let changes = 0
    const parts: typeof opened = {
      ...opened,
      records: {
        get: (partition) => records.get(partition),
        change: async (partition, change) => {
          changes += 1
          const step = changes === 1 ? 'fence' : 'record'
          return await during(step, () => records.change(partition, change))
        },
      },
      recovery: {
        standings: (...asked) => recovery.standings(...asked),
        drives: (node) => recovery.drives(node),
        dumps: (...asked) => recovery.dumps(...asked),
        readDump: (...asked) => recovery.readDump(...asked),
        readReplica: (...asked) => recovery.readReplica(...asked),
        readLog: (...asked) => recovery.readLog(...asked),
        shards: (...asked) => recovery.shards(...asked),
        discard: (...asked) => recovery.discard(...asked),
        fence: (...asked) => during('fence-told', () => recovery.fence(...asked)),
        install: (...asked) => during('install', () => recovery.install(...asked)),
      },
    }
    void recoverCluster({ mode: 'recover', withoutMissing: [] }, parts)
  })
  await broken
  await close()
}

test('a recovery that is broken off leaves what it found, or is done', async (t) => {
  const { cluster, known } = await begin(t, 3)
  const [first, second, third] = cluster.ids
  // All three have it: what is left has no shards of its own to fall back on but those of the others.
  await until(
    async () => replicasOf(cluster),
    (count) => count === 6,
  )
  const lose = async (ids: readonly string[]): Promise<void> => {
    for (const id of ids) await cluster.stop(id)
    for (const id of ids) await loseMetadata(cluster, id)
    for (const id of ids) await cluster.start(id)
  }
  await lose([first!, third!])
  for (const step of STEPS) {
    for (const isDone of [false, true]) {
      await breakOff(cluster, { step, isDone })
      const { partitions } = await recover(cluster, 'plan')
      // The first one is as lost as before until its record was changed, and never after that; the second was not begun.
      const expected = step === 'record' && isDone ? [1] : [0, 1]
      t.same(
        partitions.map(({ partition }) => partition),
        expected,
        `${step}, ${isDone ? 'done' : 'not done'}`,
      )
      t.ok(partitions.every(({ way }) => way === 'survivor'))
    }
  }
  const done = await recover(cluster, 'recover')
  t.match(done.partitions, [{ partition: 1, isDone: true }])
  await readAll(t, cluster, known)
  await put(cluster, known, namesOf('after', 10))
  // Replicas of recoveries that came to nothing are taken for none of the set.
  await until(
    async () => replicasOf(cluster),
    (count) => count === 6,
  )
  await cluster.stop(second!)
  await readAll(t, cluster, known)
})

/** How many replicas count and lack nothing of what who serves has, over all partitions, where somebody serves. */
function replicasOf({ running }: ShippedNodes): number {
  const all = [...running.values()].flatMap(({ metadata }) => metadata.host.replicas())
  const served = new Map(all.filter((one) => one.isServing).map((one) => [one.partition, one]))
  if (served.size < 2) return 0
  return all.filter(({ role, applied, partition, epoch }) => {
    const serving = served.get(partition)
    return role !== 'learner' && epoch === serving?.epoch && applied >= serving.applied
  }).length
}
