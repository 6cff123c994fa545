// The loads of `kintsugi bench` against servers of our own: rates, and what they cost in CPU time and memory of all processes.
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { realWorld } from '../src/kit/world.ts'
import { LOADS, type LoadName } from '../src/load/loads.ts'
import { type LoadResult, runLoads } from '../src/load/run-loads.ts'
import type { BenchStore } from './bench-stores.ts'
import { printLine, round } from './measure.ts'
import type { Cost } from './server-processes.ts'

/** One line of the result. */
export interface LoadRow {
  store: string
  load: LoadName
  /** Where they are not those of the load. */
  clients?: number
  /** Of `unit`; bytes are 1e6 of them. */
  perSecond: number
  unit: 'requests' | 'MB' | 'keys'
  p50Ms: number
  p99Ms: number
  errors: number
  seconds: number
  /** Of all processes of the store. */
  cpuMsPerRequest: number
  /** Where bytes are counted: of 1e9 of them. */
  cpuSecondsPerGigabyte?: number
  /** Where keys are counted. */
  cpuMicrosecondsPerKey?: number
  peakMebibytes: number
  /** At the end, what processes share counted once. */
  sharedMebibytes: number
}

export interface LoadsOptions {
  loads: readonly LoadName[]
  seconds: number
  /** Processes that ask. */
  processes: number
  /** Other than those of each load. */
  clients?: number
  /** Where the profile of each load is kept; without it none is made. */
  profiles?: string
}

/** Runs the loads one after the other and prints a line each. */
export async function benchLoads(
  store: BenchStore,
  { loads, seconds, processes, clients, profiles }: LoadsOptions,
): Promise<LoadRow[]> {
  const rows: LoadRow[] = []
  const around = async (measure: () => Promise<LoadResult>): Promise<LoadResult> => {
    store.processes.forgetPeak()
    const before = store.processes.cost()
    if (profiles !== undefined) signalAll(store)
    const result = await measure()
    const after = store.processes.cost()
    if (profiles !== undefined) await keepProfiles(store, `${profiles}/${result.load}`)
    const cost = { ...after, cpuSeconds: after.cpuSeconds - before.cpuSeconds }
    const row = rowOf(store.name, result, cost)
    rows.push(clients === undefined ? row : { ...row, clients })
    printLine(describeRow(rows.at(-1)!))
    return result
  }
  await runLoads(
    [store.endpoint],
    { loads, seconds, processes, clients },
    { world: realWorld(), say: () => {}, around: (_endpoint, measure) => around(measure) },
  )
  return rows
}

function rowOf(store: string, result: LoadResult, cost: Cost): LoadRow {
  const { cpuSeconds, peakMebibytes, sharedMebibytes } = cost
  const { load, perSecond, seconds, requests, errors } = result
  const { unit } = LOADS[load]
  const amount = perSecond * seconds
  return {
    ...{ store, load, errors, seconds: round(seconds) },
    perSecond: round(unit === 'bytes' ? perSecond / 1e6 : perSecond),
    unit: unit === 'bytes' ? 'MB' : unit,
    ...{ p50Ms: round(result.p50Ms), p99Ms: round(result.p99Ms) },
    // Some loads take a fiftieth of one: two digits could not tell what they cost beside each other.
    cpuMsPerRequest: round((cpuSeconds * 1000) / requests, 4),
    ...(unit === 'bytes' ? { cpuSecondsPerGigabyte: round((cpuSeconds * 1e9) / amount) } : {}),
    ...(unit === 'keys' ? { cpuMicrosecondsPerKey: round((cpuSeconds * 1e6) / amount) } : {}),
    peakMebibytes: Math.round(peakMebibytes),
    sharedMebibytes: Math.round(sharedMebibytes),
  }
}

function describeRow(row: LoadRow): string {
  const rate = `${row.perSecond.toFixed(0)} ${row.unit}/s`.padStart(18)
  const cost =
    row.cpuSecondsPerGigabyte !== undefined
      ? `${row.cpuSecondsPerGigabyte.toFixed(2)} s of CPU per GB`
      : row.cpuMicrosecondsPerKey !== undefined
        ? `${row.cpuMicrosecondsPerKey.toFixed(1)} us of CPU per key`
        : `${row.cpuMsPerRequest.toFixed(3)} s of CPU per 1,000 requests`
  const tail = `p99 ${row.p99Ms.toFixed(0)} ms, ${row.peakMebibytes} MiB, ${row.errors} errors`
  const who = row.clients === undefined ? '' : ` by ${row.clients}`
  return `load ${row.store.padEnd(9)} ${`${row.load}${who}`.padEnd(12)} ${rate}, ${cost}, ${tail}`
}

function signalAll({ processes }: BenchStore): void {
  for (const pid of processes.pids()) process.kill(pid, 'SIGUSR2')
}

/** A profile is written a moment after it was asked for. */
async function keepProfiles(store: BenchStore, target: string): Promise<void> {
  signalAll(store)
  await sleep(1000)
  await mkdir(target, { recursive: true })
  for (const name of await readdir(store.profiles)) {
    await copyFile(`${store.profiles}/${name}`, `${target}/${name}`)
    await rm(`${store.profiles}/${name}`)
  }
}
