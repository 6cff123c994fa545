// A real server process for tests: started on free ports, stopped by signal, killed when a test wants it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../../bin/kintsugi.cjs', import.meta.url))

/** Credentials of every test server. */
export const TEST_KEYS = { accessKeyId: 'TESTKEY', secretAccessKey: 'test-secret-of-tests' }

/** Of every gateway of a test, who reads and writes HTTP: HTTP=node npx tap dist/test/wire/*.test.js has Node's server do it. */
export function chosenHttp(): Record<string, string> {
  const { HTTP } = process.env
  return HTTP === undefined ? {} : { KINTSUGI_HTTP: HTTP }
}

/** A server that answers. */
export interface TestServer {
  endpoint: string
  adminEndpoint: string
  /** Of the guard, which is what was started. */
  pid: number
  /** Of the process that serves; another one after each of its ends. */
  serverPid(): number
  /** Everything that it wrote to standard error so far. */
  log(): string
  /** Likewise standard output. */
  output(): string
  /** SIGTERM, then waits for the end; returns the exit code. */
  stop(): Promise<number | null>
  /** kill -9 of the guard; the server is dead as well when it resolves. */
  kill(): Promise<void>
  /** Resolves with the exit code when guard and server have ended. */
  ended: Promise<number | null>
}

/** How a process that did not start ended. */
export class DidNotStart extends Error {
  readonly exitCode: number | null
  readonly stderr: string

  constructor(exitCode: number | null, stderr: string) {
    super(`the server ended with ${exitCode}: ${stderr.slice(-2000)}`)
    this.exitCode = exitCode
    this.stderr = stderr
  }
}

export interface ServerOptions {
  directories?: readonly string[]
  options?: readonly string[]
  environment?: Record<string, string>
  cwd?: string
  /** Without `--port 0 --admin-port 0`. */
  bare?: boolean
}

/** Starts `kintsugi serve` and waits until it says where it listens; throws DidNotStart. */
export async function startServer(given: ServerOptions = {}): Promise<TestServer> {
  const { directories = [], options = [], environment = {}, cwd, bare } = given
  const ports = bare ? [] : ['--port', '0', '--admin-port', '0']
  const child = spawn(process.execPath, [PROGRAM, 'serve', ...directories, ...ports, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd ? { cwd } : {}),
    env: {
      PATH: process.env.PATH,
      KINTSUGI_ROOT_ACCESS_KEY_ID: TEST_KEYS.accessKeyId,
      KINTSUGI_ROOT_SECRET_ACCESS_KEY: TEST_KEYS.secretAccessKey,
      // What a test takes away does not come back by itself.
      KINTSUGI_MEND_DELAY: '0',
      // The same tests with several processes: PROCESSES=3 npx tap dist/test/wire/*.test.js
      // On every machine the same number.
      KINTSUGI_PROCESSES: process.env.PROCESSES || '1',
      ...chosenHttp(),
      ...environment,
    },
  })
  const stderr = collect(child, 'stderr')
  const stdout = collect(child, 'stdout')
  // Not `exit`: the server has the same standard output and error, so they are closed when it has ended too.
  const ended = once(child, 'close').then(([code]) => code as number | null)
  const endpoint = await waitForEndpoint(child, ended, { stdout, stderr })
  return {
    endpoint: endpoint.s3,
    adminEndpoint: endpoint.admin,
    pid: child.pid!,
    serverPid: () => childOf(child.pid!),
    log: stderr,
    output: stdout,
    ended,
    stop: async () => {
      child.kill('SIGTERM')
      return ended
    },
    kill: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended
    },
  }
}

/** How often its guard has started it again; asks until it answers, for a minute at most. */
export async function countRestarts({ adminEndpoint }: TestServer): Promise<number> {
  for (let tries = 0; ; tries += 1) {
    try {
      const text = await (await fetch(`${adminEndpoint}/metrics`)).text()
      return Number(/^kintsugi_process_restarts_total (\d+)$/m.exec(text)?.[1])
    } catch (error) {
      if (tries >= 600) throw error
      await sleep(100)
    }
  }
}

/** The process that `pid` started, as /proc tells. */
function childOf(pid: number): number {
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    // It may have ended since it was listed.
    const text = existsSync(`/proc/${name}/stat`) ? readFileSync(`/proc/${name}/stat`, 'utf8') : ''
    // The name of the command, in parentheses, may have spaces; behind it come state and parent.
    const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    if (Number(parent) === pid && state !== 'Z') return Number(name)
  }
  throw new Error(`process ${pid} has started none`)
}

function collect(child: ChildProcess, stream: 'stdout' | 'stderr'): () => string {
  let text = ''
  child[stream]!.on('data', (bytes: Buffer) => {
    text = (text + bytes.toString('utf8')).slice(-1_000_000)
  })
  return () => text
}

async function waitForEndpoint(
  child: ChildProcess,
  ended: Promise<number | null>,
  { stdout, stderr }: { stdout: () => string; stderr: () => string },
): Promise<{ s3: string; admin: string }> {
  const failed = ended.then((code) => {
    throw new DidNotStart(code, stderr() + stdout())
  })
  // Only the race below looks at it.
  failed.catch(() => {})
  for (;;) {
    const s3 = /^S3 endpoint +(\S+)$/m.exec(stdout())?.[1]
    const admin = /^Admin +(\S+)$/m.exec(stdout())?.[1]
    if (s3 && admin && stdout().includes('Try it:')) return { s3, admin }
    await Promise.race([once(child.stdout!, 'data'), failed])
  }
}
