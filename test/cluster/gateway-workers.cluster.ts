// A gateway of several processes on one port, with real processes: one is killed, all drain, the first is killed.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { DevCluster } from '../support/dev-cluster.ts'
import { isAlive, isDead } from '../support/process-state.ts'
import { PROGRAM, runProgram } from '../support/run-program.ts'
import { S3Client } from '../support/s3.ts'
import { chosenHttp, TEST_KEYS } from '../support/server.ts'

const PROCESSES = 3
const BYTES = Buffer.alloc(5_000, 'some bytes')

interface Gateway {
  child: ChildProcess
  endpoint: string
  admin: string
  /** Of the workers that were started first. */
  pids: number[]
  ended: Promise<unknown[]>
}

/** Nodes and etcd for all tests of this file. */
const dev = await DevCluster.make(t, ['--nodes', '3'])
await dev.up()
const { etcd } = await dev.remembered()

async function startGateway(t: Test): Promise<Gateway> {
  const words = ['gateway', '--etcd', etcd.url, '--processes', String(PROCESSES)]
  const ports = ['--port', '0', '--admin-port', '0', '--state', t.testdir()]
  const child = spawn(process.execPath, [PROGRAM, ...words, ...ports], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, KINTSUGI_LOG_LEVEL: 'silent', ...chosenHttp() },
  })
  const ended = once(child, 'close')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes
  })
  while (!/^Processes .*\)$/m.test(said)) await once(child.stdout, 'data')
  const [endpoint, admin] = ['S3 endpoint', 'Admin'].map(
    (name) => new RegExp(`^${name} +(\\S+)$`, 'm').exec(said)?.[1] ?? '',
  ) as [string, string]
  const pids = /^Processes .*\((.*)\)$/m.exec(said)?.[1]?.split(', ').map(Number) ?? []
  return { child, endpoint, admin, pids, ended }
}

/** One connection each. */
function openClients(t: Test, { endpoint }: Gateway, count: number): S3Client[] {
  const clients = Array.from({ length: count }, () => new S3Client(endpoint, TEST_KEYS, 1))
  t.teardown(() => {
    for (const client of clients) client.close()
  })
  return clients
}

async function readMetric({ admin }: Gateway, pattern: RegExp): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text()
  return Number(pattern.exec(text)?.[1])
}

const LISTED = /^kintsugi_s3_requests_total\{operation="ListBuckets",status="200"\} (\d+)$/m
const SERVING = /^kintsugi_workers_serving (\d+)$/m
const RESTARTS = /^kintsugi_worker_restarts_total (\d+)$/m

t.test(
  'several processes are one gateway, and one that dies takes its connections only',
  async (t) => {
    const gateway = await startGateway(t)
    t.equal(new Set(gateway.pids).size, PROCESSES)
    const clients = openClients(t, gateway, 6)
    for (const client of clients) {
      t.equal((await client.send({ method: 'GET', path: '/' })).status, 200, 'buckets are listed')
    }
    t.equal(await readMetric(gateway, LISTED), 6, 'what all of them did is summed')
    t.equal(await readMetric(gateway, SERVING), PROCESSES)
    await clients[0]!.send({ method: 'PUT', path: '/photos' })

    // Each over a connection of its own, until that breaks or the worker was killed and is there again.
    const acknowledged: string[] = []
    let isOver = false
    const write = async (client: S3Client, name: number): Promise<'broken' | 'kept'> => {
      for (let count = 0; !isOver; count += 1) {
        const key = `${name}/${count}`
        try {
          if ((await client.put('photos', key, BYTES)).status === 200) acknowledged.push(key)
        } catch {
          return 'broken'
        }
      }
      return 'kept'
    }
    const writing = clients.map(write)
    while (acknowledged.length < 50) await sleep(10)
    process.kill(gateway.pids[1]!, 'SIGKILL')
    while ((await readMetric(gateway, RESTARTS)) !== 1) await sleep(50)
    while ((await readMetric(gateway, SERVING)) !== PROCESSES) await sleep(50)
    isOver = true
    const outcomes = await Promise.all(writing)
    t.match(
      new Set(outcomes),
      new Set(['broken', 'kept']),
      'some connections broke, others did not',
    )
    t.equal(await readMetric(gateway, LISTED), 6, 'what it counted is not forgotten')
    const [reader] = openClients(t, gateway, 1)
    for (const key of acknowledged) {
      const { status, body } = await reader!.get('photos', key)
      if (status !== 200 || !body.equals(BYTES)) t.fail(`${key} was acknowledged and is ${status}`)
    }
    t.ok(acknowledged.length >= 50, `${acknowledged.length} writes were acknowledged`)

    gateway.child.kill('SIGTERM')
    t.same(await gateway.ended, [0, null], 'it closes cleanly')
    for (const pid of gateway.pids) t.notOk(isAlive(pid), 'and with it its workers')
  },
)

t.test('kill -9 of the first process ends all', async (t) => {
  const gateway = await startGateway(t)
  gateway.child.kill('SIGKILL')
  for (const pid of gateway.pids) t.ok(await isDead(pid), 'a worker is dead')
})

t.test('requests under way are answered before the end', async (t) => {
  const gateway = await startGateway(t)
  const clients = openClients(t, gateway, PROCESSES)
  await clients[0]!.send({ method: 'PUT', path: '/photos' })
  let goOn = (): void => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  let begun = 0
  async function* halves(): AsyncGenerator<Uint8Array> {
    yield BYTES.subarray(0, 2_500)
    begun += 1
    await held
    yield BYTES.subarray(2_500)
  }
  const headers = { 'content-length': String(BYTES.length) }
  const sent = clients.map((client, at) =>
    client.send({ method: 'PUT', path: `/photos/${at}`, headers, body: halves() }),
  )
  while (begun < clients.length) await sleep(10)
  const inFlight = /^kintsugi_s3_requests_in_flight (\d+)$/m
  while ((await readMetric(gateway, inFlight)) < clients.length) await sleep(10)
  gateway.child.kill('SIGTERM')
  // The admin port is closed first.
  while (
    await fetch(gateway.admin).then(
      () => true,
      () => false,
    )
  )
    await sleep(10)
  goOn()
  for (const answer of sent) t.equal((await answer).status, 200)
  t.same(await gateway.ended, [0, null])
})

t.test('a port that is taken is said once', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  t.teardown(() => holder.close())
  const { port } = holder.address() as { port: number }
  const words = ['gateway', '--etcd', etcd.url, '--processes', '2', '--admin-port', '0']
  const { code, stderr } = await runProgram([...words, '--port', String(port)], {
    environment: { KINTSUGI_LOG_LEVEL: 'silent' },
  })
  t.equal(code, 3)
  t.equal(stderr, `kintsugi: port ${port} on 127.0.0.1 is in use: choose another with --port.\n`)
})
