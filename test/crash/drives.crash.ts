// kintsugi drive … as processes: drives are added, found again, taken back, replaced, and refused with a sentence.
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ask, Contents, driveOf, drivesOf } from '../support/drives.ts'
import { ROOT_KEYS, runProgram } from '../support/run-program.ts'
import { DidNotStart, type ServerOptions, startServer, type TestServer } from '../support/server.ts'

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(200)
}

async function start(
  t: Test,
  cwd: string,
  directories: string[] = [],
  more: Pick<ServerOptions, 'options' | 'bare'> = {},
): Promise<TestServer> {
  const environment = { KINTSUGI_BUCKETS: 'bucket' }
  const server = await startServer({ cwd, directories, environment, ...more })
  t.teardown(() => server.kill())
  return server
}

t.test(
  'a drive is added and found again by the same command line',
  { timeout: 600_000 },
  async (t) => {
    const cwd = t.testdir()
    const contents = new Contents()
    const first = await start(t, cwd)
    await contents.put(first, 12)
    const added = await ask(cwd, first, 'add', 'data/drive7')
    t.match(added, {
      code: 0,
      stdout: /drive7 is drive 7 now/,
      stderr: /same file system as drive/,
    })
    const seventh = await driveOf(cwd, first, 7)
    t.match(seventh, { state: 'active', path: join(cwd, 'data/drive7'), isLeaving: false })
    t.equal(
      seventh.weight,
      (await driveOf(cwd, first, 1)).weight,
      'it weighs what its neighbours do',
    )
    t.match(await ask(cwd, first, 'list'), { code: 0, stdout: /^Drive +State +Weight/ })
    await contents.put(first, 40)
    const files = async (name: string) => (await readdir(join(cwd, 'data/drive7', name))).length
    t.ok((await files('seg')) + (await files('big')) > 0, 'it is written to')
    t.same(await contents.differences(first), [])
    await first.kill()

    const second = await start(t, cwd)
    t.match(second.output(), join(cwd, 'data/drive7'), 'the start names it')
    t.match(second.log(), /drive 7 \(.*\) is where it was last/)
    t.notOk((await readdir(join(cwd, 'data/drive7'))).includes('joining'))
    t.same(await contents.differences(second), [])
    t.equal(await second.stop(), 0)
    const third = await start(t, cwd, ['data/drive3'])
    t.ok(
      (await drivesOf(cwd, third)).every(({ state }) => state === 'active'),
      'one names them all',
    )
    t.same(await contents.differences(third), [])
    t.equal(await third.stop(), 0)
  },
)

t.test(
  'a drive that was away is taken back while the store serves',
  { timeout: 600_000 },
  async (t) => {
    const cwd = t.testdir()
    const contents = new Contents()
    const server = await start(t, cwd)
    await contents.put(server, 8)
    const [drive, aside] = [join(cwd, 'data/drive5'), join(cwd, 'aside')]
    await rename(drive, aside)
    await until(async () => (await driveOf(cwd, server, 5)).state === 'out')
    await contents.put(server, 8)
    t.match(await ask(cwd, server, 'add', 'aside'), { code: 0, stdout: /drive 5 is back at/ })
    t.match(await driveOf(cwd, server, 5), { state: 'active', path: aside })
    t.same(await contents.differences(server), [])

    await rename(aside, drive)
    await until(async () => (await driveOf(cwd, server, 5)).state === 'out')
    await rename(drive, aside)
    await until(async () => (await driveOf(cwd, server, 5)).state === 'active')
    t.match(server.log(), /drive 5 is back/, 'and by itself, where it was last')
    await contents.put(server, 8)
    t.same(await contents.differences(server), [])
    t.equal(await server.stop(), 0)
  },
)

t.test(
  'who waits for a drive waits for the store, too, when that is started anew',
  { timeout: 600_000 },
  async (t) => {
    const cwd = t.testdir()
    const first = await start(t, cwd, [], { options: ['--garbage-grace', '3600'] })
    await ask(cwd, first, 'add', 'data/drive7')
    await new Contents().put(first, 8)
    // For an hour copies stay that moved: the drive is not vacated before the store goes away.
    const words = ['drive', 'drain', '3', '--wait', '--json', '--endpoint', first.endpoint]
    let told = ''
    const onStderr = (text: string): void => {
      told = text
    }
    const waiting = runProgram(words, { cwd, environment: ROOT_KEYS, onStderr })
    await until(async () => ((await driveOf(cwd, first, 3)).oldCopies ?? 0) > 0)
    await first.kill()
    await until(async () => /no answer from .* it is waited for, 60 s/.test(told))
    const { port } = new URL(first.endpoint)
    const options = ['--garbage-grace', '1', '--port', port, '--admin-port', '0']
    const second = await start(t, cwd, [], { options, bare: true })
    const { code, stdout, stderr } = await waiting
    t.equal(code, 0, stderr)
    t.match(JSON.parse(stdout), { driveId: 3, drive: { isVacated: true } })
    t.match(stderr, /the store answers again/)
    t.equal(await second.stop(), 0)
  },
)

t.test('what is refused, and why', { timeout: 600_000 }, async (t) => {
  const cwd = t.testdir({ foreign: { 'notes.txt': 'mine' } })
  const server = await start(t, cwd)
  const refused = async (sentence: RegExp, ...words: string[]): Promise<void> => {
    const ended = await ask(cwd, server, ...words)
    t.match(ended, { code: 1, stderr: sentence, stdout: '' }, words.join(' '))
    t.match(ended.stderr, /^kintsugi: [^\n]*\n$/, 'one line')
  }
  await refused(/is drive 3 of this store, and in use/, 'add', 'data/drive3')
  await refused(/it holds notes.txt. Give an empty directory/, 'add', 'foreign')
  await refused(/lies inside of drive 2/, 'add', 'data/drive2/more')
  await cp(join(cwd, 'data/drive4'), join(cwd, 'copy'), { recursive: true })
  await refused(/is a copy of drive 4, which is in use at/, 'add', 'copy')
  await refused(/drive 3 is in service: drain it first/, 'remove', '3')
  await refused(/the code of the store, 4\+2, needs 6/, 'drain', '3')
  await refused(/is not being emptied/, 'drain', '3', '--cancel')
  await refused(/there is no drive 9/, 'drain', '9')
  await refused(/there is no drive 9/, 'replace', '9', 'new')
  await writeFile(join(cwd, 'file'), '')
  await refused(/not a directory/, 'add', 'file')
  t.match(await ask(cwd, server, 'drain', 'x'), { code: 2, stderr: /not the number of a drive/ })
  t.match(await ask(cwd, server, 'add', 'new', '--weight', '0'), { code: 2, stderr: /--weight/ })
  const elsewhere = await start(t, cwd, ['other1', 'other2'])
  await elsewhere.stop()
  await refused(/is a drive of another store/, 'add', 'other1')
  t.equal(await server.stop(), 0)
})

t.test(
  'what a crash left of an adding stops no start, and is gone on with',
  { timeout: 600_000 },
  async (t) => {
    const cwd = t.testdir()
    const first = await start(t, cwd)
    await ask(cwd, first, 'add', 'data/drive7')
    await first.kill()
    // As if the map had never named it: the others forget, and the drive still says that it is to join.
    const decisions = (drive: string) => join(cwd, 'data', drive, 'coordinator')
    const epochs = (await readdir(decisions('drive1'))).sort()
    const names = async (epoch: string) => {
      return (await readFile(join(decisions('drive1'), epoch), 'utf8')).includes('"id":7')
    }
    let before = ''
    for (const epoch of epochs) if (!(await names(epoch))) before = epoch
    for (const number of [1, 2, 3, 4, 5, 6, 7])
      for (const epoch of await readdir(decisions(`drive${number}`)))
        if (epoch > before) await rm(join(decisions(`drive${number}`), epoch))
    await writeFile(join(cwd, 'data/drive7/joining'), '')

    const all = [1, 2, 3, 4, 5, 6, 7].map((number) => `data/drive${number}`)
    const second = await start(t, cwd, all)
    t.match(second.log(), /drive 7 was not added to the end: kintsugi drive add/)
    t.equal((await drivesOf(cwd, second)).length, 6)
    const again = await ask(cwd, second, 'add', 'data/drive7')
    t.match(again, { code: 0, stdout: /is drive 7 now/ })
    t.equal((await drivesOf(cwd, second)).length, 7)
    t.equal(await second.stop(), 0)

    // A directory that was only begun with, all alone, is no new store.
    await mkdir(join(cwd, 'alone'))
    await cp(join(cwd, 'data/drive7/format.json'), join(cwd, 'alone/format.json'))
    for (const name of ['lock', 'coordinator', 'metalog', 'meta.db', 'shards.db', 'seg', 'big'])
      await mkdir(join(cwd, 'alone', name))
    await writeFile(join(cwd, 'alone/joining'), '')
    const outcome = await startServer({ cwd, directories: ['alone'] }).catch((error) => error)
    t.ok(outcome instanceof DidNotStart)
    t.equal(outcome.exitCode, 4)
  },
)
