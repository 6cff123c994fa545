// Batches that go to LevelDB as they are: what is there afterwards is what the library would have put there.
import { Level } from 'level'
import t from 'tap'
import { type BytesLevel, openLevelDb } from '../../../src/storage-node/drive-lock.ts'
import { Seeded } from '../../support/seeded.ts'

const SIZES = { writeBufferBytes: 256 * 1024, cacheBytes: 64 * 1024 }

type Operation =
  | { type: 'put'; key: Uint8Array; value: Uint8Array }
  | { type: 'del'; key: Uint8Array }

function operationsOf(seeded: Seeded): Operation[] {
  return Array.from({ length: 1 + seeded.below(9) }, () => {
    const key = seeded.bytes(1 + seeded.below(2))
    if (seeded.below(3) === 0) return { type: 'del', key }
    // A view of more than it shows: only that is to be there.
    return { type: 'put', key, value: seeded.bytes(40).subarray(4, 4 + seeded.below(30)) }
  })
}

async function rowsOf(level: BytesLevel): Promise<string[]> {
  const rows: string[] = []
  for await (const [key, value] of level.iterator())
    rows.push(`${Buffer.from(key).toString('hex')}=${Buffer.from(value).toString('hex')}`)
  return rows
}

t.test('the same rows as by the library, also after a new start', async (t) => {
  const path = t.testdir()
  const usual = new Level<Uint8Array, Uint8Array>(`${path}/usual`, {
    keyEncoding: 'view',
    valueEncoding: 'view',
  })
  const level = await openLevelDb(`${path}/level`, SIZES)
  const seeded = new Seeded(3)
  for (let round = 0; round < 200; round += 1) {
    const operations = operationsOf(seeded)
    await usual.batch(operations)
    if (seeded.below(4) === 0) await level.batch(operations, { sync: true } as object)
    else await level.batch(operations)
  }
  const wanted = await rowsOf(usual as unknown as BytesLevel)
  t.ok(wanted.length > 20)
  t.same(await rowsOf(level), wanted)
  await level.close()
  const again = await openLevelDb(`${path}/level`, SIZES)
  t.same(await rowsOf(again), wanted)
  await Promise.all([usual.close(), again.close()])
})

t.test(
  'batches that are too long to be kept go the other way, and several at once are all done',
  async (t) => {
    const path = t.testdir()
    const level = await openLevelDb(path, SIZES)
    const stored = level as unknown as { _batch(...given: unknown[]): Promise<void> }
    const { _batch } = stored
    const handedOn: unknown[] = []
    stored._batch = (...given) => {
      handedOn.push(given[0])
      return _batch.apply(level, given)
    }
    const wanted = new Map<string, string>()
    const long: unknown[] = []
    for (let round = 0; round < 40; round += 1) {
      const batches = [0, 1, 2].map((lane) => {
        const bytes = (round + lane) % 9 === 0 ? 200_000 : 20
        const keys = [0, 1].map((at) => Buffer.of(lane, round, at))
        const value = Buffer.alloc(bytes, round)
        const operations: Operation[] = keys.map((key) => ({ type: 'put', key, value }))
        for (const key of keys) wanted.set(key.toString('hex'), value.toString('hex'))
        const before = Buffer.of(lane, round - 1, 0)
        if (round > 0) operations.push({ type: 'del', key: before })
        wanted.delete(before.toString('hex'))
        if (bytes > 20) long.push(operations)
        return level.batch(operations)
      })
      await Promise.all(batches)
    }
    t.same(handedOn.length, long.length)
    t.ok(handedOn.every((operations, at) => operations === long[at]))
    const rows = [...wanted].map(([key, value]) => `${key}=${value}`).sort()
    t.same(await rowsOf(level), rows)
    await level.close()
    const again = await openLevelDb(path, SIZES)
    t.same(await rowsOf(again), rows)
    await again.close()
  },
)

t.test('nothing, chains, and what is closed', async (t) => {
  const level = await openLevelDb(t.testdir(), SIZES)
  await level.batch([])
  await level.batch().put(Buffer.from('a'), Buffer.from('b')).write()
  t.same(await rowsOf(level), ['61=62'])
  const operations: Operation[] = [{ type: 'del', key: Buffer.from('a') }]
  const closing = level.close()
  await t.rejects(level.batch(operations), { code: 'LEVEL_DATABASE_NOT_OPEN' })
  await closing
  await t.rejects(level.batch(operations), { code: 'LEVEL_DATABASE_NOT_OPEN' })
})

t.test('a batch under way is done before the end', async (t) => {
  const path = t.testdir()
  const level = await openLevelDb(path, SIZES)
  const written = level.batch([{ type: 'put', key: Buffer.from('k'), value: Buffer.alloc(9) }])
  await level.close()
  await written
  const again = await openLevelDb(path, SIZES)
  t.same(await rowsOf(again), ['6b=000000000000000000'])
  await again.close()
})

t.test('an operation that LevelDB would pass over is no write', async (t) => {
  const level = await openLevelDb(t.testdir(), SIZES)
  const [key, value] = [Buffer.from('a'), Buffer.from('b')]
  const bad = [
    { type: 'put', key },
    { type: 'put', key, value: null },
    { type: 'Put', key, value },
    { type: 'put', key: null, value },
    { type: 'del' },
  ] as unknown as Operation[]
  for (const operation of bad)
    t.throws(() => level.batch([{ type: 'put', key, value }, operation]), {
      name: 'AssertionFailed',
    })
  t.same(await rowsOf(level), [])
  await level.batch([{ type: 'put', key: Buffer.from('c'), value }])
  t.same(await rowsOf(level), ['63=62'], 'nothing was left over')
  await level.close()
})
