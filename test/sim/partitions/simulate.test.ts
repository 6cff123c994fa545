// A partition that goes from node to node under clients: some seeds hold, and deliberate bugs are found. Hundreds run in .ci/run.
import t from 'tap'
import { type PartitionBug, simulatePartition } from './simulate.ts'

const SEEDS = 15

t.test('every answer is explained by one order', async (t) => {
  let handovers = 0
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const { failures, counts } = await simulatePartition(seed)
    if (failures.length > 0) t.fail(`seed ${seed}: ${failures.join('\n')}`)
    handovers += counts.handovers
  }
  t.ok(handovers > SEEDS, 'something happened')
})

const BUGS: readonly PartitionBug[] = ['confirms nothing', 'unknown is not done', 'no deadline']
for (const bug of BUGS) {
  t.test(`found: ${bug}`, async (t) => {
    for (let seed = 1; seed <= 500; seed += 1) {
      const { failures } = await simulatePartition(seed, bug)
      if (failures.length > 0) return t.pass(`by seed ${seed}`)
    }
    return t.fail('no seed found it')
  })
}
