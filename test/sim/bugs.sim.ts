// Each deliberate bug, put into a copy of what was built, is found within 500 seeds.
import t from 'tap'
import { BUGS } from './bugs.ts'
import { findAll } from './plant.ts'

t.test('deliberate bugs are found', { timeout: 600_000 }, async (t) => {
  const parts = ['src', 'test/crash', 'test/support']
  await findAll(t, BUGS, { parts, program: 'run.js', deadlineMs: 240_000 })
})
