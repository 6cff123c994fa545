// A few seeds of the simulated cluster, and that a seed is all that it depends on. Hundreds run in .ci/run.
import t from 'tap'
import { simulateCluster } from './simulate.ts'

t.test('the same seed does the same, byte for byte', async (t) => {
  const first = await simulateCluster(2)
  const second = await simulateCluster(2)
  t.equal(second.hash, first.hash)
  t.same(first.failures, [], 'npm run sim-cluster -- --seed 2 --log')
  t.ok(first.log.length > 500, 'something happened')
  t.not((await simulateCluster(4)).hash, first.hash, 'another seed does something else')
})
