// A real store for real clients: `kintsugi serve` on free ports over six empty drives, http or https, and its end.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { chosenHttp } from '../support/server.ts'
import { type Certificate, makeCertificate } from './certificate.ts'
import { searchPath } from './commands.ts'

/** How clients reach a store. */
export const SCHEMES = ['http', 'https'] as const
export type Scheme = (typeof SCHEMES)[number]

/** A store that runs, and what a client needs to know of it. */
export interface Store {
  endpoint: string
  /** Environment of clients: credentials, region, endpoint, certificate. */
  environment: NodeJS.ProcessEnv
  /** Certificate of the authority that vouches for the store, when it speaks https. */
  caFile: string | undefined
  /** A directory for files of the test, removed at its end. */
  scratch: string
}

/** No client takes longer for all of its checks over one scheme. */
export const TEST_MS = 480_000

const START_MS = 60_000
const END_MS = 15_000
const ACCESS_KEY = 'client-tests'
const SECRET_KEY = 'not-a-secret-outside-of-this-test'

/** Starts a store; it is stopped, and all its files removed, when `t` ends. */
export async function startStore(t: Test, scheme: Scheme): Promise<Store> {
  const directory = mkdtempSync(join(tmpdir(), 'kintsugi-clients-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const certificate = scheme === 'https' ? makeCertificate(directory) : undefined
  const caFile = certificate?.caFile
  const child = serve(directory, certificate)
  t.teardown(() => stop(t, child))
  const endpoint = await announcedEndpoint(child)
  const scratch = join(directory, 'scratch')
  mkdirSync(scratch)
  return { endpoint, environment: clientEnvironment(endpoint, caFile), caFile, scratch }
}

function serve(directory: string, certificate: Certificate | undefined): ChildProcess {
  const drives = [1, 2, 3, 4, 5, 6].map((number) => join(directory, `drive${number}`))
  for (const drive of drives) mkdirSync(drive)
  const tls = certificate
    ? ['--tls-cert', certificate.certificateFile, '--tls-key', certificate.keyFile]
    : []
  const ports = ['--port', '0', '--admin-port', '0', '--log-level', 'warn']
  return spawn('node', ['bin/kintsugi.cjs', 'serve', ...drives, ...ports, ...tls], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...withoutAws(process.env),
      ...chosenHttp(),
      KINTSUGI_ROOT_ACCESS_KEY_ID: ACCESS_KEY,
      KINTSUGI_ROOT_SECRET_ACCESS_KEY: SECRET_KEY,
    },
  })
}

/** Reads the first lines of a start, as a newcomer does. */
async function announcedEndpoint(child: ChildProcess): Promise<string> {
  const late = setTimeout(() => child.kill('SIGKILL'), START_MS)
  try {
    for await (const line of createInterface({ input: child.stdout! })) {
      const endpoint = /^S3 endpoint\s+(\S+)$/.exec(line)?.[1]
      if (endpoint !== undefined) return endpoint
    }
    throw new Error(`the store did not say its endpoint within ${START_MS} ms`)
  } finally {
    clearTimeout(late)
    child.stdout!.resume()
  }
}

/** SIGTERM, and the promise of the guide: it ends within ten seconds, cleanly. */
async function stop(t: Test, child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) {
    t.fail(`the store ended by itself: ${child.exitCode ?? child.signalCode}`)
    return
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS)
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  clearTimeout(timer)
  if (code !== 0) throw new Error(`the store ended with ${code}`)
}

function clientEnvironment(endpoint: string, caFile: string | undefined): NodeJS.ProcessEnv {
  return {
    ...withoutAws(process.env),
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: SECRET_KEY,
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    ...(caFile ? { AWS_CA_BUNDLE: caFile, SSL_CERT_FILE: caFile } : {}),
    PATH: searchPath(),
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
    PYTHONUTF8: '1',
    PYTHONUNBUFFERED: '1',
    PYTHONDONTWRITEBYTECODE: '1',
  }
}

/** Settings of the one who runs the tests are not part of them. */
function withoutAws(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !/^(AWS|RCLONE|KINTSUGI)_/.test(name)),
  )
}
