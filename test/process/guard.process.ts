// The guard of kintsugi serve with real processes: the server ends by signals, the guard by kill -9.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MixedLoad } from '../support/load.ts'
import { isAlive, isDead } from '../support/process-state.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { countRestarts, startServer } from '../support/server.ts'

function sixUnder(directory: string): string[] {
  return [1, 2, 3, 4, 5, 6].map((number) => join(directory, `drive${number}`))
}

t.test('a server that ends by a signal under load serves again, on its ports', async (t) => {
  const directories = sixUnder(t.testdir())
  const random = new Seeded(seedOfRun())
  const server = await startServer({ directories, environment: { KINTSUGI_BUCKETS: 'load' } })
  t.teardown(() => server.kill())
  const client = new S3Client(server.endpoint)
  const load = new MixedLoad(client, 'load', random)
  let restarts = 0
  for (const signal of ['SIGSEGV', 'SIGABRT'] as const) {
    const running = load.run(3)
    await sleep(1000)
    // Serving, it would be written again from memory by the next scrub.
    await writeFile(join(directories[restarts]!, 'format.json'), '{"format": 99}')
    process.kill(server.serverPid(), signal)
    await running
    restarts += 1
    t.equal(await countRestarts(server), restarts, `${signal} is counted`)
    t.match(server.log(), new RegExp(`"signal":"${signal}","restarts":${restarts}`))
  }
  t.ok(load.acknowledged > 0, `${load.acknowledged} writes were acknowledged`)
  await load.checkAll()
  t.same(load.troubles, [], 'and none of them is lost')
  const metrics = await (await fetch(`${server.adminEndpoint}/metrics`)).text()
  t.match(metrics, /^kintsugi_drives\{state="out"\} 0$/m, 'drives whose markers rotted are known')
  t.equal(server.output().match(/^S3 endpoint/gm)?.length, 1, 'it is welcomed once')
  t.equal(await server.stop(), 0)
  client.close()
})

t.test(
  'kill -9 of the guard ends the server; of signals that ask for the end one counts',
  async (t) => {
    const directories = sixUnder(t.testdir())
    const killed = await startServer({ directories })
    const pid = killed.serverPid()
    await killed.kill()
    t.ok(await isDead(pid), 'the server is dead')

    const server = await startServer({ directories })
    t.pass('another one can start at once')
    // As of a terminal: to both, and of somebody who is impatient.
    process.kill(server.serverPid(), 'SIGINT')
    for (let times = 0; times < 3; times += 1) process.kill(server.pid, 'SIGINT')
    t.equal(await server.ended, 0, 'it closes cleanly')
    t.equal(server.log().match(/the store drains and closes/g)?.length, 1)
    t.notMatch(server.log(), /started again/)
  },
)

t.test('kill -9 of the guard ends a server that is busy for ever', async (t) => {
  // A guard of two lines, and a server that says its pid and never looks up again.
  const room = new URL('../../src/guard/', import.meta.url).href
  const server = `
    const { holdLeash } = await import('${room}leash.js')
    await holdLeash().tell({})
    process.stdout.write(process.pid + '\\n')
    for (;;);`
  const guard = `
    const { startServerProcess } = await import('${room}server-process.js')
    const command = {
      program: process.execPath,
      words: ['--input-type=module', '-e', ${JSON.stringify(server)}],
      environment: {},
      variable: 'LIFE',
    }
    await startServerProcess(command, { restarts: { count: 0 } }).ended`
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', guard], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [bytes] = (await once(child.stdout!, 'data')) as [Buffer]
  const pid = Number(bytes.toString())
  t.ok(isAlive(pid))
  const startedMs = performance.now()
  child.kill('SIGKILL')
  await once(child, 'close')
  t.comment(`it took ${Math.round(performance.now() - startedMs)} ms`)
  t.ok(await isDead(pid), 'the server is dead')
})
