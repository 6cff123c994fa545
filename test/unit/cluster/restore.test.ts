// kintsugi cluster restore-coordinator: what state directories remember is in etcd again, and what was asked for by mistake is refused.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { initCluster } from '../../../src/cluster/init.ts'
import { restoreFrom } from '../../../src/cluster/restore.ts'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { activate, changeReplicas } from '../../../src/metadata/replication/decision.ts'
import { replicaIdOf } from '../../../src/metadata/replication/replica-id.ts'
import { reserveDriveId } from '../../../src/placement/coordinator-changes.ts'
import { EtcdCoordinator } from '../../../src/placement/coordinator-etcd.ts'
import { closeDrive } from '../../../src/placement/departure.ts'
import { EtcdClient } from '../../../src/placement/etcd/etcd-client.ts'
import { firstRecord, takeLead } from '../../../src/placement/etcd/leadership.ts'
import { NodeRegistry } from '../../../src/placement/etcd/node-registry.ts'
import { PartitionRecords } from '../../../src/placement/etcd/partition-records.ts'
import { RecordDecisions } from '../../../src/storage-node/replicated/record-decisions.ts'
import { openEtcdInMemory } from '../../support/etcd-in-memory.ts'

await prepareDigests()

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

const PREFIX = '/test/'
const replicasOn = (driveIds: readonly number[]) =>
  driveIds.map((driveId) => ({ driveId, incarnation: `${driveId}`.repeat(16) }))
const REPLICAS = replicasOn([1, 2, 3])

/** A cluster with a bucket, a node and a partition that is led, as a process with a state directory knows it. */
async function makeCluster(t: Test) {
  const memory = await openEtcdInMemory()
  const { endpoint, world } = memory
  const where = { endpoints: [endpoint], prefix: PREFIX }
  const etcd = new EtcdClient(where, world)
  const config = { etcd: where, nodeCount: 3, allowsUnsafeLayout: false }
  await initCluster(config, { etcd, world })
  const directory = await mkdtemp(join(tmpdir(), 'restore-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const coordinator = await EtcdCoordinator.open(
    { prefix: PREFIX, directory },
    { etcd, world, log: silentLog },
  )
  t.teardown(() => coordinator.close())
  const records = new PartitionRecords(coordinator.mirror, world)
  const nodes = new NodeRegistry(coordinator.mirror, { world, log: silentLog })
  /** The next restore finds this done after it read etcd. */
  let meanwhile: (() => Promise<unknown>) | undefined
  const doMeanwhile = (work: () => Promise<unknown>): void => {
    meanwhile = work
  }
  const send: typeof world.http.send = async (request) => {
    const work = request.url.endsWith('/kv/txn') ? meanwhile : undefined
    if (work) meanwhile = undefined
    await work?.()
    return await world.http.send(request)
  }
  const late = new EtcdClient(where, { http: { ...world.http, send } })
  const restore = (directories: readonly string[], forsakesEtcd = false) =>
    restoreFrom({ etcd: where, directories, forsakesEtcd }, { etcd: late, world })
  /** A process that never knew anything, and believes what etcd has. */
  const openStranger = async () => {
    const stranger = await EtcdCoordinator.open({ prefix: PREFIX }, { etcd, world, log: silentLog })
    t.teardown(() => stranger.close())
    return { coordinator: stranger, records: new PartitionRecords(stranger.mirror, world) }
  }
  return { ...memory, coordinator, records, nodes, directory, restore, doMeanwhile, openStranger }
}

t.test('of an etcd that was lost nodes, buckets and partitions are there again', async (t) => {
  const cluster = await makeCluster(t)
  const { coordinator, records, nodes, directory, restore } = cluster
  await cluster.backUp()
  const address = 'http://10.0.0.1:9100'
  await nodes.register({ id: 'n1', address, protocol: 1, bootId: 'b' })
  await records.change(0, () => firstRecord(REPLICAS, 1))
  await records.change(0, (found) => found && takeLead(found, REPLICAS[0]!))
  await coordinator.decide((state) => ({ ...state, nextBucketId: 7 }))
  await cluster.restoreBackup()
  await t.rejects(
    coordinator.decide((state) => ({ ...state })),
    { code: 'COORDINATOR_UNAVAILABLE', why: 'restored' },
  )
  const asOf = { epoch: coordinator.state.epoch, revision: Number }
  t.match(await restore([directory]), { kind: 'restored', from: directory, asOf })
  const state = await coordinator.decide(() => undefined)
  t.ok(state.nextBucketId > 7)
  t.match(nodes.list(), [{ id: 'n1', address }])
  const record = records.get(0)
  t.match(record, { replicas: REPLICAS, restoredFrom: 2 })
  t.notOk(record?.primary)
  const led = await records.change(0, (found) => found && takeLead(found, REPLICAS[1]!))
  t.equal(led.kind, 'changed')
  t.notOk(records.get(0)?.restoredFrom, 'it was led again')
})

/** Another set holds the partition, and is activated, as who leads it decides. */
async function changeSet(records: PartitionRecords, driveIds: readonly number[]): Promise<void> {
  const decisions = new RecordDecisions(records)
  const from = decisions.get(0)!
  const replicas = replicasOn(driveIds).map(replicaIdOf)
  const changed = changeReplicas(from, { replicas, primary: from.primary })
  await decisions.decide(0, from, changed)
  await decisions.decide(0, changed, activate(changed))
  decisions.close()
}

/** The set goes from drives 1, 2, 3 to 1, 4, 5; a backup has it as it was, and etcd goes on from that by elections alone. */
async function makeFork(t: Test) {
  const cluster = await makeCluster(t)
  const { records } = cluster
  await records.change(0, () => firstRecord(REPLICAS, 1))
  await records.change(0, (found) => found && takeLead(found, REPLICAS[0]!))
  await cluster.backUp()
  for (const drives of [
    [1, 2, 3, 4],
    [1, 2, 4],
    [1, 2, 4, 5],
    [1, 4, 5],
  ])
    await changeSet(records, drives)
  await cluster.restoreBackup()
  const stranger = await cluster.openStranger()
  for (const turn of [1, 2, 1, 2, 1, 2])
    await stranger.records.change(0, (found) => found && takeLead(found, REPLICAS[turn]!))
  return { ...cluster, stranger }
}

t.test('an etcd in which others were elected is a history of its own', async (t) => {
  const { restore, directory, records, stranger } = await makeFork(t)
  const before = stranger.records.get(0)
  const forked = { kind: 'forked', newest: [directory], others: ['etcd'] }
  t.same(await restore([directory]), forked)
  await stranger.coordinator.refresh()
  t.same(stranger.records.get(0), before, 'nothing was changed')
  t.match(await restore([directory], true), { kind: 'restored', from: directory })
  await stranger.coordinator.refresh()
  const record = stranger.records.get(0)!
  t.match(record, { replicas: replicasOn([1, 4, 5]), restoredFrom: records.get(0)!.epoch })
  t.ok(record.epoch > before!.epoch, 'above all that etcd gave')
})

t.test('what was forsaken stays so when the restore was cut short', async (t) => {
  const { restore, directory, etcd, stranger } = await makeFork(t)
  etcd.awayAfterTxns = 1
  await t.rejects(restore([directory], true), { code: 'ETCD_UNAVAILABLE' })
  etcd.awayAfterTxns = undefined
  etcd.mood = 'well'
  t.match(await restore([directory]), { kind: 'restored', from: directory })
  await stranger.coordinator.refresh()
  t.match(stranger.records.get(0), { replicas: replicasOn([1, 4, 5]) })
})

t.test(
  'numbers that nobody remembers are not given again, and partitions that know more are heard',
  async (t) => {
    const cluster = await makeCluster(t)
    const { coordinator, restore, directory } = cluster
    const bucket = {
      name: 'b',
      id: 1,
      createdMs: 0,
      region: 'r',
      revision: 1,
      state: 'live',
    } as const
    const known = await coordinator.decide((state) => ({ ...state, buckets: { b: bucket } }))
    await coordinator.close()
    const stranger = await cluster.openStranger()
    const changed = { ...bucket, revision: 9 }
    await stranger.coordinator.decide((state) => ({ ...state, buckets: { b: changed } }))
    await restore([directory], true)
    const { buckets, nextDriveId, nextBucketId } = await stranger.coordinator.refresh()
    t.ok(buckets.b!.revision > 1_000_000 + 8, 'above what etcd had as well')
    t.ok(nextDriveId >= known.nextDriveId + 1_000 && nextBucketId >= known.nextBucketId + 1_000_000)
  },
)

t.test('a record that a node changes meanwhile is not overwritten', async (t) => {
  const { records, coordinator, restore, directory, doMeanwhile } = await makeCluster(t)
  await records.change(0, () => firstRecord(REPLICAS, 1))
  await records.change(0, (found) => found && takeLead(found, REPLICAS[0]!))
  doMeanwhile(() => changeSet(records, [1, 2, 3, 4]))
  const refused = { code: 'COORDINATOR_UNAVAILABLE', why: 'contended', message: /run it again/ }
  await t.rejects(restore([directory]), refused)
  const doubted = { code: 'COORDINATOR_UNAVAILABLE', why: 'restored' }
  await t.rejects(coordinator.refresh(), doubted, 'nobody believes a part')
  t.match(await restore([directory]), { kind: 'restored' })
  await coordinator.refresh()
  t.match(records.get(0), { replicas: replicasOn([1, 2, 3, 4]), restoredFrom: 3 })
})

t.test('whether a drive is empty is counted again', async (t) => {
  const { coordinator, restore, directory } = await makeCluster(t)
  const drive = { id: 1, uuid: 'u', weight: 1, state: 'draining', isLeaving: true } as const
  await coordinator.decide((state) => ({
    ...state,
    map: { ...state.map, drives: [{ ...drive, closedEpoch: state.epoch, isVacated: true }] },
  }))
  await restore([directory])
  t.same((await coordinator.refresh()).map.drives, [drive])
  const { map } = await coordinator.decide(closeDrive(1))
  t.ok(map.drives[0]!.closedEpoch, 'from the beginning')
})

t.test('ids of drives end with what rows can name', async (t) => {
  const { coordinator, restore, directory } = await makeCluster(t)
  await coordinator.decide((state) => ({ ...state, nextDriveId: 65_000 }))
  await restore([directory])
  t.equal((await coordinator.refresh()).nextDriveId, 65_535)
  await restore([directory])
  t.equal((await coordinator.refresh()).nextDriveId, 65_535)
  await t.rejects(coordinator.decide(reserveDriveId()), /all ids of drives/)
  const last = await coordinator.decide((state) => ({ ...state, nextDriveId: 65_534 }))
  t.equal((await coordinator.decide(reserveDriveId())).nextDriveId, last.nextDriveId + 1)
})

t.test('orphans are held from a restore on, as long as they were before', async (t) => {
  const { coordinator, restore, directory, world } = await makeCluster(t)
  const beforeMs = world.clock.now()
  await restore([directory])
  const { orphanHold } = await coordinator.refresh()
  t.ok(orphanHold!.sinceMs >= beforeMs)
  await coordinator.decide((state) => ({ ...state, orphanHold: { sinceMs: 5 } }))
  await restore([directory])
  t.same((await coordinator.refresh()).orphanHold, { sinceMs: 5 })
})

t.test('numbers that a forsaken etcd gave are not given again', async (t) => {
  const cluster = await makeCluster(t)
  await cluster.backUp()
  await cluster.coordinator.decide((state) => ({ ...state, nextBucketId: 7 }))
  await cluster.restoreBackup()
  const { coordinator } = await cluster.openStranger()
  const given = { nextBucketId: 5_000_000, nextDriveId: 9_000 }
  await coordinator.decide((state) => ({ ...state, ...given }))
  await cluster.restore([cluster.directory], true)
  const { nextBucketId, nextDriveId } = await coordinator.refresh()
  t.ok(nextBucketId > given.nextBucketId && nextDriveId > given.nextDriveId)
})

t.test('directories that say nothing are refused', async (t) => {
  const { directory, restore } = await makeCluster(t)
  await t.rejects(restore([directory, tmpdir()]), { exitCode: 4, message: /no state directory/ })
  const known = join(directory, 'known')
  const bytes = await readFile(known)
  await writeFile(known, bytes.subarray(0, bytes.length - 2))
  await t.rejects(restore([directory]), { exitCode: 4, message: /damaged/ })
})

t.test('directories of two clusters are refused', async (t) => {
  const [one, other] = [await makeCluster(t), await makeCluster(t)]
  await t.rejects(one.restore([one.directory, other.directory]), {
    exitCode: 4,
    message: /different clusters/,
  })
})

t.test('an etcd that has another cluster stays as it is, also where it is forsaken', async (t) => {
  const [one, other] = [await makeCluster(t), await makeCluster(t)]
  const { clusterId } = one.coordinator.state
  const remembered = other.coordinator.state.clusterId
  const refused = { kind: 'other-cluster', present: clusterId, remembered }
  for (const forsakesEtcd of [false, true])
    t.same(await one.restore([other.directory], forsakesEtcd), refused)
  const state = await one.coordinator.decide((now) => ({ ...now, nextBucketId: 7 }))
  t.equal(state.clusterId, clusterId, 'it is believed as before')
})
