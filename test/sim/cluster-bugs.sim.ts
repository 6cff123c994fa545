// Each deliberate bug of a cluster is found within 500 seeds.
import t from 'tap'
import { CLUSTER_BUGS } from './cluster/bugs.ts'
import { findAll } from './plant.ts'

t.test('deliberate bugs of a cluster are found', { timeout: 900_000 }, async (t) => {
  const parts = ['src', 'test/crash', 'test/support']
  await findAll(t, CLUSTER_BUGS, { parts, program: 'cluster/run.js', deadlineMs: 600_000 })
})
