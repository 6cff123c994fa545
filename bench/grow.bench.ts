// A store grows from six drives to seven and to twelve, and shrinks back, under load, by the commands that a person would
// give: how many bytes move, against what the new shares ask for at least, and what clients notice of it.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { S3Client } from '../test/support/s3.ts'
import { startServer, TEST_KEYS, type TestServer } from '../test/support/server.ts'
import { Foreground, type PhaseRow, printPhase } from './foreground.ts'
import { readMetrics } from './metrics.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/kintsugi.cjs', import.meta.url))
const CLIENTS = 4
const LONGEST_MS = 20 * 60_000
/** Shards and data bytes of a stripe: 4+2. */
const OVERHEAD = 6 / 4

/** One change of the drives. */
export interface GrowRow {
  change: string
  seconds: number
  movedBytes: number
  /** Moved bytes over the share that has to move. */
  overOptimum: number
  foreground: PhaseRow
}

/** The result of the bench. */
export interface GrowResult {
  objects: number
  rows: GrowRow[]
  wrongAtEnd: number
}

/** Grows and shrinks a store of `objects` objects. */
export async function benchGrow(objects: number): Promise<GrowResult> {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-grow-'))
  const pathOf = (drive: number): string => join(directory, `drive${drive}`)
  const directories = [1, 2, 3, 4, 5, 6].map(pathOf)
  const environment = { KINTSUGI_BUCKETS: 'bench', KINTSUGI_LOG_LEVEL: 'error' }
  const server = await startServer({ directories, environment, options: ['--code', '4+2'] })
  const client = new S3Client(server.endpoint)
  try {
    // What is written anew lies where the new table wants it: few writes, or nothing would have to move.
    const load = new Foreground(client, objects, 200)
    await load.fill(CLIENTS)
    load.start(CLIENTS)
    const grow = new Growth(server, load, objects)
    const rows = [await grow.change(7, async () => grow.run('add', pathOf(7)))]
    const upToTwelve = [8, 9, 10, 11, 12]
    rows.push(
      await grow.change(12, async () => {
        for (const drive of upToTwelve) await grow.run('add', pathOf(drive))
      }),
    )
    rows.push(
      await grow.change(7, async () => {
        for (const drive of upToTwelve) await grow.run('drain', String(drive))
      }),
    )
    for (const drive of upToTwelve) await grow.remove(drive)
    rows.push(await grow.change(6, async () => grow.run('drain', '7')))
    await grow.remove(7)
    await load.stop()
    return { objects, rows, wrongAtEnd: await load.countWrong(CLIENTS) }
  } finally {
    client.close()
    await server.stop()
    await rm(directory, { recursive: true })
  }
}

/** A store whose drives come and go. */
class Growth {
  readonly #server: TestServer
  readonly #load: Foreground
  readonly #shardBytes: number
  #drives = 6

  constructor(server: TestServer, load: Foreground, objects: number) {
    this.#server = server
    this.#load = load
    this.#shardBytes = load.bytesOf(objects) * OVERHEAD
  }

  /** Gives a `kintsugi drive` command. */
  async run(...words: string[]): Promise<void> {
    const environment = {
      ...process.env,
      KINTSUGI_ROOT_ACCESS_KEY_ID: TEST_KEYS.accessKeyId,
      KINTSUGI_ROOT_SECRET_ACCESS_KEY: TEST_KEYS.secretAccessKey,
    }
    const line = [PROGRAM, 'drive', ...words, '--endpoint', this.#server.endpoint]
    await promisify(execFile)(process.execPath, line, { env: environment })
  }

  /** Does it, and waits until nothing has to move any more. */
  async change(drives: number, work: () => Promise<unknown>): Promise<GrowRow> {
    this.#load.enter('')
    const before = await readMetrics(this.#server)
    const startedMs = performance.now()
    await work()
    await this.#untilMoved()
    const seconds = Number(((performance.now() - startedMs) / 1000).toFixed(1))
    const moved =
      (await readMetrics(this.#server))('kintsugi_moves_bytes_total') -
      before('kintsugi_moves_bytes_total')
    const share = Math.abs(drives - this.#drives) / Math.max(drives, this.#drives)
    const change = `${this.#drives} → ${drives} drives`
    this.#drives = drives
    const overOptimum = Number((moved / (this.#shardBytes * share)).toFixed(2))
    const foreground = { ...this.#load.enter(''), phase: change }
    printPhase(foreground)
    console.log(`${change}: ${moved} bytes moved in ${seconds} s, ${overOptimum} of the optimum`)
    return { change, seconds, movedBytes: moved, overOptimum, foreground }
  }

  /** A drive that was emptied leaves, as soon as it is verified that nothing names it. */
  async remove(drive: number): Promise<void> {
    const deadline = performance.now() + LONGEST_MS
    for (;;) {
      try {
        return await this.run('remove', String(drive))
      } catch (error) {
        if (performance.now() > deadline) throw error
        await sleep(1000)
      }
    }
  }

  /** Twice in a row, for a change is counted a little later than it is made. */
  async #untilMoved(): Promise<void> {
    const deadline = performance.now() + LONGEST_MS
    let still = 0
    let last = -1
    while (still < 8) {
      if (performance.now() > deadline) throw new Error('it is moving for too long')
      await sleep(1000)
      const value = await readMetrics(this.#server)
      const moved = value('kintsugi_moves_shards_total')
      still = value('kintsugi_moves_remaining_shards') === 0 && moved === last ? still + 1 : 0
      last = moved
    }
  }
}
