// Batches of LevelDB that are filled operation by operation: what was done is there, and what is no operation is refused whole.
import t from 'tap'
import { openLevelDb } from '../../../src/storage-node/drive-lock.ts'

const SIZES = { writeBufferBytes: 1024 * 1024, cacheBytes: 64 * 1024 }

const key = (number: number): Buffer => Buffer.from(`key ${String(number).padStart(6, '0')}`)
const value = (number: number, bytes = 20): Buffer => Buffer.alloc(bytes, `value ${number}`)
const put = (number: number, bytes?: number) => ({
  ...{ type: 'put' as const, key: key(number), value: value(number, bytes) },
})
const del = (number: number) => ({ type: 'del' as const, key: key(number) })

t.test('what batches did is there when LevelDB is opened again', async (t) => {
  const path = t.testdir()
  const level = await openLevelDb(path, SIZES)
  const expected = new Map<number, Buffer>()
  for (let round = 0; round < 50; round += 1) {
    // Several at once, short ones and such as are too long to be kept.
    const batches = [0, 1, 2].map((lane) => {
      const first = lane * 1000 + round * 3
      const bytes = (round + lane) % 7 === 0 ? 200_000 : 20
      const operations = [put(first, bytes), put(first + 1, bytes), put(first + 2)]
      for (const at of [0, 1]) expected.set(first + at, value(first + at, bytes))
      expected.set(first + 2, value(first + 2))
      if (round === 0) return level.batch(operations)
      expected.delete(first - 1)
      return level.batch([...operations, del(first - 1)], { sync: round % 2 === 0 } as object)
    })
    await Promise.all(batches)
  }
  await level.close()
  const again = await openLevelDb(path, SIZES)
  const found = new Map<string, string>()
  for await (const [name, bytes] of again.iterator()) {
    found.set(Buffer.from(name).toString(), Buffer.from(bytes).toString('latin1'))
  }
  const wanted = [...expected].map(([number, bytes]) => [
    `${key(number)}`,
    bytes.toString('latin1'),
  ])
  t.same(new Map([...found].sort()), new Map([...wanted].sort() as [string, string][]))
  await again.close()
})

t.test('what is no whole operation is refused, and nothing of its batch is done', async (t) => {
  const level = await openLevelDb(t.testdir(), SIZES)
  const wrong = [
    { type: 'put', key: key(2) },
    { type: 'put', key: 'text', value: value(2) },
    { type: 'change', key: key(2), value: value(2) },
  ]
  for (const operation of wrong) {
    t.throws(() => level.batch([put(1), operation] as never))
  }
  t.equal(await level.get(key(1)), undefined)
  await level.batch([put(3)])
  t.same(Buffer.from((await level.get(key(3)))!), value(3))
  t.equal(await level.get(key(1)), undefined, 'nothing was left in the batch')
  await level.close()
  await t.rejects(level.batch([put(1)]), { code: 'LEVEL_DATABASE_NOT_OPEN' })
})
