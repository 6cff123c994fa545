// Ready means that what is missing can be spared: a check that can fail.
import t from 'tap'
import { readinessOf } from '../../../src/embedded/readiness.ts'
import type { ClusterMap } from '../../../src/placement/cluster-map.ts'

function mapOf(driveCount: number, parityCount: number, outCount: number): { map: ClusterMap } {
  const drives = Array.from({ length: driveCount }, (_, index) => ({
    id: index + 1,
    uuid: `uuid-${index + 1}`,
    weight: 1,
    state: index < outCount ? ('out' as const) : ('active' as const),
  }))
  const code = { dataCount: driveCount - parityCount, parityCount, matrix: 1 as const }
  return { map: { drives, code, partitionCount: 256, metaPartitionCount: 8, slots: [], seed: '1' } }
}

t.test('all drives: ready and nothing to say', async (t) => {
  t.same(readinessOf(mapOf(6, 2, 0)), { ready: true, degraded: [] })
})

t.test('up to m drives out: ready, and it says so in one sentence', async (t) => {
  t.match(readinessOf(mapOf(6, 2, 2)), {
    ready: true,
    degraded: [/^Degraded: 2 of 6 drives are out/],
  })
})

t.test('more than m out, or the only drive: not ready', async (t) => {
  t.match(readinessOf(mapOf(6, 2, 3)), { ready: false, degraded: [/3 of 6/] })
  t.match(readinessOf(mapOf(1, 0, 1)), { ready: false })
})
