// The status of a cluster in lines: what does not answer is counted as such, whatever is on record.
import t from 'tap'
import { showCluster } from '../../../src/cli/show-cluster.ts'
import type { HealingStatus } from '../../../src/gateway/admin-api.ts'
import type { ClusterPartitionStatus, ClusterStatus } from '../../../src/gateway/cluster-api.ts'

const HEALING: HealingStatus = {
  ...{ verified: true, lastVerifiedMs: 1, lastEventMs: 0, queued: 0, waiting: 0, passes: [] },
  ...{ ended: { check: 0, scrub: 0 }, checkedBlobs: 0, mendedShards: 0, bytesRead: 0 },
  ...{ bytesWritten: 0, checkedFiles: 0, damagedFiles: 0, unrepairableCount: 0, unrepairable: [] },
}

/** Three nodes with a drive each; the second does not answer. */
function status(change: Partial<ClusterStatus> = {}): ClusterStatus {
  const ids = [1, 2, 3]
  return {
    ...{ kind: 'cluster', health: 'degraded', reasons: [], clusterId: 'c', healing: HEALING },
    ...{ code: '2+1', reducedCode: '1+1', etcd: { kind: 'current' }, replicas: 3 },
    nodes: ids.map((id) => ({
      ...{ id: `n${id}`, address: `http://n${id}`, answers: id !== 2, drives: 1, leads: 0 },
    })),
    drives: ids.map((id) => ({
      ...{ id, nodeId: `n${id}`, state: 'active', answers: id !== 2, weight: 1, isLeaving: false },
    })),
    partitions: [partition(0), partition(1)],
    ...change,
  }
}

function partition(id: number, change: Partial<ClusterPartitionStatus> = {}) {
  return {
    ...{ id, epoch: 7, primary: 1, isLed: true, replicas: [1, 2, 3], there: 2 },
    ...{ hasMajority: true, isChanging: false, ...change },
  }
}

const textOf = (change?: Partial<ClusterStatus>): string => showCluster(status(change)).join('\n')

t.test('a node that does not answer, and what it has', async (t) => {
  const text = textOf()
  t.match(text, /^Nodes {5}2 of 3 answer$/m)
  t.match(text, /^ +n2 +http:\/\/n2 +does not answer +1 drive/m)
  t.match(text, /^Drives {4}2 of 3 active$/m)
  t.match(text, /^ +2 +n2 +active, its node does not answer +weight 1$/m)
  t.match(text, /^Metadata {2}2 of 2 partitions serve, 0 have all 3 replicas$/m)
  t.notMatch(text, /partition 0/, 'they do without it')
})

t.test('whether etcd hears it', async (t) => {
  const [one, two, three] = status().nodes
  const text = (isHeardByEtcd: boolean): string =>
    textOf({ nodes: [one!, { ...two!, isHeardByEtcd }, three!] })
  t.match(text(true), /does not answer, but etcd hears it +1 drive/)
  t.match(text(false), /does not answer, nor does etcd hear it +1 drive/)
})

t.test('partitions that do not serve', async (t) => {
  const partitions = [
    partition(0, { primary: 2, isLed: false }),
    partition(1, { there: 1, hasMajority: false }),
    partition(2, { there: 3 }),
    partition(3, { there: 3, isChanging: true }),
  ]
  const text = textOf({ partitions })
  t.match(text, /^Metadata {2}2 of 4 partitions serve, 2 have all 3 replicas$/m)
  t.match(text, /^ +partition 0 +epoch 7 +led by n2, which does not answer +on drives 1, 2, 3$/m)
  t.match(text, /^ +partition 1 .* led by n1 +on drives 1, 2, 3 +without a majority: 1 there$/m)
  t.notMatch(text, /partition 2/)
  t.match(text, /^ +partition 3 .*, changing$/m)
})
