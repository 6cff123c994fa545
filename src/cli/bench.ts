// kintsugi bench: measures stores of S3 under the loads of src/load, and shows them beside each other.
import { cpus } from 'node:os'
import { processEnvironment } from '../config.ts'
import { Exit } from '../exit.ts'
import { showBytes } from '../kit/bytes.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import { type Endpoint, parseEndpoint } from '../load/endpoint.ts'
import { LOAD_NAMES, LOADS, parseLoads } from '../load/loads.ts'
import { type LoadResult, RunBroken, runLoads } from '../load/run-loads.ts'
import { findCredentials } from './admin-credentials.ts'
import { alignColumns, showCount } from './amounts.ts'
import { sayBeside } from './progress.ts'

/** Options of the command. */
export interface BenchOptions {
  loads?: string
  seconds: string
  processes?: string
  clients?: string
  region: string
  json?: boolean
}

/** Runs the loads at every URL. Throws Exit: 2 for a wrong command line, 1 when a store can not be measured. */
export async function bench(urls: readonly string[], options: BenchOptions): Promise<void> {
  const world = realWorld()
  const loads = parseLoads(options.loads)
  if (typeof loads === 'string')
    throw new Exit(2, `--loads ${loads} is none of ${LOAD_NAMES.join(', ')}.`)
  const seconds = parseCount('--seconds', options.seconds, 3_600)
  const processes = parseCount('--processes', options.processes ?? String(cpus().length), 64)
  const clients =
    options.clients === undefined ? undefined : parseCount('--clients', options.clients, 10_000)
  const endpoints = await findEndpoints(urls, options.region)
  const say = options.json ? () => {} : sayBeside
  const results = await stayAlive(
    runLoads(endpoints, { loads, seconds, processes, clients }, { world, say }).catch(
      (error: Error) => {
        const before = error instanceof RunBroken ? error.results : []
        if (before.length > 0) print(before, options)
        throw new Exit(1, `the stores can not be measured: ${error.message}`, { cause: error })
      },
    ),
  )
  print(results, options)
}

function print(results: readonly LoadResult[], { json }: BenchOptions): void {
  const text = json ? JSON.stringify(results, undefined, 2) : showResults(results)
  process.stdout.write(`${text}\n`)
}

function parseCount(option: string, text: string, max: number): number {
  const count = Number(text)
  if (/^\d{1,5}$/.test(text) && count > 0 && count <= max) return count
  throw new Exit(2, `${option} ${text} is not a number from 1 to ${max}.`)
}

async function findEndpoints(urls: readonly string[], region: string): Promise<Endpoint[]> {
  const isSigned = urls.every((url) => URL.canParse(url) && new URL(url).username !== '')
  const keys = isSigned ? undefined : await findCredentials(processEnvironment(), realWorld())
  return urls.map((url) => {
    const endpoint = parseEndpoint(url, region, keys)
    if (typeof endpoint === 'string') throw new Exit(2, `${endpoint}.`)
    return endpoint
  })
}

/** A line for each load at each store. */
function showResults(results: readonly LoadResult[]): string {
  const heads = ['load', 'store', 'rate', 'p50', 'p99', 'longest', 'errors', "bench's CPU"]
  const lines = results.map((result) => [
    ...[LOADS[result.load].title, result.endpoint, showRate(result)],
    ...[result.p50Ms, result.p99Ms, result.longestMs].map(showMs),
    showCount(result.errors),
    `${((result.generatorCpuSeconds / result.seconds) * 100).toFixed(0)} %`,
  ])
  const wrong = results.filter(({ firstError }) => firstError !== undefined)
  const errors = wrong.map(
    ({ load, endpoint, firstError }) => `${LOADS[load].title} at ${endpoint}: ${firstError}`,
  )
  return [...alignColumns([heads, ...lines]), ...errors].join('\n')
}

function showRate({ load, perSecond }: LoadResult): string {
  const { unit } = LOADS[load]
  return unit === 'bytes'
    ? `${showBytes(Math.round(perSecond))}/s`
    : `${showCount(Math.round(perSecond))} ${unit}/s`
}

function showMs(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`
}
