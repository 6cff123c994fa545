// Partition records, nodes and restoring on a simulated etcd: the contract, and faults that a real one has too rarely.
import t, { type Test } from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import { silentLog } from '../../../../src/kit/log.ts'
import type { MapDrive } from '../../../../src/placement/cluster-map.ts'
import type { ClusterState, Replica } from '../../../../src/placement/coordinator.ts'
import { closeDrive } from '../../../../src/placement/departure.ts'
import { EtcdClient } from '../../../../src/placement/etcd/etcd-client.ts'
import {
  firstRecord,
  type NextRecord,
  type PartitionRecord,
  takeLead,
} from '../../../../src/placement/etcd/leadership.ts'
import { NodeRegistry } from '../../../../src/placement/etcd/node-registry.ts'
import { PartitionRecords } from '../../../../src/placement/etcd/partition-records.ts'
import { restoreCoordinator } from '../../../../src/placement/etcd/restore-coordinator.ts'
import { EPOCHS_OF_GENERATION } from '../../../../src/placement/etcd/state-keys.ts'
import { etcdClusterContract } from '../../../contracts/etcd-cluster.contract.ts'
import {
  addBucket,
  makeCluster,
  membersOf,
  undecided,
} from '../../../contracts/etcd-coordinator.contract.ts'
import { openEtcdInMemory } from '../../../support/etcd-in-memory.ts'

await prepareDigests()

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

t.test('simulated', async (t: Test) => etcdClusterContract(t, openEtcdInMemory))

const REPLICAS = [1, 2, 3].map((driveId) => ({ driveId, incarnation: `i${driveId}` }))

/** The next epoch with other replicas; those before count as well. */
function withReplicas(
  { epoch, replicas, previous = replicas }: PartitionRecord,
  wanted: Replica[],
): NextRecord {
  return { epoch: epoch + 1, replicas: wanted, previous }
}

t.test('an election whose answer was lost is won once', async (t) => {
  const opened = await openEtcdInMemory()
  await makeCluster(opened)
  const { start } = await membersOf(t, opened)
  const { mirror } = (await start()).coordinator
  const records = new PartitionRecords(mirror, opened.world)
  await records.change(0, () => firstRecord(REPLICAS, 1))
  opened.etcd.loseAnswerOf = '/v3/kv/txn'
  const won = await records.change(0, (found) => found && takeLead(found, REPLICAS[0]!))
  t.match(won, { kind: 'changed', record: { epoch: 2, primary: { driveId: 1 } } })
  opened.etcd.loseAnswerOf = '/v3/kv/txn'
  opened.etcd.awayAfterLoss = true
  const open = records.change(0, (found) => found && takeLead(found, REPLICAS[1]!))
  await t.rejects(open, undecided('open'))
  t.match(records.get(0), { epoch: 2 }, 'what is open is not known')
  opened.etcd.mood = 'well'
  t.match(await records.change(0, () => undefined), { found: { epoch: 3 } })
})

t.test('an abandoned change brings a replica back whose drive is closed by now', async (t) => {
  const opened = await openEtcdInMemory()
  await makeCluster(opened)
  const { start } = await membersOf(t, opened)
  const { coordinator } = await start()
  const records = new PartitionRecords(coordinator.mirror, opened.world)
  await records.change(0, () => firstRecord(REPLICAS, 1))
  const fewer = REPLICAS.slice(0, 2)
  await records.change(0, (found) => found && withReplicas(found, fewer))
  await coordinator.decide((state) => {
    const drain = (drive: MapDrive): MapDrive => ({ ...drive, state: 'draining' })
    const drives = state.map.drives.map((drive) => (drive.id === 3 ? drain(drive) : drive))
    return { ...state, map: { ...state.map, drives } }
  })
  await coordinator.decide(closeDrive(3))
  const made = [...fewer, { driveId: 3, incarnation: 'made anew' }]
  const refused = await records.change(0, (found) => found && withReplicas(found, made))
  t.equal(refused.kind, 'unchanged', 'it gets no other one')
  const back = await records.change(0, (found) => found && withReplicas(found, REPLICAS))
  t.match(back, { kind: 'changed', record: { replicas: REPLICAS } })
})

t.test('two timelines that differ in one record at one revision are told apart', async (t) => {
  const opened = await openEtcdInMemory()
  await makeCluster(opened)
  const { start } = await membersOf(t, opened)
  const { mirror } = (await start()).coordinator
  const records = new PartitionRecords(mirror, opened.world)
  await records.change(0, () => firstRecord(REPLICAS, 1))
  const backup = opened.etcd.backup()
  await records.change(0, (found) => found && takeLead(found, REPLICAS[0]!))
  opened.etcd.restore(backup)
  const stranger = await start()
  const theirs = new PartitionRecords(stranger.coordinator.mirror, opened.world)
  await theirs.change(0, (found) => found && takeLead(found, REPLICAS[1]!))
  await t.rejects(mirror.refresh({ whole: true }), undecided('restored', /one history/))
})

t.test('leases that all vanish at once decide nothing', async (t) => {
  const opened = await openEtcdInMemory()
  await makeCluster(opened)
  const { start } = await membersOf(t, opened)
  const { coordinator } = await start()
  const registry = new NodeRegistry(coordinator.mirror, { ...opened, log: silentLog })
  const node = { id: 'n1', address: 'http://n1', protocol: 1, bootId: 'b' }
  await registry.register(node)
  const before = coordinator.state
  const stopping = new AbortController()
  const signs = registry.showSigns('n1', stopping.signal)
  while (!(await registry.hints()).has('n1')) await opened.world.clock.sleep(5)
  opened.etcd.expireAll()
  t.equal((await registry.hints()).size, 0)
  await coordinator.decide(() => undefined)
  t.equal(coordinator.state, before)
  t.same(registry.list(), [node])
  stopping.abort()
  await signs
})

t.test('a restore that was cut short at any point is ended by another', async (t) => {
  const opened = await openEtcdInMemory()
  const { etcd, world, endpoint } = opened
  await makeCluster(opened)
  const { start } = await membersOf(t, opened)
  const { coordinator } = await start()
  const records = new PartitionRecords(coordinator.mirror, world)
  for (const id of [0, 1, 2]) await records.change(id, () => firstRecord(REPLICAS, 1))
  const backup = etcd.backup()
  for (let index = 0; index < 40; index += 1) await coordinator.decide(addBucket(`b${index}`))
  await records.change(1, (found) => found && takeLead(found, REPLICAS[0]!))
  const evidence = [{ name: 'one', known: coordinator.mirror.image }]
  const wanted = coordinator.state
  await coordinator.close()
  const client = new EtcdClient({ endpoints: [endpoint] }, world)
  let isWhole = false
  for (let changes = 1; !isWhole; changes += 1) {
    etcd.restore(backup)
    etcd.mood = 'well'
    etcd.awayAfterTxns = changes
    const cut = restoreCoordinator(evidence, {}, { etcd: client, world })
    isWhole = (await cut.catch(() => undefined))?.kind === 'restored'
    etcd.awayAfterTxns = undefined
    etcd.mood = 'well'
    if (!isWhole) {
      await t.rejects(start(), undecided('restored'), 'nobody believes what is half written')
      const again = await restoreCoordinator(evidence, {}, { etcd: client, world })
      t.match(again, { kind: 'restored', from: 'one', asOf: { epoch: wanted.epoch } })
    }
    const found = await start()
    t.same(namesOf(found.coordinator.state), namesOf(wanted))
    const epochs = [0, 1, 2].map((id) => (recordOf(found, id)?.epoch ?? 0) % EPOCHS_OF_GENERATION)
    t.ok(epochs[1]! > epochs[0]! && epochs[0] === epochs[2])
    t.ok(found.coordinator.state.epoch > wanted.epoch)
    t.equal(found.coordinator.state.nextDriveId, wanted.nextDriveId + 1_000, 'whoever tried before')
    await found.coordinator.close()
  }

  function namesOf({ buckets }: ClusterState) {
    return Object.values(buckets)
      .map(({ name, id }) => `${id} ${name}`)
      .sort()
  }

  function recordOf(member: Awaited<ReturnType<typeof start>>, id: number) {
    return new PartitionRecords(member.coordinator.mirror, world).get(id)
  }
})

t.test('what an attempt wrote that was cut short does not outdo who knows more', async (t) => {
  const opened = await openEtcdInMemory()
  const { etcd, world, endpoint } = opened
  await makeCluster(opened)
  const { start } = await membersOf(t, opened)
  const { mirror } = (await start()).coordinator
  const records = new PartitionRecords(mirror, world)
  await records.change(0, () => firstRecord(REPLICAS, 1))
  const backup = etcd.backup()
  const known = mirror.image
  const wider = [...REPLICAS, { driveId: 4, incarnation: 'i4' }]
  await records.change(0, (found) => found && withReplicas(found, wider))
  const evidence = [{ name: 'one', known: mirror.image }]
  etcd.restore(backup)
  const client = new EtcdClient({ endpoints: [endpoint] }, world)
  const parts = { etcd: client, world }
  // The first writes all but the last head, the second no more than its own.
  for (const transactions of [2, 1]) {
    etcd.awayAfterTxns = transactions
    const poor = [{ name: 'who forgot the later', known }]
    await t.rejects(restoreCoordinator(poor, {}, parts), { code: 'ETCD_UNAVAILABLE' })
    etcd.awayAfterTxns = undefined
    etcd.mood = 'well'
  }
  await restoreCoordinator(evidence, {}, { etcd: client, world })
  await mirror.refresh()
  t.match(records.get(0), { replicas: wider, previous: REPLICAS })
})

t.test(
  'all that a restore wrote is seen also where its revisions were known of the etcd before',
  async (t) => {
    for (const changes of [1, 2, 3, 4]) {
      const opened = await openEtcdInMemory()
      const { etcd, world, endpoint } = opened
      await makeCluster(opened)
      const { start } = await membersOf(t, opened)
      const { coordinator } = await start()
      await coordinator.decide(addBucket('early'))
      const backup = etcd.backup()
      for (let at = 0; at < changes; at += 1) await coordinator.decide(addBucket(`b${at}`))
      const evidence = [{ name: 'one', known: coordinator.mirror.image }]
      etcd.restore(backup)
      await restoreCoordinator(
        evidence,
        {},
        { etcd: new EtcdClient({ endpoints: [endpoint] }, world), world },
      )
      const mine = await coordinator.decide(addBucket('after'))
      const { state } = (await start()).coordinator
      t.ok(mine.buckets.early!.revision > 1_000_000, `${changes} changes`)
      t.same(mine.buckets, state.buckets)
      t.equal(Math.floor(state.epoch / EPOCHS_OF_GENERATION), 2)
    }
  },
)

t.test('with nothing known nothing is restored', async (t) => {
  const { endpoint, world, etcd } = await openEtcdInMemory()
  const client = new EtcdClient({ endpoints: [endpoint] }, world)
  t.same(await restoreCoordinator([{ name: 'n' }], {}, { etcd: client, world }), {
    kind: 'nothing',
  })
  t.equal(etcd.keyCount, 0)
})
