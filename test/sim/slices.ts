// Seeds one after the other, as a program: --from S --seeds N [--append FILE] [--stop-at-failure] says which fail, --seed S
// --log what one does.
import { appendFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import type { SeedResult } from './simulate.ts'

type Simulate = (seed: number) => Promise<SeedResult>

// Each life of the store makes its functions anew, and most do not live long enough to be worth optimizing: a fifth of
// the time went into that.
setFlagsFromString('--interrupt-budget=1000000')

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '100' },
    append: { type: 'string' },
    seed: { type: 'string' },
    log: { type: 'boolean', default: false },
    'stop-at-failure': { type: 'boolean', default: false },
  },
})

/** Does what the command line says; gives the exit code. */
export async function runProgram(simulate: Simulate): Promise<number> {
  const { seed } = values
  return seed === undefined ? await runSlice(simulate) : await runOne(Number(seed), simulate)
}

async function runOne(seed: number, simulate: Simulate): Promise<number> {
  const { failures, log, hash, counts } = await simulate(seed)
  if (values.log) for (const line of log) console.log(line)
  console.log(`seed ${seed}: ${failures.length === 0 ? 'all invariants hold' : 'FAILED'} ${hash}`)
  console.log(JSON.stringify(counts))
  for (const failure of failures) console.log(failure)
  return failures.length === 0 ? 0 : 1
}

async function runSlice(simulate: Simulate): Promise<number> {
  // Errors that are expected are many, and their stacks are dear; one seed alone shows them.
  Error.stackTraceLimit = 0
  const from = Number(values.from)
  const seeds = Number(values.seeds)
  const cpu = process.cpuUsage()
  const begun = performance.now()
  let failed = 0
  let undecided = 0
  let ran = 0
  for (let seed = from; seed < from + seeds; seed += 1) {
    const { failures, counts } = await simulate(seed)
    ran += 1
    const open = counts.undecided ?? 0
    undecided += open
    if (open > 0) console.log(`seed ${seed}: ${open} histories undecided`)
    if (ran % 50 === 0) console.error(`${ran} seeds, ${failed} failures`)
    if (failures.length === 0) continue
    failed += 1
    console.log(`seed ${seed}: ${failures.map((failure) => failure.split('\n')[0]).join(' | ')}`)
    if (values['stop-at-failure']) break
  }
  const seconds = (performance.now() - begun) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const cpuSeconds = (user + system) / 1e6
  const line = `from ${from}, seeds ${ran}, failures ${failed}, histories undecided ${undecided}, seconds ${seconds.toFixed(1)}`
  console.log(`${line}, CPU per seed ${(cpuSeconds / ran).toFixed(3)} s`)
  if (values.append !== undefined) appendFileSync(values.append, `${line}\n`)
  return failed === 0 ? 0 : 1
}
