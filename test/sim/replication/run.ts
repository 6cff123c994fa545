// node dist/test/sim/replication/run.js --from S --seeds N: runs seeds and says which fail. --seed S --log: what one does.
import { parseArgs } from 'node:util'
import { simulateReplication } from './simulate.ts'

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '100' },
    seed: { type: 'string' },
    log: { type: 'boolean', default: false },
    'stop-at-failure': { type: 'boolean', default: false },
  },
})

process.exitCode = values.seed === undefined ? runSlice() : runOne(Number(values.seed))

function runOne(seed: number): number {
  const { failures, log, hash, counts } = simulateReplication(seed, { keepsLog: values.log })
  for (const line of log) console.log(line)
  console.log(`seed ${seed}: ${failures.length === 0 ? 'all invariants hold' : 'FAILED'} ${hash}`)
  console.log(JSON.stringify(counts))
  for (const failure of failures) console.log(failure)
  return failures.length === 0 ? 0 : 1
}

function runSlice(): number {
  const from = Number(values.from)
  const begun = performance.now()
  const sums = { decisions: 0, entries: 0, answered: 0, undecided: 0, end: 0 }
  let ran = 0
  let failed = 0
  while (ran < Number(values.seeds)) {
    const seed = from + ran
    const { failures, counts } = simulateReplication(seed)
    ran += 1
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += counts[name]
    if (failures.length === 0) continue
    failed += 1
    console.log(`seed ${seed}: ${failures.map((failure) => failure.split('\n')[0]).join(' | ')}`)
    if (values['stop-at-failure']) break
  }
  const milliseconds = (performance.now() - begun) / ran
  console.log(JSON.stringify(sums))
  const { undecided } = sums
  console.log(`from ${from}, seeds ${ran}, failures ${failed}, histories undecided ${undecided}`)
  console.log(`${milliseconds.toFixed(1)} ms per seed`)
  return failed === 0 ? 0 : 1
}
