// An etcd that does not answer: nobody waits in turn for what was waited for in vain just now. The clock goes by hand.
import t, { type Test } from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import { silentLog } from '../../../../src/kit/log.ts'
import type { World } from '../../../../src/kit/world.ts'
import { EtcdCoordinator } from '../../../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../../../src/placement/etcd/etcd-client.ts'
import { PartitionRecords } from '../../../../src/placement/etcd/partition-records.ts'
import { addBucket, makeCluster, undecided } from '../../../contracts/etcd-coordinator.contract.ts'
import { openEtcdInMemory } from '../../../support/etcd-in-memory.ts'

await prepareDigests()

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

const TIMEOUT_MS = 2_000

/** What becomes of a request that is held. */
type Release = 'answered' | 'refused' | 'silent'

async function openHeld(t: Test) {
  const opened = await openEtcdInMemory()
  await makeCluster(opened)
  const held: ((release: Release) => void)[] = []
  const hand = { aheadMs: 0, isHolding: false, sent: 0 }
  const { clock, http } = opened.world
  const send: World['http']['send'] = async (request) => {
    hand.sent += 1
    if (!hand.isHolding) return await http.send(request)
    const release = await new Promise<Release>((resolve) => held.push(resolve))
    if (release === 'silent') hand.aheadMs += TIMEOUT_MS
    if (release !== 'answered') throw new Error(release)
    return await http.send(request)
  }
  const monotonicMs = (): number => clock.monotonicMs() + hand.aheadMs
  const world: World = {
    ...opened.world,
    clock: {
      ...clock,
      now: () => clock.now(),
      sleep: (...all) => clock.sleep(...all),
      monotonicMs,
    },
    http: { send, lines: (...all) => http.lines(...all) },
  }
  const etcd = new EtcdClient({ endpoints: [opened.endpoint] }, world)
  const coordinator = await EtcdCoordinator.open({}, { world, etcd, log: silentLog })
  t.teardown(async () => {
    hand.isHolding = false
    for (const release of held.splice(0)) release('refused')
    await coordinator.close()
  })
  /** The next request that is held, as soon as there is one. */
  const next = async (): Promise<(release: Release) => void> => {
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve))
    return held.shift()!
  }
  return { coordinator, records: new PartitionRecords(coordinator.mirror, world), hand, next }
}

t.test('who stood in line while etcd was silent is told at once', async (t) => {
  const { coordinator, records, hand, next } = await openHeld(t)
  hand.isHolding = true
  const before = hand.sent
  const asked = [
    ...['a', 'b', 'c'].map((name) => coordinator.decide(addBucket(name))),
    ...[0, 1, 2].map((partition) => records.change(partition, () => undefined)),
    coordinator.refresh(),
  ]
  const all = Promise.allSettled(asked)
  const release = await next()
  release('silent')
  for (const outcome of await all)
    t.match(outcome, { status: 'rejected', reason: undecided('away') })
  t.equal(hand.sent - before, 1, 'it is asked once for all of them')
  hand.isHolding = false
  t.ok(await coordinator.decide(addBucket('d')), 'who comes later asks again')
})

t.test('who is refused at once keeps nobody from asking', async (t) => {
  const { coordinator, records, hand, next } = await openHeld(t)
  hand.isHolding = true
  const refused = records.change(0, () => undefined)
  const second = records.change(1, () => undefined)
  const third = coordinator.decide(addBucket('a'))
  const release = await next()
  hand.isHolding = false
  release('refused')
  await t.rejects(refused, undecided('away'))
  t.match(await second, { kind: 'unchanged' })
  t.ok((await third).buckets.a)
})

t.test('a decision that waits behind others for too long is not begun', async (t) => {
  const { coordinator, hand, next } = await openHeld(t)
  hand.isHolding = true
  const first = coordinator.decide(addBucket('a'))
  const second = coordinator.decide(addBucket('b'))
  const release = await next()
  hand.aheadMs += 10_000
  hand.isHolding = false
  release('answered')
  t.ok((await first).buckets.a, 'what was under way is gone on with')
  await t.rejects(second, undecided('contended', /its turn/))
  t.notOk(coordinator.state.buckets.b)
})
