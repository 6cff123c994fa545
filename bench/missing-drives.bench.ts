// GET of 10 MiB with as many drives missing as the code stands, beside the same with none missing: two stores, asked in turns,
// for what else the machine does changes from one minute to the next.
import { rename } from 'node:fs/promises'
import { LoadProcesses } from '../src/load/processes.ts'
import { S3Client } from '../test/support/s3.ts'
import { type EmbeddedStore, openEmbedded } from './bench-stores.ts'
import { printLine } from './measure.ts'
import { type RatioRow, ratio } from './ratios.bench.ts'

const BUCKET = 'bench'
const LOST = 2
const ROUNDS = 3
const AT_LEAST = 0.85

/** A store that is read from, and what its reads cost. */
interface Side {
  store: EmbeddedStore
  children: LoadProcesses
  bytes: number
  seconds: number
  cpuSeconds: number
}

/** Rate and CPU with two of six drives missing to those with none. */
export async function benchMissingDrives(options: {
  seconds: number
  processes: number
}): Promise<RatioRow[]> {
  const sides: Side[] = []
  try {
    const whole = await openSide(sides, options.processes)
    const hurt = await openSide(sides, options.processes)
    // Both begin anew, and with code that is not compiled yet.
    await restart(whole.store, 0)
    await restart(hurt.store, LOST)
    for (const { children } of sides) await children.run(options.seconds / ROUNDS)
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const side of sides) await measure(side, options.seconds / ROUNDS)
    }
    printLine(
      `GET 10 MiB: ${describe(whole)} with all drives, ${describe(hurt)} with ${LOST} missing`,
    )
    const name = `GET 10 MiB with ${LOST} drives missing to none missing`
    return [
      ratio(name, { atLeast: AT_LEAST }, [rateOf(hurt), rateOf(whole)]),
      ratio(`the same, for each CPU-second`, { atLeast: AT_LEAST }, [
        hurt.bytes / hurt.cpuSeconds,
        whole.bytes / whole.cpuSeconds,
      ]),
    ]
  } finally {
    for (const { store, children } of sides) {
      await children[Symbol.asyncDispose]()
      await store.close()
    }
  }
}

/** A store with its objects; among `sides` as soon as there is something to close. */
async function openSide(sides: Side[], processes: number): Promise<Side> {
  const store = await openEmbedded()
  const children = new LoadProcesses(processes)
  const side = { store, children, bytes: 0, seconds: 0, cpuSeconds: 0 }
  sides.push(side)
  const client = new S3Client(store.endpoint.url.origin)
  await client.send({ method: 'PUT', path: `/${BUCKET}` }).finally(() => client.close())
  const endpoint = { ...store.endpoint, url: store.endpoint.url.href }
  await children.prepare({ load: 'get-10m', bucket: BUCKET, endpoint })
  return side
}

async function restart(store: EmbeddedStore, lost: number): Promise<void> {
  await store.stop()
  for (const directory of store.directories.slice(0, lost))
    await rename(directory, `${directory}-away`)
  await store.start()
}

async function measure(side: Side, forSeconds: number): Promise<void> {
  const { processes } = side.store
  const before = processes.cost().cpuSeconds
  const { amount, seconds, errors } = await side.children.run(forSeconds)
  if (errors > 0) throw new Error(`${errors} reads failed`)
  side.bytes += amount
  side.seconds += seconds
  side.cpuSeconds += processes.cost().cpuSeconds - before
}

function rateOf({ bytes, seconds }: Side): number {
  return bytes / seconds
}

function describe(side: Side): string {
  const cpu = (side.cpuSeconds * 1e9) / side.bytes
  return `${(rateOf(side) / 1e6).toFixed(0)} MB/s and ${cpu.toFixed(2)} CPU-s/GB`
}
