// A drive of eight is deleted under load: how long until the store has all its shards again, what that reads and writes
// for each byte lost, and what clients notice of it.
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { S3Client } from '../test/support/s3.ts'
import { startServer, type TestServer } from '../test/support/server.ts'
import { Foreground, type PhaseRow, printPhase } from './foreground.ts'
import { readMetrics } from './metrics.ts'

const DRIVES = 8
const CLIENTS = 8
const PHASE_MS = 20_000
const LONGEST_MS = 30 * 60_000

/** The result of the bench. */
export interface MendRow {
  objects: number
  bytes: number
  lostBytes: number
  seconds: number
  readPerLostByte: number
  writtenPerLostByte: number
  wrongAtEnd: number
  phases: PhaseRow[]
}

/** Fills a store with `objects` objects, deletes a drive, and waits until the store says that nothing is owed. */
export async function benchMend(objects: number): Promise<MendRow> {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-mend-'))
  const directories = Array.from({ length: DRIVES }, (_, index) =>
    join(directory, `drive${index + 1}`),
  )
  const environment = { KINTSUGI_BUCKETS: 'bench', KINTSUGI_LOG_LEVEL: 'error' }
  const server = await startServer({ directories, environment, options: ['--code', '4+2'] })
  const client = new S3Client(server.endpoint)
  try {
    return await measure(objects, directories, { server, client })
  } finally {
    client.close()
    await server.stop()
    await rm(directory, { recursive: true })
  }
}

async function measure(
  objects: number,
  directories: readonly string[],
  { server, client }: { server: TestServer; client: S3Client },
): Promise<MendRow> {
  const load = new Foreground(client, objects)
  const fillStarted = performance.now()
  await load.fill(CLIENTS)
  console.log(`filled with ${objects} objects in ${secondsSince(fillStarted)} s`)
  await untilComplete(server)
  load.start(CLIENTS)
  load.enter('before')
  await sleep(PHASE_MS)
  const phases = [load.enter('a drive is deleted')]
  const before = await readMetrics(server)
  const lostBytes = bytesIn(directories[2]!)
  const started = performance.now()
  await rm(directories[2]!, { recursive: true, force: true, maxRetries: 20 })
  await sleep(3_000)
  await untilComplete(server)
  const seconds = secondsSince(started)
  const after = await readMetrics(server)
  phases.push(load.enter('after'))
  await sleep(PHASE_MS)
  phases.push(await load.stop())
  for (const phase of phases) printPhase(phase)
  const grown = (name: string): number => after(name) - before(name)
  const row = {
    objects,
    bytes: load.bytesOf(objects),
    lostBytes,
    seconds,
    readPerLostByte: share(grown('kintsugi_heal_read_bytes_total'), lostBytes),
    writtenPerLostByte: share(grown('kintsugi_heal_written_bytes_total'), lostBytes),
    wrongAtEnd: await load.countWrong(CLIENTS),
    phases,
  }
  console.log(
    `${lostBytes} bytes were lost and are there again after ${seconds} s: ${row.readPerLostByte} bytes read and ` +
      `${row.writtenPerLostByte} written for each; ${row.wrongAtEnd} objects are wrong`,
  )
  return row
}

/** Waits until the store says that every blob has all its shards. */
async function untilComplete(server: TestServer): Promise<void> {
  const deadline = performance.now() + LONGEST_MS
  while ((await readMetrics(server))('kintsugi_heal_complete') !== 1) {
    if (performance.now() > deadline) throw new Error('it did not mend itself in half an hour')
    await sleep(250)
  }
}

function bytesIn(directory: string): number {
  return Number(execFileSync('du', ['-sb', directory], { encoding: 'utf8' }).split('\t')[0])
}

function secondsSince(startedMs: number): number {
  return Number(((performance.now() - startedMs) / 1000).toFixed(1))
}

function share(value: number, whole: number): number {
  return Number((value / whole).toFixed(2))
}
