// Hundreds of seeds of a partition that goes from node to node: `SIM_FROM` and `SIM_SEEDS` choose others.
import t from 'tap'
import { simulatePartition } from './partitions/simulate.ts'

const from = Number(process.env.SIM_FROM ?? 1)
const seeds = Number(process.env.SIM_SEEDS ?? 500)

t.test(`seeds ${from} to ${from + seeds - 1}`, { timeout: 600_000 }, async (t) => {
  const sum = { done: 0, refused: 0, unknown: 0, reads: 0, handovers: 0 }
  for (let seed = from; seed < from + seeds; seed += 1) {
    const { failures, counts } = await simulatePartition(seed)
    if (failures.length > 0) t.fail(`seed ${seed}: ${failures.join('\n')}`)
    for (const name of ['done', 'refused', 'unknown', 'reads', 'handovers'] as const) {
      sum[name] += counts[name]
    }
  }
  t.comment(JSON.stringify(sum))
  t.ok(sum.done > 0)
})
