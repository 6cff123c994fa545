// A real server process for tests: started on free ports, stopped by signal, killed when a test wants it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../../bin/kintsugi.cjs', import.meta.url))

/** Credentials of every test server. */
export const TEST_KEYS = { accessKeyId: 'TESTKEY', secretAccessKey: 'test-secret-of-tests' }

/** A server that answers. */
export interface TestServer {
  endpoint: string
  adminEndpoint: string
  pid: number
  /** Everything that it wrote to standard error so far. */
  log(): string
  /** Likewise standard output. */
  output(): string
  /** SIGTERM, then waits for the end; returns the exit code. */
  stop(): Promise<number | null>
  /** kill -9. */
  kill(): Promise<void>
  /** Resolves with the exit code when the process ends by itself. */
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
      ...environment,
    },
  })
  const stderr = collect(child, 'stderr')
  const stdout = collect(child, 'stdout')
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  const endpoint = await waitForEndpoint(child, ended, { stdout, stderr })
  return {
    endpoint: endpoint.s3,
    adminEndpoint: endpoint.admin,
    pid: child.pid!,
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
