// The embedded store as several processes beside one: what a request costs, what is served, and the memory of all. Where there are
// several the first has the drives and the others are gateways, so two gateways beside one are three processes beside two.
import { realWorld } from '../src/kit/world.ts'
import type { LoadName } from '../src/load/loads.ts'
import { runLoads } from '../src/load/run-loads.ts'
import { type BenchStore, openEmbedded } from './bench-stores.ts'
import { benchLoads, type LoadRow, type LoadsOptions } from './loads.bench.ts'
import { printRatios, type RatioRow, ratio } from './ratios.bench.ts'

const COUNTS = [1, 2, 3, 4, 8] as const
const PAIRS = [
  [2, 1],
  [3, 2],
  [4, 1],
  [8, 1],
] as const
const LOADS: readonly LoadName[] = ['put-4k', 'get-4k', 'head']

/** What two processes may cost beside one, and two gateways beside one. */
const CPU_AT_MOST = 1.15
/** More processes than cores gain nothing, and may lose so much. */
const RATE_AT_LEAST = 0.9
const MEMORY_MEBIBYTES_MAX = 800

/** What a process compiles when it begins it compiles once, and of so many each serves its share of what is asked: so long for each. */
const WARM_SECONDS = 6

/** Rows of all stores, and the ratios between them. `loads`: others than the small ones. */
export async function benchProcesses(
  options: Omit<LoadsOptions, 'profiles'>,
): Promise<{ loads: LoadRow[]; ratios: RatioRow[] }> {
  const loads = options.loads.length > LOADS.length ? LOADS : options.loads
  const rows: LoadRow[] = []
  for (const count of COUNTS) {
    const store = await openEmbedded({ processes: count })
    rows.push(...(await measure(store, count, { ...options, loads })))
  }
  const ratios = PAIRS.flatMap((pair) => loads.flatMap((load) => ratiosOf(rows, load, pair)))
  ratios.push(memoryOf(rows))
  printRatios(ratios)
  return { loads: rows, ratios }
}

async function measure(
  store: BenchStore,
  count: number,
  options: LoadsOptions,
): Promise<LoadRow[]> {
  try {
    await warmUp(store, options, Math.max(1, count - 1))
    return await benchLoads(store, options)
  } finally {
    await store.close()
  }
}

async function warmUp(
  store: BenchStore,
  { loads, processes }: Omit<LoadsOptions, 'profiles'>,
  gateways: number,
): Promise<void> {
  const asked = { loads, processes, seconds: WARM_SECONDS * gateways }
  await runLoads([store.endpoint], asked, { world: realWorld(), say: () => {} })
}

function ratiosOf(
  rows: readonly LoadRow[],
  load: LoadName,
  [count, other]: (typeof PAIRS)[number],
): RatioRow[] {
  const find = (of: number): LoadRow | undefined =>
    rows.find((row) => row.load === load && row.store === nameOf(of))
  const [one, many] = [find(other), find(count)]
  const pair = `${load}, ${count} processes to ${other}`
  const cpu = ratio(`CPU of ${pair}`, count <= 3 ? { atMost: CPU_AT_MOST } : {}, [
    many?.cpuMsPerRequest,
    one?.cpuMsPerRequest,
  ])
  const rates = [many?.perSecond, one?.perSecond] as const
  return [cpu, ratio(`rate of ${pair}`, { atLeast: RATE_AT_LEAST }, rates)]
}

function memoryOf(rows: readonly LoadRow[]): RatioRow {
  const most = Math.max(...rows.map(({ sharedMebibytes }) => sharedMebibytes))
  const name = `memory of up to ${COUNTS.at(-1)} processes (PSS), to ${MEMORY_MEBIBYTES_MAX} MiB`
  return ratio(name, { atMost: 1 }, [most, MEMORY_MEBIBYTES_MAX])
}

function nameOf(count: number): string {
  return `embedded, ${count}`
}
