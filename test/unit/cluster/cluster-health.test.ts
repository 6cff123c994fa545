// What may be said of a cluster: never that it is healthy because nothing is known to be wrong.
import t from 'tap'
import { sumUpkeep } from '../../../src/cluster/cluster-healing.ts'
import { judgeCluster } from '../../../src/cluster/cluster-health.ts'
import { NO_STATUS } from '../../../src/cluster/upkeep-status.ts'
import type { NodeUpkeepStatus } from '../../../src/storage-node/rpc/upkeep-messages.ts'

/** Two nodes that lead four partitions and read every byte. */
const ONE: NodeUpkeepStatus = {
  ...NO_STATUS,
  partitions: [0, 1],
  complete: true,
  lastVerifiedMs: 5,
}
const TWO: NodeUpkeepStatus = { ...ONE, partitions: [2, 3], lastVerifiedMs: 3 }

function judge(one: NodeUpkeepStatus, two: NodeUpkeepStatus | undefined, degraded: string[] = []) {
  const found = new Map([['one', one], ...(two ? ([['two', two]] as const) : [])])
  return judgeCluster(degraded, sumUpkeep(found, { partitions: 4, buckets: {} }))
}

t.test('a cluster is healthy when all that leads has looked at everything', async (t) => {
  t.same(judge(ONE, TWO), { health: 'healthy', reasons: [] })
  const idle = { ...TWO, partitions: [], complete: false }
  t.match(judge({ ...ONE, partitions: [0, 1, 2, 3] }, idle), { health: 'healthy' })
})

t.test('and is not while anything of that is not known', async (t) => {
  t.match(judge(ONE, undefined), { health: 'serving', reasons: [/Not every byte/] })
  t.match(judge(ONE, { ...TWO, partitions: [2] }), { health: 'serving' })
  t.match(judge(ONE, { ...TWO, complete: false }), { health: 'serving' })
  const { lastVerifiedMs: _, ...never } = TWO
  t.match(judge(ONE, never), { health: 'serving' })
  const pass = { kind: 'scrub' as const, startedMs: 1, blobs: 1, bytes: 1, mendedShards: 0 }
  t.match(judge(ONE, { ...never, passes: [pass] }), { reasons: [/a pass is under way/] })
})

t.test('the worst that is true comes first', async (t) => {
  t.match(judge(ONE, { ...TWO, complete: false, queued: 2 }), {
    health: 'mending',
    reasons: ['2 blobs are to be mended.', /Not every byte/],
  })
  t.match(judge(ONE, TWO, ['1 of 6 nodes does not answer.']), { health: 'degraded' })
  t.match(judge(ONE, { ...TWO, complete: false, waiting: 1 }), { health: 'degraded' })
  const lost = { ...TWO, complete: false, unrepairableCount: 1 }
  t.match(judge(ONE, lost, ['A node is away.']), { health: 'damaged' })
})
