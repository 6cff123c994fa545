// Partitions that are asked wherever they are led: redirects, lost answers, nodes that hang, and what may be concluded.
import t, { type Test } from 'tap'
import { Overloaded } from '../../../../src/kit/semaphore.ts'
import type { MetadataPartition, ReachablePartition } from '../../../../src/metadata/contract.ts'
import { MetadataUnavailable } from '../../../../src/metadata/unavailable.ts'
import {
  type PartitionWaits,
  remotePartitions,
} from '../../../../src/storage-node/rpc/remote-partition.ts'
import { NodeUnreachable } from '../../../../src/storage-node/rpc/trouble.ts'
import { PATIENT_WORLD, PartitionNodes, type Sent } from '../../../support/partition-nodes.ts'
import {
  bucket,
  everything,
  openFixture,
  Store,
  TestClock,
} from '../../metadata/partition-fixture.ts'

/** Commands of the uids of this clock are young enough for partitions whose clock it is. */
interface Cluster {
  nodes: PartitionNodes
  partitions: readonly ReachablePartition[]
  /** Commands for partition 0. */
  store: Store
  /** Partition 0, where it is. */
  local: MetadataPartition
  fixture: Awaited<ReturnType<typeof openFixture>>
}

async function openCluster(
  t: Test,
  waits: Partial<PartitionWaits> = {},
  count = 1,
): Promise<Cluster> {
  const clock = new TestClock()
  const fixture = await openFixture({}, undefined, clock)
  const nodes = new PartitionNodes()
  const parts = { primaries: nodes, transport: nodes, world: PATIENT_WORLD }
  const { partitions, close } = remotePartitions(count, parts, waits)
  t.teardown(close)
  const { partition: local } = fixture
  const store = new Store({ ...local, ...partitions[0]! }, clock)
  return { nodes, partitions, store, local, fixture }
}

const lost = (): Promise<never> => Promise.reject(new NodeUnreachable('lost', 'unknown'))

function never(): Promise<never> {
  return new Promise(() => {})
}

t.test('who is sent to another node goes there, and remembers it', async (t) => {
  const { nodes, store, local } = await openCluster(t)
  nodes.add(
    'n1',
    () => undefined,
    () => 'n2',
  )
  nodes.add('n2', () => local)
  nodes.setPrimary(0, 'n1')
  t.match(await store.put('k', 'a'), { kind: 'done' })
  t.match(await store.get('k'), { etag: 'a' })
  t.same(
    nodes.sent.map(({ to }) => to),
    ['n1', 'n2', 'n2'],
  )
})

t.test('nodes that send on to each other are asked no more than now and then', async (t) => {
  const { nodes, store } = await openCluster(t, { commitMs: 400 })
  nodes.add(
    'n1',
    () => undefined,
    () => 'n2',
  )
  nodes.add(
    'n2',
    () => undefined,
    () => 'n1',
  )
  nodes.setPrimary(0, 'n1')
  const failed = await store.put('k', 'a').catch((error) => error)
  t.ok(failed instanceof MetadataUnavailable)
  t.ok(nodes.sent.length < 30, `${nodes.sent.length} requests`)
  await failed.lateEnd
})

t.test('nobody leads yet: who asks waits until somebody is heard', async (t) => {
  const { nodes, store, local } = await openCluster(t)
  nodes.add('n1', () => local)
  const put = store.put('k', 'a')
  setImmediate(() => nodes.setPrimary(0, 'n1'))
  t.match(await put, { kind: 'done' })
})

t.test(
  'an answer that is lost is asked for again: the same command answers the same',
  async (t) => {
    const { nodes, store, local, fixture } = await openCluster(t)
    nodes.add('n1', () => local)
    nodes.add('n2', () => local)
    nodes.setPrimary(0, 'n1')
    nodes.fault = async ({ to }, deliver) => {
      const answer = await deliver()
      if (to === 'n2') return answer
      // The primary was killed after it had made the command durable, and another has its log.
      nodes.setPrimary(0, 'n2')
      return await lost()
    }
    const done = await store.put('k', 'a', { conditions: { ifNoneMatch: ['*'] } })
    t.match(done, { kind: 'done', version: { etag: 'a' } })
    t.equal(fixture.log.applied.length, 1, 'it was done once')
    t.same(
      nodes.sent.map(({ to }) => to),
      ['n1', 'n2'],
    )
  },
)

t.test('a node that hangs is waited for only until another is heard to lead', async (t) => {
  const { nodes, store, local } = await openCluster(t)
  nodes.add('n2', () => local)
  nodes.setPrimary(0, 'n1')
  nodes.fault = ({ to }, deliver) => {
    if (to === 'n2') return deliver()
    setImmediate(() => nodes.setPrimary(0, 'n2'))
    return never()
  }
  t.match(await store.get('k'), undefined)
  t.same(
    nodes.sent.map(({ to }) => to),
    ['n1', 'n2'],
  )
})

t.test('a node that hangs is asked again after a while', async (t) => {
  const { nodes, store, local } = await openCluster(t, { attemptMs: 30 })
  nodes.add('n1', () => local)
  nodes.setPrimary(0, 'n1')
  nodes.fault = ({ request }, deliver) => (nodes.sent.length > 1 ? deliver() : lateAt(request))
  t.match(await store.get('k'), undefined)
  t.equal(nodes.sent.length, 2)
})

/** What a lane does about a request that has no answer. */
async function lateAt({ deadlineMs }: Sent['request']): Promise<never> {
  await PATIENT_WORLD.clock.sleep(deadlineMs - PATIENT_WORLD.clock.monotonicMs() + 1)
  return await lost()
}

t.test('a refusal counts once nothing of the command is under way any more', async (t) => {
  for (const arrives of ['in time', 'too late'] as const) {
    const { nodes, store, local } = await openCluster(t, { attemptMs: 150 })
    nodes.add('n1', () => local)
    nodes.add('n2', () => local)
    nodes.setPrimary(0, 'n1')
    await store.put('k', 'first')
    const direct = new Store(local, new TestClock())
    let resolve = (): void => {}
    const refusedOnce = new Promise<void>((settle) => {
      resolve = settle
    })
    let first: Promise<unknown> | undefined
    nodes.fault = async ({ to, request }, deliver) => {
      if (to === 'n2') return await deliver()
      // It is held up on its way, and who asks hears that another leads.
      const after = arrives === 'in time' ? refusedOnce : lateAt(request).catch(() => undefined)
      first = after.then(() => deliver()).catch(() => undefined)
      setImmediate(() => nodes.setPrimary(0, 'n2'))
      return await never()
    }
    const conditions = { ifMatch: ['second'] }
    const put = store.put('k', 'third', { conditions })
    await until(() => nodes.sent.length === 3)
    await PATIENT_WORLD.clock.sleep(20)
    // The second attempt was refused. What it was refused for is true now, when the first one arrives.
    await direct.put('k', 'second')
    resolve()
    const answer = await put
    await first
    const current = (await direct.get('k')) as { etag: string }
    t.equal(answer.kind === 'done', current.etag === 'third', arrives)
  }
})

for (const how of ['alone', 'with others'] as const) {
  const title = `a deletion of what was not there, ${how}, counts once nothing of it is under way`
  t.test(title, async (t) => {
    const { nodes, store, local } = await openCluster(t, { attemptMs: 150 })
    nodes.add('n1', () => local)
    nodes.add('n2', () => local)
    nodes.setPrimary(0, 'n1')
    let deliverFirst = (): void => {}
    const isHeldUp = new Promise<void>((settle) => {
      deliverFirst = settle
    })
    let first: Promise<unknown> | undefined
    nodes.fault = async ({ to }, deliver) => {
      if (to === 'n2') return await deliver()
      first = isHeldUp.then(() => deliver()).catch(() => undefined)
      setImmediate(() => nodes.setPrimary(0, 'n2'))
      return await never()
    }
    let isAnswered = false
    const deleted = how === 'alone' ? store.delete('k') : store.deleteMany(['other', 'k'])
    const deletion = deleted.then(() => {
      isAnswered = true
    })
    await until(() => nodes.sent.length === 2)
    await PATIENT_WORLD.clock.sleep(20)
    // The second attempt found nothing to delete. Whoever hears of that may put, and the first one arrives.
    const direct = new Store(local, new TestClock())
    const wasAnswered = isAnswered
    await direct.put('k', 'new')
    deliverFirst()
    await deletion
    await first
    t.notOk(wasAnswered, 'not while the first attempt may still delete something')
  })
}

t.test('that too much waits is told only where surely nothing was done', async (t) => {
  const { nodes, store, local } = await openCluster(t, { commitMs: 300, attemptMs: 300 })
  nodes.add('n1', () => local)
  nodes.setPrimary(0, 'n1')
  nodes.fault = () => Promise.reject(new Overloaded('too much'))
  await t.rejects(store.put('k', 'a'), Overloaded)
  let count = 0
  nodes.fault = (_sent, deliver) => {
    count += 1
    return count === 1 ? deliver().then(lost) : Promise.reject(new Overloaded('too much'))
  }
  await t.rejects(store.put('k', 'a'), MetadataUnavailable)
  t.match(await local.getObject(bucket, 'k'), { etag: 'a' }, 'it was done')
})

t.test('a partition that takes no more is unavailable, and says so in time', async (t) => {
  const { nodes, store, local, fixture } = await openCluster(t, { commitMs: 100, questionMs: 100 })
  nodes.add('n1', () => local)
  nodes.setPrimary(0, 'n1')
  fixture.log.fail()
  const failed = await store.put('k', 'a').catch((error) => error)
  t.ok(failed instanceof MetadataUnavailable)
  await failed.lateEnd
})

t.test('a page of a listing goes to each node at once', async (t) => {
  const { nodes, partitions, local } = await openCluster(t, {}, 8)
  nodes.add('n1', () => local)
  for (const { id } of partitions) nodes.setPrimary(id, 'n1')
  await Promise.all(partitions.map((partition) => partition.scanObjects(everything)))
  t.same(
    nodes.sent.map(({ lane }) => lane),
    Array(8).fill('walk'),
    'in one lane',
  )
})

t.test('nobody listens to the hints after the end', async (t) => {
  const { nodes } = await openCluster(t)
  t.equal(nodes.listeners, 1)
  const parts = { primaries: nodes, transport: nodes, world: PATIENT_WORLD }
  remotePartitions(64, parts).close()
  t.equal(nodes.listeners, 1)
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
