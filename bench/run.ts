// npm run bench: every bench once, printed and kept as JSON in bench/results/ with the processor's name. docs/guides/measuring.md.
// `npm run bench -- codec loads` runs some of them. `-- scale`, `-- processes`, `-- overload`, `-- mend` and `-- grow` run only when they are named: two minutes,
// five, three, then a quarter of an hour each, and `mend` takes 20 GB of disk. `-- compare` shows the last results side by side.
import { cpus } from 'node:os'
import { LOAD_NAMES, parseLoads } from '../src/load/loads.ts'
import { type BenchStore, openCluster, openEmbedded } from './bench-stores.ts'
import { benchCodec, type CodecRow } from './codec.bench.ts'
import { compareResults } from './compare.ts'
import { benchDigestRatios } from './digest-ratios.bench.ts'
import { benchDigests } from './digests.bench.ts'
import { benchGrow } from './grow.bench.ts'
import { benchHello } from './hello.bench.ts'
import { benchLoads, type LoadRow, type LoadsOptions } from './loads.bench.ts'
import { benchMend } from './mend.bench.ts'
import { benchMissingDrives } from './missing-drives.bench.ts'
import { benchNodeProtocol } from './node-protocol.bench.ts'
import { benchOverload } from './overload.bench.ts'
import { benchProcesses } from './processes.bench.ts'
import { printRatios, ratiosOf } from './ratios.bench.ts'
import { type BenchResult, keepResult, lastResults, newResult, pathOf } from './results.ts'
import { benchScale } from './scale.bench.ts'
import { benchSegment, type SegmentRow } from './segment.bench.ts'
import { benchSignatures } from './sigv4.bench.ts'

/** What peers were measured with, and what takes two or three minutes for all benches together. */
const SECONDS = 12
const SECONDS_SHORT = 3
/** Enough of a cluster to see what the way between its processes costs. */
const CLUSTER_LOADS_SHORT = ['put-4k', 'get-4k', 'get-10m'] as const
const COMPARED_RESULTS = 4

const words = process.argv.slice(2)
const isShort = words.includes('--short')
const names = words.filter((word) => !word.startsWith('--'))
const isWanted = (name: string): boolean => names.length === 0 || names.includes(name)

if (names.includes('compare')) {
  for (const line of compareResults(lastResults(COMPARED_RESULTS))) console.log(line)
} else await measure()

async function measure(): Promise<void> {
  const result = newResult()
  console.log(JSON.stringify(result.machine))
  try {
    await runBenches(result)
  } finally {
    console.log(`kept in ${keepResult(result)}`)
  }
}

async function runBenches(result: BenchResult): Promise<void> {
  if (isWanted('codec')) result.codec = await benchCodec()
  if (isWanted('digests')) result.digests = await benchDigests()
  if (isWanted('sigv4')) result.sigv4 = benchSignatures()
  if (isWanted('segment')) result.segment = await benchSegment(isShort ? 2 : 5)
  if (isWanted('nodes')) result.nodes = await benchNodeProtocol()
  await runLoadsOf(result)
  if (isWanted('ratios')) await runRatios(result)
  if (names.includes('mend')) result.mend = await benchMend(isShort ? 400 : 20_000)
  if (names.includes('processes')) result.processes = await benchProcesses(loadsOptions(result))
  if (names.includes('overload')) result.overload = await benchOverload(loadsOptions(result))
  if (names.includes('scale')) result.scale = await benchScale()
  if (names.includes('grow')) result.grow = await benchGrow(isShort ? 200 : 2_000)
}

function loadsOptions(result: BenchResult): LoadsOptions {
  const given = words.find((word) => word.startsWith('--loads='))?.slice('--loads='.length)
  const loads = parseLoads(given)
  if (typeof loads === 'string') throw new Error(`${loads} is none of ${LOAD_NAMES.join(', ')}`)
  return {
    ...{ loads, seconds: isShort ? SECONDS_SHORT : SECONDS, processes: cpus().length },
    ...(words.includes('--profile') ? { profiles: pathOf(result) } : {}),
  }
}

async function runLoadsOf(result: BenchResult): Promise<void> {
  const options = loadsOptions(result)
  const isAll = options.loads.length === LOAD_NAMES.length
  const clusterLoads = isShort && isAll ? CLUSTER_LOADS_SHORT : options.loads
  const rows: LoadRow[] = []
  if (isWanted('loads')) {
    const store = await openEmbedded({ withProfiler: options.profiles !== undefined })
    rows.push(...(await closing(store, () => benchLoads(store, options))))
  }
  if (isWanted('cluster')) {
    const { profiles: _, ...plain } = { ...options, loads: clusterLoads }
    const store = await openCluster(1)
    rows.push(...(await closing(store, () => benchLoads(store, plain))))
  }
  if (rows.length > 0) result.loads = rows
}

/** What compares with something that is no load of its own runs only here. */
async function runRatios(result: BenchResult): Promise<void> {
  const { seconds, processes } = loadsOptions(result)
  const loads = [...((result.loads as LoadRow[] | undefined) ?? [])]
  loads.push(...(await benchHello({ seconds, processes })))
  if (loads.some(({ store }) => store === 'cluster')) {
    const store = await openCluster(2)
    const options = { loads: ['put-4k', 'get-4k'], seconds, processes } as const
    loads.push(...(await closing(store, () => benchLoads(store, options))))
  }
  const codec = (result.codec as CodecRow[] | undefined) ?? []
  const segment = (result.segment as SegmentRow[] | undefined) ?? []
  const ratios = [
    ...ratiosOf({ codec, segment, loads }),
    ...(await benchDigestRatios()),
    ...(await benchMissingDrives({ seconds, processes })),
  ]
  Object.assign(result, { loads, ratios })
  printRatios(ratios)
}

async function closing<T>(store: BenchStore, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    await store.close()
  }
}
