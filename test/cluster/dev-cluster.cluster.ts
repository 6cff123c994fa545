// A whole cluster of real processes, as deploy/dev-cluster starts it: what was acknowledged is read through every gateway
// after a node was killed, after etcd was, and after each of them came back.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { encodeKey, S3Client } from '../support/s3.ts'
import { TEST_KEYS } from '../support/server.ts'

const SCRIPT = fileURLToPath(new URL('../../../deploy/dev-cluster', import.meta.url))

/** As `dev-cluster up --json` says it. */
interface Shown {
  gateways: string[]
  nodes: { id: string; pid: number }[]
  etcd: { pid: number }
}

/** What was acknowledged, by its key. */
type Acknowledged = Map<string, Buffer>

const BUCKET = 'cluster'
const SIZES = [0, 1, 3_000, 200_000, 3_000_000]

/** A partition is led again within five seconds of the death of its node; a machine that does much else takes longer. */
const FAILOVER_MS = 180_000

t.test('a cluster goes on without a node, and without etcd', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'dev-cluster-'))
  t.teardown(async () => {
    await devCluster('down', '--dir', directory).catch(() => undefined)
    await rm(directory, { recursive: true, force: true })
  })
  const up = async (): Promise<Shown> =>
    JSON.parse(await devCluster('up', '--dir', directory, '--nodes', '4', '--json')) as Shown
  const cluster = await up()
  t.equal(cluster.gateways.length, 2)
  t.equal(cluster.nodes.length, 4)
  t.same(
    (JSON.parse(await readFile(join(directory, 'cluster.json'), 'utf8')) as Shown).etcd.pid,
    cluster.etcd.pid,
  )
  const clients = cluster.gateways.map((endpoint) => new S3Client(endpoint))
  t.teardown(() => {
    for (const client of clients) client.close()
  })
  const acknowledged: Acknowledged = new Map()
  await ok(clients[0]!, { method: 'PUT', path: `/${BUCKET}` })

  await write('before', clients, acknowledged)
  await readAll(t, 'both gateways serve what either took', clients, acknowledged)

  process.kill(cluster.nodes[1]!.pid, 'SIGKILL')
  await write('without-a-node', clients, acknowledged)
  await readAll(t, 'a node is dead', clients, acknowledged)

  process.kill(cluster.etcd.pid, 'SIGKILL')
  await write('without-etcd', clients, acknowledged)
  await readAll(t, 'etcd is dead as well', clients, acknowledged)

  const again = await up()
  t.not(again.nodes[1]!.pid, cluster.nodes[1]!.pid)
  t.not(again.etcd.pid, cluster.etcd.pid)
  t.equal(again.nodes[0]!.pid, cluster.nodes[0]!.pid, 'who runs is left alone')
  process.kill(again.nodes[2]!.pid, 'SIGKILL')
  await write('another-one', clients, acknowledged)
  await readAll(t, 'the first is back and another one is dead', clients, acknowledged)
  const key = `before/${SIZES.length - 1}`
  await ok(clients[1]!, { method: 'DELETE', path: `/${BUCKET}/${key}` })
  acknowledged.delete(key)

  await devCluster('down', '--dir', directory)
  for (const { pid } of again.nodes) t.notOk(await isRunning(pid), 'down ends every node')
  const restarted = await up()
  t.same(restarted.gateways, cluster.gateways)
  await readAll(t, 'everything was started again', clients, acknowledged)
})

/** With the root key of tests. */
async function devCluster(...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(SCRIPT, words, {
    env: {
      PATH: process.env.PATH,
      KINTSUGI_ROOT_ACCESS_KEY_ID: TEST_KEYS.accessKeyId,
      KINTSUGI_ROOT_SECRET_ACCESS_KEY: TEST_KEYS.secretAccessKey,
    },
  })
  return stdout
}

/** Objects of all sizes through all gateways. What fails at first is tried again, as clients do. */
async function write(
  name: string,
  clients: readonly S3Client[],
  acknowledged: Acknowledged,
): Promise<void> {
  await Promise.all(
    SIZES.map(async (bytes, at) => {
      const key = `${name}/${at}`
      const body = bodyOf(key, bytes)
      const path = `/${BUCKET}/${encodeKey(key)}`
      await ok(clients[at % clients.length]!, { method: 'PUT', path, body })
      acknowledged.set(key, body)
    }),
  )
}

/** Every object through every gateway, and the list of them. */
async function readAll(
  t: Test,
  when: string,
  clients: readonly S3Client[],
  acknowledged: Acknowledged,
): Promise<void> {
  for (const client of clients) {
    for (const [key, body] of acknowledged) {
      const found = await ok(client, { method: 'GET', path: `/${BUCKET}/${encodeKey(key)}` })
      if (Buffer.compare(found, body) !== 0) t.fail(`${when}: wrong bytes of ${key}`)
    }
    const query = { 'list-type': '2' }
    const list = String(await ok(client, { method: 'GET', path: `/${BUCKET}`, query }))
    const listed = [...list.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key)
    t.same(listed, [...acknowledged.keys()].sort(), when)
  }
}

async function ok(client: S3Client, request: Parameters<S3Client['send']>[0]): Promise<Buffer> {
  const untilMs = Date.now() + FAILOVER_MS
  for (;;) {
    const { status, body } = await client.send(request)
    if (status < 300) return body
    if (status < 500 || Date.now() > untilMs)
      throw new Error(`${request.method} ${request.path}: ${status} ${body}`)
    await sleep(200)
  }
}

function bodyOf(key: string, bytes: number): Buffer {
  const block = createHash('sha512').update(key).digest()
  return Buffer.alloc(bytes, block)
}

/** A process that ended and that nobody asked for its code yet does not run any more. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    return !/^State:\tZ/m.test(await readFile(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
