// The coordinator on a simulated etcd: the contract, and faults that a real one has too rarely.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import type { Http } from '../../../../src/kit/world.ts'
import { EtcdCoordinator } from '../../../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../../../src/placement/etcd/etcd-client.ts'
import {
  addBucket,
  etcdCoordinatorContract,
  firstState,
  type Member,
  makeCluster,
  membersOf,
  undecided,
} from '../../../contracts/etcd-coordinator.contract.ts'
import { openEtcdInMemory } from '../../../support/etcd-in-memory.ts'
import type { SimulatedEtcd } from '../../../support/simulated-etcd.ts'

await prepareDigests()

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

t.test('simulated', async (t: Test) => etcdCoordinatorContract(t, openEtcdInMemory))

async function clusterOf(
  t: Test,
  options?: Parameters<typeof membersOf>[2],
): Promise<{ etcd: SimulatedEtcd; start(): Promise<Member> }> {
  const opened = await openEtcdInMemory()
  await makeCluster(opened)
  const { start } = await membersOf(t, opened, options)
  return { etcd: opened.etcd, start }
}

t.test('a cluster whose first answer was lost was made, whoever is asked next', async (t) => {
  const opened = await openEtcdInMemory()
  const { endpoint, world, etcd } = opened
  let lost = 0
  /** Two ways to one etcd; the first loses what is answered to a transaction. */
  const send: Http['send'] = async (request) => {
    const answer = await world.http.send({ ...request, url: request.url.replace('first.', '') })
    if (!request.url.includes('first.') || !request.url.endsWith('/txn')) return answer
    lost += 1
    throw new Error('the connection broke')
  }
  const endpoints = [endpoint.replace('http://', 'http://first.'), endpoint]
  const client = new EtcdClient({ endpoints }, { http: { ...world.http, send } })
  await t.resolves(EtcdCoordinator.create(firstState(), { etcd: client, world }))
  t.equal(lost, 1)
  await t.rejects(makeCluster(opened), undecided('refused'), 'there is one now')

  const second = { etcd: new EtcdClient({ endpoints: [endpoint] }, world), world, prefix: '/b/' }
  etcd.loseAnswerOf = '/v3/kv/txn'
  await t.resolves(EtcdCoordinator.create(firstState(), second))
  etcd.loseAnswerOf = '/v3/kv/txn'
  etcd.awayAfterLoss = true
  const third = EtcdCoordinator.create(firstState(), { ...second, prefix: '/c/' })
  await t.rejects(third, { code: 'ETCD_UNAVAILABLE' })
})

t.test('a decision whose answer was lost is found, and not made twice', async (t) => {
  const { etcd, start } = await clusterOf(t)
  const { coordinator } = await start()
  let asked = 0
  etcd.loseAnswerOf = '/v3/kv/txn'
  const { buckets, epoch } = await coordinator.decide((state) => {
    asked += 1
    return addBucket('photos')(state)
  })
  t.equal(asked, 1)
  t.same(Object.keys(buckets), ['photos'])
  t.equal((await coordinator.decide(() => undefined)).epoch, epoch)
})

t.test('the same, when others decided since', async (t) => {
  const { etcd, start } = await clusterOf(t)
  const [one, other] = [await start(), await start()]
  etcd.loseAnswerOf = '/v3/kv/txn'
  let isFirst = true
  const made = one.coordinator.decide((state) => {
    if (!isFirst) t.fail('it was decided already')
    isFirst = false
    return { ...state, nextDriveId: state.nextDriveId + 1 }
  })
  const others = await other.coordinator.decide((state) => ({ ...state, nextDriveId: 100 }))
  const { nextDriveId, epoch } = await made
  t.equal(nextDriveId, 5, 'the state that the change itself led to')
  t.ok(epoch < others.epoch)
})

t.test('an outcome that stays open is said to be', async (t) => {
  const { etcd, start } = await clusterOf(t, { decideMs: 100 })
  const { coordinator } = await start()
  etcd.loseAnswerOf = '/v3/kv/txn'
  etcd.awayAfterLoss = true
  const decided = coordinator.decide(addBucket('photos'))
  await t.rejects(decided, undecided('open'))
  etcd.mood = 'well'
  t.same(Object.keys((await coordinator.decide(() => undefined)).buckets), ['photos'])
})

t.test('a watch that died in silence is noticed', async (t) => {
  const { etcd, start } = await clusterOf(t, { rereadMs: 50 })
  const [one, other] = [await start(), await start()]
  await until(() => etcd.watcherCount === 2)
  etcd.isSilent = true
  const { epoch } = await one.coordinator.decide(addBucket('photos'))
  await until(() => other.coordinator.state.epoch === epoch)
  t.equal(other.coordinator.state.epoch, epoch)
})

t.test('a restored etcd of the same revision is found out by a periodic look', async (t) => {
  const { etcd, start } = await clusterOf(t, { rereadMs: 50 })
  const { coordinator } = await start()
  const backup = etcd.backup()
  await coordinator.decide(addBucket('a'))
  etcd.restore(backup)
  etcd.putForeign('unrelated')
  etcd.putForeign('unrelated')
  await until(() => coordinator.standing.kind === 'restored')
  t.same(Object.keys(coordinator.state.buckets), ['a'])
  await t.rejects(coordinator.decide(addBucket('b')), undecided('restored'))
})

t.test('who was not there hears from others that etcd was restored', async (t) => {
  const { etcd, start } = await clusterOf(t)
  const there = await start()
  await there.coordinator.decide(addBucket('a'))
  const backup = etcd.backup()
  await there.coordinator.decide(addBucket('b'))
  const known = there.coordinator.mirror.knowledge!
  const behind = { ...known, revision: known.revision - 1, epoch: known.epoch - 1, head: 'x' }

  const { coordinator: fresh } = await start()
  await fresh.mirror.hear(known, 'node one')
  t.equal(fresh.standing.kind, 'current', 'etcd has all that it knows')
  await fresh.mirror.hear({ ...known, generation: 0 }, 'node one')
  t.equal(fresh.standing.kind, 'current', 'it slept through a restore')

  for (const [heard, why] of [
    [{ ...known, revision: known.revision + 9 }, /its revision is .*, as node one knows/],
    [{ ...known, clusterId: '7' }, /another etcd, as node one/],
    [{ ...known, generation: 2 }, /before a restore, as node one/],
    [{ ...known, head: 'another' }, /does not follow/],
    [{ ...known, epoch: known.epoch + 1 }, /does not follow/],
    [behind, /does not follow from epoch/],
  ] as const) {
    await fresh.mirror.hear(heard, 'node one')
    await t.rejects(fresh.decide(addBucket('c')), undecided('restored', why))
    await fresh.mirror.hear(known, 'node two')
    t.equal(fresh.standing.kind, 'restored', 'another one who knows less changes nothing')
    await fresh.mirror.hear(known, 'node one')
    await fresh.refresh()
    t.equal(fresh.standing.kind, 'current')
  }

  etcd.restore(backup)
  const { coordinator: late } = await start()
  t.same(Object.keys(late.state.buckets), ['a'])
  t.equal(late.standing.kind, 'current', 'it can not know by itself')
  await late.mirror.hear(known, 'node one')
  await t.rejects(late.decide(addBucket('c')), undecided('restored', /as node one knows/))
})

t.test('another etcd, an empty one, and none', async (t) => {
  const { etcd, start } = await clusterOf(t)
  const { coordinator } = await start()
  const backup = etcd.backup()
  etcd.restore(backup, '99')
  await t.rejects(coordinator.decide(addBucket('a')), undecided('restored', /another etcd/))
  etcd.restore(backup, '324952591200643719')
  t.ok(await coordinator.decide(addBucket('a')), 'the one it knows is believed again')
  etcd.restore({ revision: 1, compacted: 0, keys: new Map(), past: [] })
  await t.rejects(coordinator.decide(addBucket('b')), undecided('restored', /no cluster/))
  await t.rejects(start(), undecided('refused', /no cluster is in etcd/))
})

t.test('what etcd refuses is said', async (t) => {
  const { etcd, start } = await clusterOf(t)
  const { coordinator } = await start()
  const before = coordinator.state
  const many = coordinator.decide((state) => ({
    ...state,
    clusterId: 'x'.repeat(2_000_000),
  }))
  await t.rejects(many, undecided('refused', /too large/))
  t.equal(coordinator.standing.kind, 'current')
  t.equal(coordinator.state, before)
  t.equal(etcd.keyCount, 3)
})

t.test('an etcd that does not let itself be read is away, and says why', async (t) => {
  const { etcd, start } = await clusterOf(t)
  const { coordinator } = await start()
  etcd.user = { name: 'root', password: 'secret' }
  await t.rejects(coordinator.refresh(), undecided('refused', /user name is empty/))
  t.match(coordinator.standing, { kind: 'away', why: /user name is empty/ })
  etcd.user = undefined
  await coordinator.refresh()
  t.equal(coordinator.standing.kind, 'current')
})

t.test('a damaged copy is no memory, and says so', async (t) => {
  const { etcd, start } = await clusterOf(t)
  const member = await start()
  await member.coordinator.decide(addBucket('a'))
  const path = join(member.directory, 'known')
  const bytes = await readFile(path)
  bytes[bytes.length - 5]! ^= 1
  await member.coordinator.close()
  await writeFile(path, bytes)
  etcd.mood = 'away'
  await t.rejects(member.restart(), undecided('away'))
  etcd.mood = 'well'
  t.same(Object.keys((await member.restart()).coordinator.state.buckets), ['a'])
})

t.test('one that is closed decides nothing more, and leaves its memory to the next', async (t) => {
  const { start } = await clusterOf(t)
  const one = await start()
  await one.coordinator.decide(addBucket('a'))
  const late = one.coordinator.decide(addBucket('late'))
  await one.coordinator.mirror.close()
  await t.rejects(late, undecided('away', /closed/))
  const next = await one.restart()
  await next.coordinator.decide(addBucket('b'))
  const known = await readFile(join(one.directory, 'known'))
  await t.rejects(one.coordinator.mirror.refresh({ whole: true }), undecided('away'))
  await t.rejects(one.coordinator.decide(addBucket('c')), undecided('away'))
  t.same(Object.keys(one.coordinator.state.buckets), ['a'])
  t.same(await readFile(join(one.directory, 'known')), known)
})

t.test('an answer that comes after the end changes nothing here', async (t) => {
  const { start } = await clusterOf(t)
  const one = await start()
  await one.coordinator.decide(addBucket('a'))
  const { mirror } = one.coordinator
  const known = await readFile(join(one.directory, 'known'))
  const { txn } = mirror.etcd
  let closing: Promise<void> | undefined
  mirror.etcd.txn = async (asked) => {
    const answer = await txn.call(mirror.etcd, asked)
    closing = mirror.close()
    return answer
  }
  const changes = [{ kind: 'put' as const, key: 'x', value: Buffer.from('1') }]
  await t.rejects(mirror.commit({ compare: [], changes }), undecided('open', /closed/))
  await closing
  t.same(await readFile(join(one.directory, 'known')), known)
})

t.test('etcd has a number of keys that decisions do not change', async (t) => {
  const { etcd, start } = await clusterOf(t)
  const { coordinator } = await start()
  const before = etcd.keyCount
  for (let index = 0; index < 100; index += 1) {
    await coordinator.decide((state) => ({ ...state, nextDriveId: state.nextDriveId + 1 }))
  }
  t.ok(etcd.keyCount - before <= 2, 'a page of history for 64 decisions')
})

/** A condition of another's making: asked again and again, for a while. */
async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !isSo(); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  if (!isSo()) throw new Error('it does not become so')
}
