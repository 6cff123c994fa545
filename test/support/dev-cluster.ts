// A whole cluster of real processes for tests, as deploy/dev-cluster starts it, and objects whose bytes are known.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { encodeKey, S3Client } from './s3.ts'
import { TEST_KEYS } from './server.ts'

const SCRIPT = fileURLToPath(new URL('../../../deploy/dev-cluster', import.meta.url))
const KINTSUGI = fileURLToPath(new URL('../../../bin/kintsugi.cjs', import.meta.url))

/** As `dev-cluster up --json` says it. */
export interface Shown {
  gateways: string[]
  nodes: { id: string; pid: number }[]
  etcd: { pid: number }
}

/** What dev-cluster remembers, in cluster.json. */
export interface Remembered {
  etcd: { url: string; pid: number }
  nodes: {
    name: string
    id: string
    pid: number
    port: number
    adminPort: number
    state: string
    drives: string[]
    zone?: string
  }[]
  gateways: { url: string; state: string }[]
  /** With --tls: paths of PEM files, and who we are to etcd. */
  tls?: {
    ca: string
    member: { cert: string; key: string }
    user: string
    password: string
  }
}

/** A partition is led again within five seconds of the death of its node; a machine that does much else takes longer. */
const FAILOVER_MS = 180_000

/** A cluster in a directory of its own, which ends with the test. */
export class DevCluster {
  readonly directory: string
  readonly #words: readonly string[]

  private constructor(directory: string, words: readonly string[]) {
    this.directory = directory
    this.#words = words
  }

  /** Starts nothing yet. `words`: options of `dev-cluster up`. */
  static async make(t: Test, words: readonly string[]): Promise<DevCluster> {
    const cluster = await DevCluster.in(tmpdir(), words)
    t.teardown(() => cluster.remove())
    return cluster
  }

  /** As make(), in a new directory of this one; whoever calls it ends it with remove(). */
  static async in(parent: string, words: readonly string[]): Promise<DevCluster> {
    return new DevCluster(await mkdtemp(join(parent, 'dev-cluster-')), words)
  }

  /** Ends all of it, and takes its directory away. */
  async remove(): Promise<void> {
    await this.down().catch(() => undefined)
    await rm(this.directory, { recursive: true, force: true })
  }

  /** Starts what does not run, and waits until all of it serves. */
  async up(): Promise<Shown> {
    const words = ['up', '--dir', this.directory, ...this.#words, '--json']
    return JSON.parse(await run(SCRIPT, words)) as Shown
  }

  async down(): Promise<void> {
    await run(SCRIPT, ['down', '--dir', this.directory])
  }

  /** Starts one node more; gives its id. */
  async addNode(): Promise<string> {
    const words = ['add', 'node', '--dir', this.directory, '--json']
    return (JSON.parse(await run(SCRIPT, words)) as { id: string }).id
  }

  /** Ends the process of a node, and starts it no more. */
  async forget(nodeId: string): Promise<void> {
    await run(SCRIPT, ['forget', nodeId, '--dir', this.directory])
  }

  /** One command of dev-cluster, as somebody typed it. */
  async run(command: string, ...words: string[]): Promise<{ stdout: string; stderr: string }> {
    return await promisify(execFile)(SCRIPT, [command, '--dir', this.directory, ...words])
  }

  async remembered(): Promise<Remembered> {
    return JSON.parse(await readFile(join(this.directory, 'cluster.json'), 'utf8')) as Remembered
  }

  /** Runs a command of kintsugi with the root key; with the password of etcd where it asks for one. */
  async kintsugi(...words: string[]): Promise<string> {
    const { tls } = await this.remembered()
    return await run(process.execPath, [KINTSUGI, ...words], {
      ...(tls ? { KINTSUGI_ETCD_PASSWORD: tls.password } : {}),
    })
  }
}

async function run(
  program: string,
  words: readonly string[],
  environment: Record<string, string> = {},
): Promise<string> {
  const { stdout } = await promisify(execFile)(program, words, {
    env: {
      PATH: process.env.PATH,
      KINTSUGI_ROOT_ACCESS_KEY_ID: TEST_KEYS.accessKeyId,
      KINTSUGI_ROOT_SECRET_ACCESS_KEY: TEST_KEYS.secretAccessKey,
      ...environment,
    },
  })
  return stdout
}

const SIZES = [0, 1, 3_000, 200_000, 3_000_000]

/** Objects of one bucket that were acknowledged, through any of several gateways. */
export class KnownObjects {
  readonly clients: readonly S3Client[]
  readonly bucket: string
  readonly #acknowledged = new Map<string, Buffer>()

  constructor(clients: readonly S3Client[], bucket: string) {
    this.clients = clients
    this.bucket = bucket
  }

  async makeBucket(): Promise<void> {
    await ok(this.clients[0]!, { method: 'PUT', path: `/${this.bucket}` })
  }

  /** Objects of these sizes through all gateways, with keys that begin with `name`. What fails at first is tried again, as clients do. */
  async write(name: string, sizes: readonly number[] = SIZES): Promise<void> {
    await Promise.all(
      sizes.map(async (bytes, at) => {
        const key = `${name}/${at}`
        const body = bodyOf(key, bytes)
        await ok(this.clients[at % this.clients.length]!, {
          method: 'PUT',
          path: this.#pathOf(key),
          body,
        })
        this.#acknowledged.set(key, body)
      }),
    )
  }

  /** Deletes the largest of those that write() made under `name`. */
  async deleteLargest(name: string): Promise<void> {
    const key = `${name}/${SIZES.length - 1}`
    await ok(this.clients.at(-1)!, { method: 'DELETE', path: this.#pathOf(key) })
    this.#acknowledged.delete(key)
  }

  /** Every object through every gateway, and the list of them. */
  async readAll(t: Test, when: string): Promise<void> {
    for (const client of this.clients) {
      for (const [key, body] of this.#acknowledged) {
        const found = await ok(client, { method: 'GET', path: this.#pathOf(key) })
        if (Buffer.compare(found, body) !== 0) t.fail(`${when}: wrong bytes of ${key}`)
      }
      const query = { 'list-type': '2' }
      const list = String(await ok(client, { method: 'GET', path: `/${this.bucket}`, query }))
      const listed = [...list.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key)
      t.same(listed, [...this.#acknowledged.keys()].sort(), when)
    }
  }

  #pathOf(key: string): string {
    return `/${this.bucket}/${encodeKey(key)}`
  }
}

/** Asks until it is done; refusals that another try may cure are tried again for minutes. Throws what no try cures. */
export async function ok(
  client: S3Client,
  request: Parameters<S3Client['send']>[0],
): Promise<Buffer> {
  const untilMs = Date.now() + FAILOVER_MS
  for (;;) {
    const { status, body } = await client.send(request)
    if (status < 300) return body
    if (status < 500 || Date.now() > untilMs)
      throw new Error(`${request.method} ${request.path}: ${status} ${body}`)
    await sleep(200)
  }
}

/** Asks again and again until the answer is this; throws after minutes, with what it was instead. */
export async function until(wanted: string, ask: () => Promise<string>): Promise<void> {
  const untilMs = Date.now() + FAILOVER_MS
  for (;;) {
    const actual = await ask()
    if (actual === wanted) return
    if (Date.now() > untilMs) throw new Error(`it does not become ${wanted}, it is ${actual}`)
    await sleep(200)
  }
}

/** One for each gateway, until the test ends. */
export function openClients(t: Test, { gateways }: Shown): S3Client[] {
  const clients = gateways.map((endpoint) => new S3Client(endpoint))
  t.teardown(() => {
    for (const client of clients) client.close()
  })
  return clients
}

function bodyOf(key: string, bytes: number): Buffer {
  const block = createHash('sha512').update(key).digest()
  return Buffer.alloc(bytes, block)
}
