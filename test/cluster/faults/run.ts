// Does the faults to a cluster under load, in the hub of a network: `node run.js OPTIONS`, where OPTIONS is JSON. Says a row of a
// table for each, and writes what came of it to a file.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Figures, figuresOf, type Judgement, judge } from './history.ts'
import { Load, nowUs } from './load.ts'
import { Network } from './network.ts'
import { FAULTS, type Site } from './plan.ts'
import { ClusterProcesses, type ClusterSize } from './processes.ts'

/** What is done. */
export interface FaultsOptions {
  size: ClusterSize
  /** Empty. */
  directory: string
  length: 'short' | 'long'
  clients: number
  pauseSeconds: number
  seed: string
  /** Only faults whose names have this in them. */
  only?: string
}

/** What came of a fault, or of its end. */
export interface Row extends Figures {
  fault: string
}

/** What is written to `report.json` in the directory. */
export interface FaultsReport extends Judgement {
  rows: Row[]
}

/** Some time after the end of a fault, in seconds. */
const AFTER = { short: 3, long: 15 }

const options = JSON.parse(process.argv[2]!) as FaultsOptions
const network = Network.fromEnvironment()
const cluster = await ClusterProcesses.start(options.size, options.directory, network)
const load = await Load.start({
  ...{ clients: options.clients, pauseSeconds: options.pauseSeconds, seed: options.seed },
  endpoints: cluster.endpoints,
  file: join(options.directory, 'requests.jsonl'),
})
await load.succeeds()
const rows = await doAll({ cluster, network })
const judgement = judge(await load.end())
const report: FaultsReport = { ...judgement, rows }
await writeFile(join(options.directory, 'report.json'), JSON.stringify(report))
// The processes end with their machines.
process.exit(0)

async function doAll(site: Site): Promise<Row[]> {
  const { length } = options
  const rows: Row[] = []
  say('| fault | done | refused | longest without success | slowest |')
  say('|---|---|---|---|---|')
  const faults = FAULTS.filter(({ name }) => name.includes(options.only ?? ''))
  for (const { name, seconds, begin, over } of faults) {
    const lasts = seconds[length]
    if (lasts === undefined) continue
    rows.push(await watch(name, lasts, () => begin(site)))
    if (over) rows.push(await watch(over.name, AFTER[length], () => over.act(site)))
  }
  return rows
}

/** Does it, waits, and tells what the clients saw meanwhile. */
async function watch(fault: string, seconds: number, act: () => Promise<void>): Promise<Row> {
  const fromUs = nowUs()
  await act()
  await sleep(1000 * seconds)
  const row = { fault, ...figuresOf(load.requests(), fromUs, nowUs()) }
  const { done, refused, longestWithoutSuccess, slowest } = row
  say(
    `| ${fault} | ${done} | ${refused} | ${longestWithoutSuccess.toFixed(1)} s | ${slowest.toFixed(1)} s |`,
  )
  return row
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
