// Changes whose answer was lost at one member of etcd, and what the next one says: nothing that was made, or may be still, is
// said to have been left undone.
import t, { type Test } from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import { silentLog } from '../../../../src/kit/log.ts'
import type { HttpAnswer, World } from '../../../../src/kit/world.ts'
import { EtcdCoordinator } from '../../../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../../../src/placement/etcd/etcd-client.ts'
import { firstRecord } from '../../../../src/placement/etcd/leadership.ts'
import { PartitionRecords } from '../../../../src/placement/etcd/partition-records.ts'
import { addBucket, makeCluster, undecided } from '../../../contracts/etcd-coordinator.contract.ts'
import { openEtcdInMemory } from '../../../support/etcd-in-memory.ts'

await prepareDigests()

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

const FIRST = 'http://first.test:2379'
const NO_SPACE: HttpAnswer = {
  status: 429,
  text: JSON.stringify({ code: 8, message: 'etcdserver: mvcc: database space exceeded' }),
}

/** What becomes of a transaction; `lost`: it is made, and nobody hears of it. */
type Fate = 'lost' | 'on its way' | 'no space' | 'well'

/** Two members of one etcd, whose transactions have these fates, one after the other. */
async function openMembers(t: Test) {
  const opened = await openEtcdInMemory()
  await makeCluster(opened)
  const { clock, http } = opened.world
  const hand = { fates: [] as Fate[], aheadMs: 0 }
  const send: World['http']['send'] = async (request) => {
    const fate = request.url.endsWith('kv/txn') ? (hand.fates.shift() ?? 'well') : 'well'
    if (fate === 'no space') return NO_SPACE
    const url = request.url.replace(FIRST, opened.endpoint)
    if (fate !== 'on its way') {
      const answer = await http.send({ ...request, url })
      if (fate === 'well') return answer
    }
    throw new Error('the connection broke')
  }
  const world: World = {
    ...opened.world,
    clock: {
      now: () => clock.now(),
      sleep: (...all) => clock.sleep(...all),
      monotonicMs: () => clock.monotonicMs() + hand.aheadMs,
    },
    http: { ...http, send, lines: (...all) => http.lines(...all) },
  }
  const etcd = new EtcdClient({ endpoints: [FIRST, opened.endpoint] }, world)
  const coordinator = await EtcdCoordinator.open({}, { world, etcd, log: silentLog })
  t.teardown(() => coordinator.close())
  return { hand, etcd, world, coordinator }
}

t.test('one member refuses what another one did: it was decided', async (t) => {
  const { hand, coordinator } = await openMembers(t)
  hand.fates = ['lost', 'no space']
  const { buckets } = await coordinator.decide(addBucket('a'))
  t.same(Object.keys(buckets), ['a'])
})

t.test('one that is found only when its time is over was decided, too', async (t) => {
  const { hand, coordinator } = await openMembers(t)
  hand.fates = ['lost']
  let asked = 0
  const { nextDriveId } = await coordinator.decide((state) => {
    asked += 1
    hand.aheadMs = 20_000
    return { ...state, nextDriveId: state.nextDriveId + 1 }
  })
  t.same([asked, nextDriveId], [1, 5])
})

t.test('what may be on its way still is open, whatever is refused since', async (t) => {
  const { hand, coordinator } = await openMembers(t)
  hand.fates = ['on its way', 'no space', 'no space']
  await t.rejects(coordinator.decide(addBucket('a')), undecided('open', /space exceeded/))
  hand.fates = ['no space']
  await t.rejects(coordinator.decide(addBucket('a')), undecided('refused'), 'this one is not')
  t.ok((await coordinator.decide(addBucket('a'))).buckets.a)
})

t.test('the same of a partition', async (t) => {
  const { hand, world, coordinator } = await openMembers(t)
  const records = new PartitionRecords(coordinator.mirror, world)
  const replicas = [1, 2, 3].map((driveId) => ({ driveId, incarnation: `i${driveId}` }))
  hand.fates = ['on its way', 'on its way', 'no space', 'no space']
  await t.rejects(
    records.change(0, () => firstRecord(replicas, 1)),
    undecided('open'),
  )
  hand.fates = ['no space']
  await t.rejects(
    records.change(0, () => firstRecord(replicas, 1)),
    undecided('refused'),
  )
})

t.test('a client says that nobody knows, of changes only', async (t) => {
  const { hand, etcd } = await openMembers(t)
  const put = { kind: 'put', key: 'k', value: Buffer.from('v') } as const
  const txn = { compare: [{ key: 'k', modRevision: 0 }], changes: [put] }
  hand.fates = ['no space']
  await t.rejects(etcd.txn(txn), { code: 'ETCD_REFUSED' }, 'the first that was asked')
  hand.fates = ['lost', 'no space']
  await t.rejects(etcd.txn(txn), { code: 'ETCD_UNAVAILABLE', message: /space exceeded/ })
  t.equal((await etcd.range({ key: 'k' })).count, 1)
})
