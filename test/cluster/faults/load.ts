// The clients of load.py, beside a test: started, ended, and what they have told so far.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { S3Client } from '../../support/s3.ts'
import { TEST_KEYS } from '../../support/server.ts'
import { parseRequests, type Request } from './history.ts'

/** What they do. */
export interface LoadOptions {
  endpoints: readonly string[]
  /** Where they tell it. */
  file: string
  clients: number
  seed: string
  /** Between two requests of a client, on average. */
  pauseSeconds: number
  /** They ask again by themselves what failed, as boto3 does unless it is told otherwise. Without it every failure is one. */
  retries?: boolean
  /** Sizes of objects that are written before all else, and read ever after. */
  library?: readonly number[]
}

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
/** Where they work. */
export const BUCKET = 'faults'
const POLL_MS = 200
const PATIENCE_MS = 300_000

/** Microseconds of the clock that the clients use. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/** The Python that has boto3: that of test/clients/install.sh. */
export function python(): string {
  const installed = `${ROOT}.venv/bin/python`
  return existsSync(installed) ? installed : 'python3'
}

/** Clients under way. */
export class Load {
  readonly #child: ChildProcess
  readonly #file: string
  readonly #ended: Promise<number | null>

  private constructor(child: ChildProcess, file: string) {
    this.#child = child
    this.#file = file
    this.#ended = new Promise((resolve) => child.once('exit', resolve))
  }

  /** Makes a bucket and begins. */
  static async start({ endpoints, file, ...options }: LoadOptions): Promise<Load> {
    const client = new S3Client(endpoints[0]!)
    const { status, body } = await client.send({ method: 'PUT', path: `/${BUCKET}` })
    client.close()
    if (status !== 200) throw new Error(`no bucket: ${status} ${body}`)
    writeFileSync(file, '')
    const usual = { retries: false, library: [], bucket: BUCKET, name: 'c', ...TEST_KEYS }
    const words = { ...usual, ...options, file, gateways: endpoints }
    const script = `${ROOT}test/cluster/faults/load.py`
    const child = spawn(python(), [script, JSON.stringify(words)], {
      stdio: ['pipe', 'inherit', 'inherit'],
    })
    return new Load(child, file)
  }

  /** What was told so far. */
  requests(): Request[] {
    const text = readFileSync(this.#file, 'utf8')
    return parseRequests(text.slice(0, text.lastIndexOf('\n') + 1))
  }

  /** Resolves once something was done; the library is written by then. */
  async succeeds(): Promise<void> {
    const untilMs = performance.now() + PATIENCE_MS
    const isDone = ({ key, outcome }: Request): boolean =>
      outcome === 'done' && !key.startsWith('library/')
    while (!this.requests().some(isDone)) {
      if (performance.now() > untilMs) throw new Error('the clients get nothing done')
      await sleep(POLL_MS)
    }
  }

  /** Ends them: they read everything that they wrote, through every gateway. */
  async end(): Promise<Request[]> {
    this.#child.stdin?.end()
    const code = await this.#ended
    if (code !== 0) throw new Error(`the clients ended with ${code}`)
    return this.requests()
  }
}
