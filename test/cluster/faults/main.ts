// npm run faults, as root: the faults of run.ts by hand, or, with --program creators, the clients of creators.ts, or, with --program grow,
// a cluster that grows and shrinks (../growth/). Ends with 1 when anything was wrong. Options: CONTRIBUTING.md.
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { DevCluster } from '../../support/dev-cluster.ts'
import { excessOf, MOST_EXCESS } from '../growth/figures.ts'
import { grow } from '../growth/grow.ts'
import { libraryOf } from '../growth/library.ts'
import type { CreatorsReport } from './creators.ts'
import { runInNetwork } from './in-network.ts'
import type { FaultsReport } from './run.ts'

const { values } = parseArgs({
  options: {
    program: { type: 'string', default: 'faults' },
    length: { type: 'string', default: 'long' },
    clients: { type: 'string', default: '8' },
    pause: { type: 'string', default: '0.02' },
    seed: { type: 'string', default: String(Date.now()) },
    only: { type: 'string', default: '' },
    keep: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '1000' },
    puts: { type: 'string', default: '100000' },
    drives: { type: 'string', default: '2' },
    library: { type: 'string', default: '10' },
    'garbage-grace': { type: 'string', default: '30' },
  },
})
const programs = { faults: runFaults, creators: runCreators, grow: runGrow }
const violations = await programs[values.program as keyof typeof programs]()
process.exitCode = violations === 0 ? 0 : 1

async function runFaults(): Promise<number> {
  const report = await runInNetwork<FaultsReport>({
    program: 'run.js',
    size: { nodes: 6, gateways: 2 },
    options: {
      ...{ length: values.length, seed: values.seed, only: values.only },
      ...{ clients: Number(values.clients), pauseSeconds: Number(values.pause) },
    },
    onLine: say,
    keep: values.keep,
  })
  for (const { fault, why } of report.rows) for (const one of why) say(`${fault}: ${one}`)
  for (const violation of report.violations) say(violation)
  const { requests, keys, violations, undecided } = report
  say(
    `${requests} requests of ${keys} keys, ${violations.length} violations, ${undecided.length} undecided`,
  )
  return violations.length
}

async function runCreators(): Promise<number> {
  const { violations, etcdKeys, ...found } = await runInNetwork<CreatorsReport>({
    program: 'creators.js',
    size: { nodes: 6, gateways: 3 },
    options: {
      ...{ creators: 32, rounds: Number(values.rounds), roundsOfNode: 25 },
      puts: Number(values.puts),
    },
    onLine: say,
    keep: values.keep,
  })
  for (const violation of violations) say(violation)
  const { before, after, puts, seconds } = etcdKeys
  say(`${puts} objects in ${seconds.toFixed(0)} s: ${before} keys in etcd before, ${after} after`)
  say(`${JSON.stringify(found)}, ${violations.length} violations`)
  return violations.length + Math.max(0, after - before)
}

async function runGrow(): Promise<number> {
  const grace = values['garbage-grace']
  const words = ['--nodes', '4', '--drives', values.drives, '--garbage-grace', grace]
  const dev = await DevCluster.in(tmpdir(), words)
  try {
    const library = libraryOf(Number(values.library))
    const load = { clients: Number(values.clients), pauseSeconds: Number(values.pause) }
    const report = await grow(dev, { ...load, isLong: true, library, seed: values.seed }, say)
    for (const sentence of [...report.violations, ...report.failed]) say(sentence)
    const excess = excessOf(report.steps)
    say(
      `${report.requests} requests, ${report.cured} asked again, ${report.failed.length} failed, ` +
        `${report.violations.length} violations, ${report.undecided.length} undecided; ` +
        `moved and made again: ${excess.toFixed(2)} of what had to be`,
    )
    return report.violations.length + report.failed.length + (excess > MOST_EXCESS ? 1 : 0)
  } finally {
    if (values.keep) say(`everything is in ${dev.directory}`)
    else await dev.remove()
  }
}

function say(line: string): void {
  console.log(line)
}
