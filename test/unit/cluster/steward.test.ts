// What a node does for the whole cluster: it sees who answers, begins the cluster, and takes the drives of dead nodes off the map.
import t from 'tap'
import { awaitBeginning, beginCluster } from '../../../src/cluster/begin-cluster.ts'
import { NodePulse } from '../../../src/cluster/node-pulse.ts'
import { Steward } from '../../../src/cluster/steward.ts'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { silentLog } from '../../../src/kit/log.ts'
import type { Clock } from '../../../src/kit/world.ts'
import { hasTable } from '../../../src/placement/cluster-map.ts'
import type { Change, ClusterState } from '../../../src/placement/coordinator.ts'
import { addDrives, type NewDrive } from '../../../src/placement/coordinator-changes.ts'
import { EtcdCoordinator } from '../../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../../src/placement/etcd/etcd-client.ts'
import { PartitionRecords } from '../../../src/placement/etcd/partition-records.ts'
import { emptyClusterMap, planFirstMap } from '../../../src/placement/first-map.ts'
import { NodeRefused, NodeUnreachable } from '../../../src/storage-node/rpc/trouble.ts'
import { membersOf } from '../../contracts/etcd-coordinator.contract.ts'
import { openEtcdInMemory } from '../../support/etcd-in-memory.ts'

await prepareDigests()

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

function stateOf(nodes: number): ClusterState {
  return {
    ...{ clusterId: 'c', epoch: 1, metaPartitions: [], buckets: {}, nextBucketId: 1 },
    nextDriveId: 100,
    map: emptyClusterMap('7', { partitionCount: 64, metaPartitionCount: 8 }),
    cluster: { nodesExpected: nodes, secret: '00' },
  }
}

function drivesOf(nodes: number): NewDrive[] {
  return Array.from({ length: nodes }, (_, at) => ({
    ...{ id: at + 1, uuid: `drive-${at + 1}`, weight: 1000, path: '/d', nodeId: `n${at + 1}` },
  }))
}

/** A state with its table, and who changes it. */
function startedCluster(nodes: number) {
  const added = addDrives(drivesOf(nodes))(stateOf(nodes))!
  const plan = planFirstMap({ ...added, epoch: 2 })
  if (plan.kind !== 'possible') throw new Error(plan.kind)
  const coordinator = {
    state: { ...added, epoch: 3, map: plan.map } as ClusterState,
    decide: async (change: Change) => {
      const next = change(coordinator.state)
      if (next) coordinator.state = { ...next, epoch: coordinator.state.epoch + 1 }
      return coordinator.state
    },
    watch: () => () => {},
  }
  return coordinator
}

class ClockByHand implements Clock {
  ms = 0
  now(): number {
    return this.ms
  }
  monotonicMs(): number {
    return this.ms
  }
  sleep(): Promise<void> {
    return new Promise(() => {})
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function pulseOf(nodes: readonly string[]) {
  const clock = new ClockByHand()
  const dead = new Map<string, () => Error>()
  const ping = async (id: string): Promise<void> => {
    const trouble = dead.get(id)
    if (trouble) throw trouble()
  }
  const pulse = new NodePulse({ world: { clock }, log: silentLog, nodes: () => nodes, ping })
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      clock.ms += 1_000
      pulse.look()
      await turn()
    }
  }
  return { pulse, clock, dead, pass }
}

const unreachable = (): Error => new NodeUnreachable('nothing came', 'unknown')

t.test('a node is away after three seconds, and there with its first answer', async (t) => {
  const { pulse, dead, pass } = pulseOf(['a', 'b'])
  t.notOk(pulse.isAway('a') || pulse.answers('a'), 'nobody knows yet')
  await pass(2)
  t.ok(pulse.answers('a'))
  dead.set('a', unreachable)
  await pass(2)
  t.notOk(pulse.isAway('a'))
  await pass(2)
  t.ok(pulse.isAway('a') && !pulse.answers('a'))
  t.ok(pulse.answers('b'))
  dead.set('a', () => new NodeRefused('it does not know that', 'unknown-request'))
  await pass(1)
  t.ok(pulse.answers('a'), 'who refuses is there')
})

t.test('who was stopped does not take the others for dead', async (t) => {
  const { pulse, clock, dead, pass } = pulseOf(['a'])
  await pass(2)
  clock.ms += 3_600_000
  dead.set('a', unreachable)
  await pass(1)
  t.ok(pulse.silentMs('a') <= 5_000)
})

t.test('a moment in which this process itself stood still puts nobody aside', async (t) => {
  const { pulse, clock, dead, pass } = pulseOf(['a', 'b'])
  await pass(3)
  clock.ms += 1_000
  pulse.look()
  // The answer to that question is here, and was not read yet when everything stood still.
  clock.ms += 4_000
  pulse.look()
  t.notOk(pulse.isAway('a') || pulse.isAway('b'))
  await turn()
  dead.set('a', unreachable)
  await pass(4)
  t.ok(pulse.isAway('a') && !pulse.isAway('b'))
})

t.test('who has answered something else just now is not asked', async (t) => {
  let asked = 0
  const clock = new ClockByHand()
  const ping = async (): Promise<void> => {
    asked += 1
    throw unreachable()
  }
  let heardMs = 0
  const parts = { world: { clock }, log: silentLog, nodes: () => ['a'], ping }
  const pulse = new NodePulse({ ...parts, heardMs: () => heardMs })
  const pass = async (): Promise<void> => {
    clock.ms += 1_000
    pulse.look()
    await turn()
  }
  for (let second = 0; second < 5; second += 1) {
    heardMs = clock.ms + 600
    await pass()
  }
  t.equal(asked, 0)
  t.ok(pulse.answers('a'))
  for (let second = 0; second < 3; second += 1) await pass()
  t.equal(asked, 3)
  t.ok(pulse.isAway('a'), 'it says nothing any more')
})

t.test('a question that is not answered is not asked again beside', async (t) => {
  let asked = 0
  const clock = new ClockByHand()
  const ping = (): Promise<void> => {
    asked += 1
    return new Promise(() => {})
  }
  const pulse = new NodePulse({ world: { clock }, log: silentLog, nodes: () => ['a'], ping })
  for (let second = 0; second < 10; second += 1) {
    clock.ms += 1_000
    pulse.look()
  }
  t.equal(asked, 1)
  t.ok(pulse.isAway('a'))
})

const NODES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6']

/** The steward of six nodes, on n1, and what the others say when they are asked. */
function stewardOfSix() {
  const coordinator = startedCluster(6)
  const { pulse, clock, dead, pass } = pulseOf(NODES.slice(1))
  /** Nodes that the others do not hear, by who says so. Who is dead says nothing. */
  const unheard = new Map<string, readonly string[]>()
  const charge = { is: true }
  const steward = new Steward({
    ...{ world: { clock }, log: silentLog, coordinator, pulse, nodeId: 'n1' },
    nodes: () => NODES,
    askWhomItHears: async (by) => {
      const trouble = dead.get(by)
      if (trouble) throw trouble()
      return NODES.filter((nodeId) => nodeId !== by).map((nodeId) => {
        const isUnheard = unheard.get(by)?.includes(nodeId) === true
        return { nodeId, silentMs: isUnheard ? 3_600_000 : 0, hasAnswered: true }
      })
    },
    isInCharge: () => charge.is,
  })
  const outs = (): number[] =>
    coordinator.state.map.drives.filter(({ state }) => state === 'out').map(({ id }) => id)
  return { coordinator, dead, pass, unheard, charge, steward, outs }
}

t.test('after 15 minutes the drives of a dead node are out; with it they are back', async (t) => {
  const { coordinator, dead, pass, unheard, charge, steward, outs } = stewardOfSix()
  await pass(2)
  dead.set('n3', unreachable)
  await pass(890)
  await steward.look()
  t.same(outs(), [])
  await pass(20)
  for (const by of ['n2', 'n4', 'n5', 'n6']) unheard.set(by, ['n3'])
  charge.is = false
  await steward.look()
  t.same(outs(), [], 'only who is in charge decides')
  charge.is = true
  await steward.look()
  t.same(outs(), [3])
  const { epoch } = coordinator.state
  await steward.look()
  t.equal(coordinator.state.epoch, epoch, 'nothing more to decide')
  dead.delete('n3')
  await pass(1)
  await steward.look()
  t.same(outs(), [3], 'one that hears it again is not most of them')
  unheard.clear()
  await steward.look()
  t.same(outs(), [])
})

t.test('a link that is cut for hours takes no drive out, whoever does the chores', async (t) => {
  const { dead, pass, unheard, steward, outs } = stewardOfSix()
  await pass(2)
  dead.set('n3', unreachable)
  unheard.set('n5', ['n4'])
  await pass(10_000)
  await steward.look()
  t.same(outs(), [], 'n1 does not hear n3, and n5 not n4')
})

t.test('also the node that does the chores is out when nobody hears it', async (t) => {
  const { pass, unheard, steward, outs } = stewardOfSix()
  await pass(2)
  for (const by of ['n2', 'n3', 'n4']) unheard.set(by, ['n1'])
  await steward.look()
  t.same(outs(), [1])
})

t.test('two nodes begin a cluster at the same time: one table, one record each', async (t) => {
  const opened = await openEtcdInMemory()
  const etcd = new EtcdClient({ endpoints: [opened.endpoint] }, opened.world)
  await EtcdCoordinator.create(stateOf(3), { etcd, world: opened.world })
  const { start } = await membersOf(t, opened)
  const members = await Promise.all([start(), start()])
  const begins = members.map(({ coordinator }) => {
    const records = new PartitionRecords(coordinator.mirror, opened.world)
    return { world: opened.world, log: silentLog, coordinator, records }
  })
  t.match(await beginCluster(begins[0]!), /0 of 3 nodes/)
  for (const drive of drivesOf(3))
    await members[drive.id % 2]!.coordinator.decide(addDrives([drive]))
  for (const { coordinator } of members) await coordinator.decide(() => undefined)
  const all = await Promise.all(begins.map((parts) => beginCluster(parts)))
  t.same(all, [undefined, undefined])
  const states = await Promise.all(
    members.map(({ coordinator }) => coordinator.decide(() => undefined)),
  )
  t.ok(hasTable(states[0]!.map))
  t.same(states[0]!.map, states[1]!.map)
  const [one, other] = begins.map(({ records }) =>
    Array.from({ length: 8 }, (_, id) => records.get(id)),
  )
  t.same(one, other)
  t.ok(one!.every((record) => record?.replicas.length === 3 && record.primary === undefined))
  const before = opened.etcd.backup()
  await beginCluster(begins[0]!)
  t.equal(opened.etcd.backup().revision, before.revision, 'it begins once')
  const beginning = awaitBeginning({ ...begins[0]!, nodeId: 'n1' })
  await beginning.stop()
})
