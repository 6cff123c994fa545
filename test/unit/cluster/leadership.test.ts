// Who leads: a node that stops hands everything over, and one that leads too much gives some away, to those who lead least.
import t from 'tap'
import { Leadership } from '../../../src/cluster/leadership.ts'
import { silentLog } from '../../../src/kit/log.ts'
import type { Decision, ReplicaId } from '../../../src/metadata/replication/decision.ts'
import type { Reigning } from '../../../src/storage-node/replicated/contract.ts'

const NODES = ['n1', 'n2', 'n3', 'n4']
const replicaOn = (node: number): ReplicaId => `${node}-0123456789abcdef` as ReplicaId

/** Partitions with three replicas each, led by node 1 to begin with; what is handed over is decided at once, unless `decides` is false. */
class Cluster {
  readonly decisions = new Map<number, Decision>()
  readonly reigns = new Map<number, AbortController>()
  readonly asked: number[] = []
  fit: readonly string[] = NODES
  decides = true
  nowMs = 0
  readonly leadership: Leadership

  constructor(partitions: number) {
    const reigns = Array.from({ length: partitions }, (_, id) => this.#begin(id))
    const clock = {
      now: () => this.nowMs,
      monotonicMs: () => this.nowMs,
      sleep: async (ms: number) => {
        this.nowMs += ms
      },
    }
    this.leadership = new Leadership({
      ...{ world: { clock }, log: silentLog, nodeId: 'n1' },
      decisions: { get: (id) => this.decisions.get(id) },
      host: {
        onReign: (listener) => {
          for (const reign of reigns) listener(reign)
          return () => true
        },
      },
      nodeOf: (driveId) => `n${driveId}`,
      fitNodes: () => this.fit,
      partitionCount: () => partitions,
    })
  }

  leads(node: number): number {
    const primaries = [...this.decisions.values()].map(({ primary }) => primary)
    return primaries.filter((primary) => primary === replicaOn(node)).length
  }

  #begin(id: number): Reigning {
    const replicas = [1, 2 + (id % 3), 2 + ((id + 1) % 3)].map(replicaOn)
    this.decisions.set(id, { epoch: 1, primary: replicas[0]!, replicas, previous: undefined })
    const ending = new AbortController()
    this.reigns.set(id, ending)
    const handOver = (heirs: readonly ReplicaId[]): boolean => {
      this.asked.push(id)
      const [heir] = heirs
      if (heir === undefined) return false
      if (!this.decides) return true
      this.decisions.set(id, { ...this.decisions.get(id)!, primary: heir })
      ending.abort()
      return true
    }
    const log = undefined as unknown as Reigning['log']
    return { partition: id, epoch: 1, log, ended: ending.signal, want: () => {}, handOver }
  }
}

t.test('a node that stops hands everything over, evenly', async (t) => {
  const cluster = new Cluster(12)
  await cluster.leadership.handOver({ deadlineMs: 3_000 })
  t.equal(cluster.leads(1), 0)
  for (const node of [2, 3, 4]) t.equal(cluster.leads(node), 4)
  t.ok(cluster.nowMs < 3_000)
})

t.test('nobody is handed anything who is not there', async (t) => {
  const cluster = new Cluster(12)
  cluster.fit = ['n1', 'n2']
  await cluster.leadership.handOver({ deadlineMs: 3_000 })
  t.equal(cluster.leads(2), 8)
  t.equal(cluster.leads(1), 4, 'those that have no replica there stay')
  t.ok(cluster.nowMs >= 3_000)
})

t.test('what is not decided is asked for again, and not for ever', async (t) => {
  const cluster = new Cluster(2)
  cluster.decides = false
  await cluster.leadership.handOver({ deadlineMs: 3_000 })
  t.same(cluster.asked, [0, 1, 0, 1, 0, 1])
})

t.test('who leads more than its share gives away one at a time', async (t) => {
  const cluster = new Cluster(12)
  cluster.leadership.evenOut()
  t.equal(cluster.leads(1), 11)
  for (let round = 0; round < 20; round += 1) cluster.leadership.evenOut()
  for (const node of [1, 2, 3, 4]) t.equal(cluster.leads(node), 3)
})

t.test('what came back is not given away again soon', async (t) => {
  const cluster = new Cluster(4)
  cluster.decides = false
  for (let round = 0; round < 20; round += 1) cluster.leadership.evenOut()
  t.same(cluster.asked, [0, 1, 2, 3])
  cluster.nowMs += 11 * 60_000
  cluster.leadership.evenOut()
  t.same(cluster.asked, [0, 1, 2, 3, 0])
})

t.test('a node that stops gives nothing away to be even', async (t) => {
  const cluster = new Cluster(12)
  cluster.fit = ['n1', 'n2']
  await cluster.leadership.handOver({ deadlineMs: 100 })
  const asked = cluster.asked.length
  cluster.fit = NODES
  cluster.leadership.evenOut()
  t.equal(cluster.asked.length, asked)
})
