// A few seeds of the simulation, and that a seed is all that it depends on. Hundreds run in .ci/run.
import t from 'tap'
import { simulate } from './simulate.ts'

t.test('the same seed does the same, byte for byte', async (t) => {
  const first = await simulate(3)
  const second = await simulate(3)
  t.equal(second.hash, first.hash)
  t.same(second.log, first.log)
  t.ok(first.log.length > 500, 'something happened')
  t.not((await simulate(5)).hash, first.hash, 'another seed does something else')
})

t.test('some seeds hold all invariants', async (t) => {
  for (let seed = 1; seed <= 4; seed += 1) {
    const { failures, counts } = await simulate(seed)
    t.same(failures, [], `seed ${seed}: npm run sim -- --seed ${seed} --log`)
    t.equal(counts.undecided, 0, 'every history was explained to its end')
  }
})

t.test('a read that is under way while the store is stopped may fail', async (t) => {
  const { failures } = await simulate(2586)
  t.same(failures, [])
})
