// The key file: read, added to, watched; what is wrong with it is said without showing a key.
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  addKey,
  isOpenToOthers,
  parseKeyFile,
  readKeyFile,
  watchKeyFile,
} from '../../../src/encryption/key-file.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld, type World } from '../../../src/kit/world.ts'

const world = realWorld()
const KEY = Buffer.alloc(32, 5).toString('base64')
const OTHER = Buffer.alloc(32, 6).toString('base64')

async function inDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-keys-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

t.test('the newest key is the last line', async (t) => {
  const keys = parseKeyFile(`# about\n\none ${KEY}\r\n  two\t${OTHER}\n`)
  t.same(
    keys.map(({ id }) => id),
    ['two', 'one'],
  )
  t.same(keys[1]!.key, Buffer.alloc(32, 5))
})

t.test('what is no key file', async (t) => {
  const wrong = [
    '',
    '# only words',
    'one',
    `one ${KEY} more`,
    `one ${KEY.slice(0, -4)}`,
    `one ${KEY.replace('=', '')}`,
    `one\n${KEY}`,
    `store-1 ${KEY}`,
    `o/ne ${KEY}`,
    `one ${KEY}\none ${OTHER}`,
  ]
  for (const text of wrong) {
    t.throws(
      () => parseKeyFile(text),
      { code: 'KEY_FILE_WRONG' },
      JSON.stringify(text.slice(0, 20)),
    )
  }
  try {
    parseKeyFile(`one ${KEY}x`)
  } catch (error) {
    t.notOk(String(error).includes(KEY.slice(0, 10)), 'the error shows no key')
  }
})

t.test('new-key makes the file for its owner alone, then adds to it', async (t) => {
  const path = join(await inDirectory(t), 'keys')
  const first = await addKey(path, world)
  t.equal(await isOpenToOthers(path, world), false)
  const second = await addKey(path, world)
  const keys = await readKeyFile(path, world)
  t.same(
    keys.map(({ id }) => id),
    [second, first],
  )
  t.match(await readFile(path, 'utf8'), /^# /, 'the file explains itself')
  await chmod(path, 0o640)
  t.equal(await isOpenToOthers(path, world), true)
  await writeFile(path, 'something else\n')
  await t.rejects(addKey(path, world), { code: 'KEY_FILE_WRONG' }, 'another file is left alone')
  t.equal(await readFile(path, 'utf8'), 'something else\n')
})

t.test('two keys at once: both are in the file, or one is refused', async (t) => {
  const path = join(await inDirectory(t), 'keys')
  const results = await Promise.allSettled([1, 2, 3].map(() => addKey(path, world)))
  const made = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const ids = (await readKeyFile(path, world)).map(({ id }) => id)
  t.same(ids.toSorted(), made.toSorted(), 'what was told to be in the file is')
  t.ok(made.length > 0)
  await writeFile(`${path}.draft`, '')
  await t.rejects(addKey(path, world), /draft is there/)
})

t.test('a file without a last line feed is added to', async (t) => {
  const path = join(await inDirectory(t), 'keys')
  await writeFile(path, `one ${KEY}`)
  const id = await addKey(path, world)
  t.same(
    (await readKeyFile(path, world)).map((key) => key.id),
    [id, 'one'],
  )
})

/** A file in memory and a clock whose sleeps end when the test says so. */
function fakeWorld(text: string) {
  const file = { text }
  const sleepers: (() => void)[] = []
  const fake: World = {
    ...world,
    clock: {
      ...world.clock,
      sleep: (_ms, signal) =>
        new Promise((resolve, reject) => {
          sleepers.push(resolve)
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        }),
    },
    disk: {
      ...world.disk,
      readFile: async () => Buffer.from(file.text),
    },
  }
  const look = async (): Promise<void> => {
    for (const wake of sleepers.splice(0)) wake()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { file, fake, look }
}

t.test('a new key is taken up; a spoilt file is said once and changes nothing', async (t) => {
  const { file, fake, look } = fakeWorld(`one ${KEY}\n`)
  const taken: string[][] = []
  const warnings: object[] = []
  const log = { ...silentLog, warn: (data: object) => warnings.push(data) }
  const watching = watchKeyFile(
    '/keys',
    await readKeyFile('/keys', fake),
    (keys) => taken.push(keys.map(({ id }) => id)),
    { world: fake, log },
  )
  await look()
  t.same(taken, [], 'nothing changed')
  file.text = 'spoilt'
  await look()
  await look()
  t.same(taken, [])
  t.equal(warnings.length, 1)
  file.text = `one ${KEY}\ntwo ${OTHER}\n`
  await look()
  await look()
  t.same(taken, [['two', 'one']])
  await watching.stop()
})
