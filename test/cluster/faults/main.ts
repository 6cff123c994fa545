// npm run faults -- [--length short] [--clients 8] [--seed S] [--only NAME] [--keep]: the faults of run.ts by hand, as root. Ends with 1 when
// anything was wrong.
import { parseArgs } from 'node:util'
import { runInNetwork } from './in-network.ts'
import type { FaultsReport } from './run.ts'

const { values } = parseArgs({
  options: {
    length: { type: 'string', default: 'long' },
    clients: { type: 'string', default: '8' },
    pause: { type: 'string', default: '0.02' },
    seed: { type: 'string', default: String(Date.now()) },
    only: { type: 'string', default: '' },
    keep: { type: 'boolean', default: false },
  },
})
const report = await runInNetwork<FaultsReport>({
  program: 'run.js',
  size: { nodes: 6, gateways: 2 },
  options: {
    ...{ length: values.length, seed: values.seed, only: values.only },
    ...{ clients: Number(values.clients), pauseSeconds: Number(values.pause) },
  },
  onLine: (line) => console.log(line),
  keep: values.keep,
})
for (const { fault, why } of report.rows) for (const one of why) console.log(`${fault}: ${one}`)
const { requests, keys, violations, undecided } = report
for (const violation of violations) console.log(violation)
console.log(
  `${requests} requests of ${keys} keys, ${violations.length} violations, ${undecided.length} undecided`,
)
process.exitCode = violations.length === 0 ? 0 : 1
