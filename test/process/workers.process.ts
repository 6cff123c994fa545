// kintsugi serve --processes N with real processes: workers are killed under load, the store is, all drain.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { processesFor } from '../../src/config-settings.ts'
import type { StoreStatus } from '../../src/gateway/admin-api.ts'
import { usableCores } from '../../src/kit/cores.ts'
import { MixedLoad } from '../support/load.ts'
import { isAlive, isDead } from '../support/process-state.ts'
import { ROOT_KEYS, runProgram } from '../support/run-program.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { countRestarts, DidNotStart, startServer, type TestServer } from '../support/server.ts'

const WORKERS = 2

function sixUnder(directory: string): string[] {
  return [1, 2, 3, 4, 5, 6].map((number) => join(directory, `drive${number}`))
}

async function start(t: Test, options: readonly string[] = []): Promise<TestServer> {
  const server = await startServer({
    directories: sixUnder(t.testdir()),
    options: ['--processes', String(WORKERS + 1), ...options],
    environment: { KINTSUGI_BUCKETS: 'load' },
  })
  t.teardown(() => server.kill())
  return server
}

async function processesOf({ endpoint }: TestServer) {
  const words = ['status', '--json', '--endpoint', endpoint]
  const { code, stdout, stderr } = await runProgram(words, { environment: ROOT_KEYS })
  if (code !== 0) throw new Error(stderr)
  const { processes } = JSON.parse(stdout) as StoreStatus
  const [store, ...workers] = processes!.pids
  return { store: store!, workers, restarts: processes!.restarts }
}

t.test('auto takes as many as suit the cores, and says so', async (t) => {
  const cores = usableCores()
  const server = await startServer({
    directories: sixUnder(t.testdir()),
    options: ['--processes', 'auto'],
  })
  t.teardown(() => server.kill())
  const count = processesFor(cores)
  const what = count === 1 ? 'this one does everything' : '\\d+ has the store, [\\d, ]+ serve S3'
  const named = new RegExp(
    `^Processes     ${count}, chosen for ${cores} cores?: ${what} \\(--processes N`,
    'm',
  )
  t.match(server.output(), named)
  t.equal(await server.stop(), 0)
})

t.test(
  'a worker that is killed under load costs its connections, and nothing that was acknowledged',
  async (t) => {
    const server = await start(t)
    const before = await processesOf(server)
    t.equal(before.store, server.serverPid())
    t.equal(before.workers.length, WORKERS)
    const client = new S3Client(server.endpoint)
    const load = new MixedLoad(client, 'load', new Seeded(seedOfRun()))
    for (const victim of before.workers) {
      const running = load.run(4)
      const target = load.acknowledged + 20
      while (load.acknowledged < target) await sleep(10)
      process.kill(victim, 'SIGKILL')
      await sleep(500)
      load.stop()
      await running
      load.goOn()
      while ((await processesOf(server).catch(() => undefined))?.workers.length !== WORKERS)
        await sleep(50)
    }
    const after = await processesOf(server)
    t.equal(after.store, before.store)
    t.equal(after.restarts, WORKERS)
    for (const pid of after.workers) t.notOk(before.workers.includes(pid))
    client.patienceMs = 10_000
    await load.checkAll()
    t.same(load.troubles, [])
    // What a worker counted since it was last asked is gone with it: one that lives counts this.
    t.equal((await client.put('load', 'counted', Buffer.from('v'))).status, 200)
    const metrics = await (await fetch(`${server.adminEndpoint}/metrics`)).text()
    const puts = /^kintsugi_s3_requests_total\{operation="PutObject",status="200"\} (\d+)$/m
    t.ok(Number(puts.exec(metrics)?.[1]) > 0, 'what workers count is told on the admin port')
    t.match(metrics, /^kintsugi_drives\{state="active"\} 6$/m, 'and what the store counts')
    t.equal(await server.stop(), 0)
    for (const pid of after.workers) t.notOk(isAlive(pid))
    client.close()
  },
)

t.test(
  'the store is killed: its workers end, and all of it serves again on its ports',
  async (t) => {
    const server = await start(t)
    const before = await processesOf(server)
    const client = new S3Client(server.endpoint)
    t.equal((await client.put('load', 'k', Buffer.from('v'))).status, 200)
    process.kill(before.store, 'SIGKILL')
    for (const pid of before.workers) t.ok(await isDead(pid))
    t.equal(await countRestarts(server), 1)
    client.patienceMs = 30_000
    t.equal(String((await client.get('load', 'k')).body), 'v')
    const after = await processesOf(server)
    t.not(after.store, before.store)
    client.close()
    await server.kill()
    for (const pid of [after.store, ...after.workers])
      t.ok(await isDead(pid), 'all end with the guard')
  },
)

t.test('what one worker was told another one knows', async (t) => {
  const server = await start(t)
  // Connections go to the workers in turn.
  const clients = Array.from({ length: WORKERS }, () => new S3Client(server.endpoint, undefined, 1))
  for (let round = 0; round < 20; round += 1) {
    const [one, two] = [clients[round % 2]!, clients[(round + 1) % 2]!]
    const path = `/bucket-${round}`
    t.equal((await one.send({ method: 'PUT', path })).status, 200)
    t.equal((await two.send({ method: 'HEAD', path })).status, 200)
    const body = Buffer.from(String(round))
    t.equal((await one.put('load', 'k', body)).status, 200)
    t.ok((await two.get('load', 'k')).body.equals(body))
    t.equal((await two.delete('load', 'k')).status, 204)
    t.equal((await one.get('load', 'k')).status, 404)
    t.equal((await two.send({ method: 'DELETE', path })).status, 204)
    t.equal((await one.send({ method: 'HEAD', path })).status, 404)
  }
  for (const client of clients) client.close()
  t.equal(await server.stop(), 0)
})

t.test(
  'whoever reads through any worker sees what was acknowledged, and never goes back',
  async (t) => {
    const READS = 6_000
    const seed = seedOfRun()
    t.comment(`SEED=${seed}`)
    const random = new Seeded(seed)
    const server = await start(t)
    const clients = Array.from({ length: 6 }, () => new S3Client(server.endpoint, undefined, 1))
    const counts = ['a', 'b', 'c', 'd'].map((key) => ({ key, acknowledged: 0, begun: 0, seen: 0 }))
    const troubles: string[] = []
    let left = READS
    const write = async (client: S3Client, mine: typeof counts): Promise<void> => {
      while (left > 0) {
        const count = random.pick(mine)
        count.begun += 1
        const { status } = await client.put('load', count.key, Buffer.from(String(count.begun)))
        if (status !== 200) troubles.push(`PUT: ${status}`)
        count.acknowledged = count.begun
        await sleep(random.below(20))
      }
    }
    const read = async (client: S3Client): Promise<void> => {
      while (left > 0) {
        left -= 1
        const count = random.pick(counts)
        const least = Math.max(count.acknowledged, count.seen)
        const { status, body } = await client.get('load', count.key)
        const says = status === 404 ? 0 : Number(String(body))
        if (!(says >= least && says <= count.begun))
          troubles.push(`${count.key}: ${status} ${body}, not ${least} to ${count.begun}`)
        count.seen = Math.max(count.seen, says)
      }
    }
    const [one, two, ...readers] = clients as [S3Client, S3Client, ...S3Client[]]
    await Promise.all([
      ...[write(one, counts.slice(0, 2)), write(two, counts.slice(2))],
      ...readers.map(read),
    ])
    t.same(troubles.slice(0, 3), [])
    t.ok(counts.every(({ acknowledged }) => acknowledged > 20))
    const metrics = await (await fetch(`${server.adminEndpoint}/metrics`)).text()
    const [, hits] = /small_blob_reads_total\{outcome="hit"\} (\d+)/.exec(metrics) ?? []
    t.ok(Number(hits) > READS / 4, `${hits} were answered from memory`)
    for (const client of clients) client.close()
    t.equal(await server.stop(), 0)
  },
)

t.test('a worker that stands still answers nothing by what is over', async (t) => {
  const server = await start(t)
  const { workers } = await processesOf(server)
  // Connections go to the workers in turn; what was asked twice is kept.
  const clients = Array.from({ length: WORKERS }, () => new S3Client(server.endpoint, undefined, 1))
  const [one, two] = clients as [S3Client, S3Client]
  t.equal((await one.put('load', 'k', Buffer.from('before'))).status, 200)
  for (let round = 0; round < 3; round += 1) {
    for (const client of clients) t.equal(String((await client.get('load', 'k')).body), 'before')
  }
  const stopped = await stopTheOneOf(two, workers)
  one.patienceMs = 60_000
  two.patienceMs = 60_000
  // Nobody is told that it is done while somebody may answer otherwise: it takes until the other one is killed.
  t.equal((await one.put('load', 'k', Buffer.from('after'))).status, 200)
  t.ok(await isDead(stopped))
  for (const client of clients) t.equal(String((await client.get('load', 'k')).body), 'after')
  t.equal((await processesOf(server)).restarts, 1)
  for (const client of clients) client.close()
  t.equal(await server.stop(), 0)
})

/** Stops the worker that has the connection of this client: the one that it takes to answer. */
async function stopTheOneOf(client: S3Client, workers: readonly number[]): Promise<number> {
  for (const pid of workers) {
    process.kill(pid, 'SIGSTOP')
    const answer = client.get('load', 'k')
    const isLate = await Promise.race([answer.then(() => false), sleep(1_000).then(() => true)])
    if (isLate) {
      // It is answered by the next one, when this is dead.
      answer.catch(() => undefined)
      return pid
    }
    process.kill(pid, 'SIGCONT')
  }
  throw new Error('no worker has its connection')
}

t.test('a port that is taken is said once', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  t.teardown(() => holder.close())
  const { port } = holder.address() as { port: number }
  const error = await start(t, ['--port', String(port)]).catch((thrown) => thrown)
  t.ok(error instanceof DidNotStart)
  t.equal(error.exitCode, 3)
  t.equal(error.stderr.match(/port \d+ on 127.0.0.1 is in use/g)?.length, 1)
})
