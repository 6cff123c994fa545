// Leadership of partitions, registration of nodes, and restoring, whatever etcd is behind them.
import type { Test } from 'tap'
import { silentLog } from '../../src/kit/log.ts'
import { EtcdClient } from '../../src/placement/etcd/etcd-client.ts'
import { firstRecord, takeLead } from '../../src/placement/etcd/leadership.ts'
import { type NodeRegistration, NodeRegistry } from '../../src/placement/etcd/node-registry.ts'
import { PartitionRecords } from '../../src/placement/etcd/partition-records.ts'
import { restoreCoordinator } from '../../src/placement/etcd/restore-coordinator.ts'
import { EPOCHS_OF_GENERATION } from '../../src/placement/etcd/state-keys.ts'
import type { EtcdUnderTest, OpenEtcd } from './etcd-client.contract.ts'
import {
  addBucket,
  type Member,
  makeCluster,
  membersOf,
  undecided,
} from './etcd-coordinator.contract.ts'

const REPLICAS = [1, 2, 3].map((driveId) => ({ driveId, incarnation: `i${driveId}` }))

export function etcdClusterContract(t: Test, open: OpenEtcd): void {
  t.test('of those who want to lead a partition in an epoch one does', async (t) => {
    const etcd = await open(t)
    await makeCluster(etcd)
    const { start } = await membersOf(t, etcd)
    const members = [await start(), await start(), await start()]
    const records = members.map((member) => recordsOf(member, etcd))
    const made = await records[0]!.change(5, (found) => found ?? firstRecord(REPLICAS, 1))
    t.equal(made.kind, 'changed')
    for (const epoch of [2, 3, 4]) {
      const outcomes = await Promise.all(
        records.map((own, index) =>
          own.change(5, (found) =>
            found?.epoch === epoch - 1 ? takeLead(found, REPLICAS[index]!) : undefined,
          ),
        ),
      )
      t.equal(outcomes.filter(({ kind }) => kind === 'changed').length, 1)
      const seen = await Promise.all(records.map((own) => own.change(5, () => undefined)))
      for (const outcome of seen) t.match(outcome, { kind: 'unchanged', found: { epoch } })
      const [winner] = outcomes.flatMap((outcome) =>
        outcome.kind === 'changed' ? [outcome.record] : [],
      )
      t.same(records[0]!.get(5), winner)
    }
    t.equal(records[0]!.get(6), undefined)
  })

  t.test('a record is told to who watches', async (t) => {
    const etcd = await open(t)
    await makeCluster(etcd)
    const { start } = await membersOf(t, etcd)
    const [one, other] = [await start(), await start()]
    const told = new Promise((resolve) => {
      recordsOf(other, etcd).watch((partitionId, { epoch }) => resolve([partitionId, epoch]))
    })
    await recordsOf(one, etcd).change(3, () => firstRecord(REPLICAS, 7))
    t.same(await told, [3, 7])
  })

  t.test('a node says where it is, and that it is there', async (t) => {
    const etcd = await open(t)
    await makeCluster(etcd)
    const { start } = await membersOf(t, etcd)
    const [one, other] = [await start(), await start()]
    const node: NodeRegistration = {
      id: 'n1',
      address: 'http://127.0.0.1:9100',
      zone: 'a',
      protocol: 1,
      bootId: 'b1',
    }
    const registry = new NodeRegistry(one.coordinator.mirror, { world: etcd.world, log: silentLog })
    await registry.register(node)
    await registry.register(node)
    const moved = { ...node, bootId: 'b2', address: 'http://127.0.0.2:9100' }
    await registry.register(moved)
    await other.coordinator.decide(() => undefined)
    const seen = new NodeRegistry(other.coordinator.mirror, { world: etcd.world, log: silentLog })
    t.same(seen.list(), [moved])

    const stopping = new AbortController()
    const signs = registry.showSigns('n1', stopping.signal)
    while (!(await seen.hints()).has('n1')) await etcd.world.clock.sleep(10)
    stopping.abort()
    await signs
    t.same([...(await seen.hints())], [])
    await other.coordinator.decide(() => undefined)
    t.same(seen.list(), [moved], 'where it is stays known')
  })

  t.test('what nodes remember takes the place of what etcd lost', async (t) => {
    const etcd = await open(t)
    await makeCluster(etcd)
    const { start } = await membersOf(t, etcd)
    const [one, other] = [await start(), await start()]
    const records = recordsOf(one, etcd)
    await one.coordinator.decide(addBucket('early'))
    await records.change(0, () => firstRecord(REPLICAS, 1))
    await other.coordinator.decide(addBucket('gone'))
    await etcd.backUp()
    const before = await one.coordinator.decide(
      ({ buckets: { gone: _gone, ...buckets }, ...rest }) => ({
        ...rest,
        buckets,
      }),
    )
    const last = await one.coordinator.decide(addBucket('late'))
    await records.change(0, (found) => found && takeLead(found, REPLICAS[1]!))
    await etcd.restoreBackup()
    await t.rejects(one.coordinator.decide(addBucket('x')), undecided('restored'))
    await t.rejects(
      records.change(0, (found) => found && takeLead(found, REPLICAS[2]!)),
      undecided('restored'),
    )

    const client = new EtcdClient({ endpoints: [etcd.endpoint] }, etcd.world)
    const evidence = [
      { name: 'one', known: one.coordinator.mirror.image },
      { name: 'other', known: other.coordinator.mirror.image },
    ]
    const parts = { etcd: client, world: etcd.world }
    const outcome = await restoreCoordinator(evidence, {}, parts)
    const epoch = 2 * EPOCHS_OF_GENERATION
    t.match(outcome, { kind: 'restored', from: 'one', epoch, asOf: { epoch: last.epoch } })

    const state = await one.coordinator.decide(() => undefined)
    t.equal(state.epoch, epoch)
    t.same(Object.keys(state.buckets), Object.keys(last.buckets))
    t.same(Object.keys(state.buckets), [...Object.keys(before.buckets), 'late'])
    t.ok(state.buckets.early!.revision > 1_000_000, 'above what any partition heard of')
    t.ok(state.nextDriveId > last.nextDriveId + 999, 'of drives that came meanwhile')
    t.ok(state.nextBucketId > last.nextBucketId + 999_999)
    const record = records.get(0)
    t.match(record, { epoch: epoch + 3, primary: undefined, replicas: REPLICAS })
    t.equal((await one.restart()).coordinator.standing.kind, 'current')
    const next = await other.coordinator.decide(addBucket('after'))
    t.equal(next.epoch, epoch + 1)
  })

  t.test('a restored etcd that went on is not given up without a word', async (t) => {
    const etcd = await open(t)
    await makeCluster(etcd)
    const { start } = await membersOf(t, etcd)
    const one = await start()
    await etcd.backUp()
    await one.coordinator.decide(addBucket('a'))
    await etcd.restoreBackup()
    const fresh = await start()
    await fresh.coordinator.decide(addBucket('b'))
    await fresh.coordinator.decide(addBucket('c'))
    const client = new EtcdClient({ endpoints: [etcd.endpoint] }, etcd.world)
    const parts = { etcd: client, world: etcd.world }
    const evidence = [{ name: 'one', known: one.coordinator.mirror.image }]
    t.same(await restoreCoordinator(evidence, {}, parts), {
      kind: 'forked',
      newest: ['etcd'],
      others: ['one'],
    })
    const forsaken = await restoreCoordinator(evidence, { forsakeEtcd: true }, parts)
    t.equal(forsaken.kind, 'restored')
    t.same(Object.keys((await one.coordinator.decide(() => undefined)).buckets), ['a'])
  })
}

function recordsOf({ coordinator }: Member, { world }: EtcdUnderTest): PartitionRecords {
  return new PartitionRecords(coordinator.mirror, world)
}
