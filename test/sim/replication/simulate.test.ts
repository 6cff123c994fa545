// A few seeds of the replication protocol, and that a seed is all that they depend on. Hundreds run in .ci/run.
import t from 'tap'
import { simulateReplication } from './simulate.ts'

t.test('the same seed does the same', async (t) => {
  for (const seed of [4, 10]) {
    const first = simulateReplication(seed, { keepsLog: true })
    const second = simulateReplication(seed, { keepsLog: true })
    t.equal(second.hash, first.hash, `seed ${seed}`)
    t.same(second.log, first.log)
    t.ok(first.log.length > 100, 'something happened')
  }
  t.not(
    simulateReplication(5).hash,
    simulateReplication(6).hash,
    'another seed does something else',
  )
})

t.test('some seeds hold all invariants', async (t) => {
  let entries = 0
  for (let seed = 1; seed <= 20; seed += 1) {
    const { failures, counts } = simulateReplication(seed)
    t.same(failures, [], `node dist/test/sim/replication/run.js --seed ${seed} --log`)
    entries += counts.entries
  }
  t.ok(entries > 200, 'entries were committed')
})
