// kintsugi drive … to its end: a drive is drained and taken away, a dead one is replaced, and drives come and go under
// load. After a start without what left every object is there, byte by byte.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ask, Contents, driveOf, drivesOf, listOf, run } from '../support/drives.ts'
import { loseDirectory } from '../support/lose-directory.ts'
import { startServer, type TestServer } from '../support/server.ts'

async function start(t: Test, cwd: string): Promise<TestServer> {
  const environment = { KINTSUGI_BUCKETS: 'bucket' }
  const server = await startServer({ cwd, environment, options: ['--garbage-grace', '1'] })
  t.teardown(() => server.kill())
  return server
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(200)
}

async function idsOf(cwd: string, server: TestServer): Promise<number[]> {
  return (await drivesOf(cwd, server)).map(({ id }) => id)
}

t.test('a drive is drained and taken away', { timeout: 600_000 }, async (t) => {
  const cwd = t.testdir()
  const contents = new Contents()
  const first = await start(t, cwd)
  await contents.put(first, 24)
  t.match(await ask(cwd, first, 'add', 'data/drive7'), { code: 0 })
  t.match(await ask(cwd, first, 'drain', '2'), { code: 0, stdout: /drive 2 is being emptied/ })
  t.match(await ask(cwd, first, 'remove', '2'), { code: 1, stderr: /not verified that nothing/ })
  t.match(await ask(cwd, first, 'drain', '2'), { code: 0, stdout: /is being emptied already/ })
  t.match(await ask(cwd, first, 'replace', '2', 'new'), { code: 1, stderr: /emptied already/ })
  t.match(await ask(cwd, first, 'drain', '3'), { code: 1, stderr: /needs 6/ }, 'not two of seven')
  const waited = ask(cwd, first, 'drain', '2', '--wait')
  await contents.put(first, 12)
  t.match(await waited, { code: 0, stdout: /^Nothing names drive 2 any more/, stderr: '' })
  t.match(await driveOf(cwd, first, 2), { isVacated: true, blobs: 0, metadataReplicas: 0 })
  t.match(await ask(cwd, first, 'drain', '2'), { code: 0, stdout: /is empty already/ })
  t.match(await ask(cwd, first, 'remove', '2'), {
    code: 0,
    stdout: /no part of the store any more/,
  })
  t.match(await ask(cwd, first, 'remove', '2'), { code: 1, stderr: /there is no drive 2/ })
  t.match(await ask(cwd, first, 'add', 'data/drive2'), { code: 1, stderr: /was removed and never/ })
  await loseDirectory(join(cwd, 'data/drive2'))
  t.same(await contents.differences(first), [])
  await first.kill()

  const second = await start(t, cwd)
  t.same(await idsOf(cwd, second), [1, 3, 4, 5, 6, 7])
  t.same(await contents.differences(second), [])
  const again = await ask(cwd, second, 'add', 'data/drive2')
  t.match(again, { code: 0, stdout: /is drive 8 now/ }, 'its directory is as good as any')
  t.equal(await second.stop(), 0)
})

t.test('a dead drive is replaced', { timeout: 600_000 }, async (t) => {
  const cwd = t.testdir()
  const contents = new Contents()
  const first = await start(t, cwd)
  await contents.put(first, 24)
  await loseDirectory(join(cwd, 'data/drive3'))
  await until(async () => (await driveOf(cwd, first, 3)).state === 'out')
  await contents.put(first, 4)
  const replaced = await ask(cwd, first, 'replace', '3', 'data/new')
  t.match(replaced, { code: 0, stdout: /is drive 7 now and takes the place of drive 3/ })
  t.match(await ask(cwd, first, 'replace', '3', 'other'), { code: 1, stderr: /emptied already/ })
  t.match(await ask(cwd, first, 'drain', '3', '--wait'), { code: 0, stdout: /^Nothing names/ })
  t.match(await ask(cwd, first, 'remove', '3'), { code: 0 })
  t.match(await run(cwd, first, 'heal', '--wait'), { code: 0, stdout: /^A verified pass/ })
  t.match(await run(cwd, first, 'status'), { code: 0, stdout: /^Health +healthy/ })
  await first.kill()

  const second = await start(t, cwd)
  t.same(await idsOf(cwd, second), [1, 2, 4, 5, 6, 7])
  t.same(await contents.differences(second), [])
  for (const gone of ['data/drive1', 'data/drive4']) await loseDirectory(join(cwd, gone))
  t.same(await contents.differences(second), [], 'and any two may be lost again')
  await second.kill()
})

t.test('drives come and go under load', { timeout: 600_000 }, async (t) => {
  const cwd = t.testdir()
  const contents = new Contents()
  const first = await start(t, cwd)
  await contents.put(first, 24)
  let isOver = false
  const wrong: string[] = []
  const work = async (): Promise<void> => {
    while (!isOver) {
      await contents.put(first, 2)
      wrong.push(...(await contents.differences(first)))
    }
  }
  const working = work()
  for (const name of ['data/drive7', 'data/drive8'])
    t.match(await ask(cwd, first, 'add', name), { code: 0 })
  const leave = ['remove', '1', '--drain', '--wait']
  t.match(await ask(cwd, first, ...leave), { code: 0, stdout: /no part of the store any more/ })
  await until(async () => {
    const { moving } = await listOf(cwd, first)
    return moving?.phase === 'idle' && moving.remainingShards === 0
  })
  isOver = true
  await working
  t.same(wrong, [], 'all the while every object was there')
  await loseDirectory(join(cwd, 'data/drive1'))
  await first.kill()

  const second = await start(t, cwd)
  t.same(await idsOf(cwd, second), [2, 3, 4, 5, 6, 7, 8])
  t.same(await contents.differences(second), [])
  t.equal(await second.stop(), 0)
})
