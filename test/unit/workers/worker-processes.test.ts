// Workers that the system has no room for: each failed start counts as an end, and another one is tried.
import cluster from 'node:cluster'
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { WorkerProcesses } from '../../../src/workers/worker-processes.ts'

/** Serves nobody, and ends when it is told to. */
const WORKER = `
process.on('message', ({ kind }) => kind === 'close' && process.exit(0))
process.send({ kind: 'serving', endpoint: 'http://127.0.0.1:1', lines: [] })
`

interface Kept {
  workers: WorkerProcesses
  /** How each ended, as it is logged. */
  ends: string[]
}

async function keepOne(t: Test): Promise<Kept> {
  // Neither a pause nor a worker that is not there keeps a process alive.
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  const directory = t.testdir({ 'worker.cjs': WORKER })
  const ends: string[] = []
  const log = { ...silentLog, error: ({ how }: object & { how?: string }) => ends.push(`${how}`) }
  const { clock } = realWorld()
  // Pauses are short; what else is waited for is not.
  const sleep = (ms: number, signal?: AbortSignal) =>
    clock.sleep(ms === 500 || ms === 1_000 ? 1 : ms, signal)
  const workers = new WorkerProcesses(
    { count: 1, port: 0, variable: 'WORKER_OF_TEST', environment: {} },
    { world: { clock: { ...clock, sleep } }, log: log as unknown as typeof silentLog },
  )
  cluster.setupPrimary({ exec: join(directory, 'worker.cjs') })
  return { workers, ends }
}

async function killServing({ workers }: Kept): Promise<void> {
  const [pid] = workers.pids
  process.kill(pid!, 'SIGKILL')
}

async function whenServing({ workers }: Kept): Promise<void> {
  while (workers.pids.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
}

const canNotStart = (): void => cluster.setupPrimary({ cwd: '/there/is/none' })
const canStart = (): void => cluster.setupPrimary({ cwd: process.cwd() })

t.test('a start that fails later is tried again', async (t) => {
  const kept = await keepOne(t)
  t.match(await kept.workers.start(), { endpoint: 'http://127.0.0.1:1' })
  canNotStart()
  t.teardown(canStart)
  await killServing(kept)
  const [failing] = (await once(cluster, 'fork')) as [{ process: { pid?: number } }]
  t.equal(failing.process.pid, undefined)
  canStart()
  while (kept.ends.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  await whenServing(kept)
  t.equal(kept.ends[0], 'SIGKILL')
  t.match(kept.ends[1], 'ENOENT')
  t.ok(kept.workers.restarts >= 2)
  await kept.workers.close({ deadlineMs: 5_000 })
  t.same(kept.workers.pids, [])
})

t.test('a start that throws is tried again', async (t) => {
  const kept = await keepOne(t)
  await kept.workers.start()
  const { fork } = cluster
  let refusals = 0
  cluster.fork = () => {
    refusals += 1
    if (refusals === 2) cluster.fork = fork
    throw Object.assign(new Error('spawn ENOMEM'), { code: 'ENOMEM' })
  }
  t.teardown(() => {
    cluster.fork = fork
  })
  await killServing(kept)
  while (kept.ends.length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
  await whenServing(kept)
  t.match(kept.ends, ['SIGKILL', /ENOMEM/, /ENOMEM/])
  await kept.workers.close({ deadlineMs: 5_000 })
})

t.test('a close ends while a start fails, and a first start that fails says so', async (t) => {
  const kept = await keepOne(t)
  await kept.workers.start()
  canNotStart()
  t.teardown(canStart)
  await killServing(kept)
  await once(cluster, 'fork')
  await kept.workers.close({ deadlineMs: 5_000 })

  const { workers } = await keepOne(t)
  const end = await workers.start()
  t.match(end, { kind: 'not-started', code: 1, sentence: /ENOENT before it served/ })
  await workers.close({ deadlineMs: 5_000 })
})
