// Each deliberate bug of the replication protocol is found within 500 seeds.
import t from 'tap'
import { findAll } from './plant.ts'
import { REPLICATION_BUGS } from './replication/bugs.ts'

t.test('deliberate bugs of replication are found', { timeout: 600_000 }, async (t) => {
  const parts = ['src/kit', 'src/metadata', 'test/support']
  await findAll(t, REPLICATION_BUGS, { parts, program: 'replication/run.js', deadlineMs: 60_000 })
})
