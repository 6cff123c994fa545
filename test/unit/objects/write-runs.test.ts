// Writes of several stripes at once: each drive gets its cells in order, and nobody holds stripes that others wait for.
import t from 'tap'
import { Codec } from '../../../src/erasure/codec.ts'
import { mebibytes } from '../../../src/kit/bytes.ts'
import { CELL_BYTES } from '../../../src/kit/erasure-code.ts'
import { stayAlive } from '../../../src/kit/world.ts'
import { Seeded } from '../../support/seeded.ts'
import { bodyOf, collect, type MemoryStore, openMemoryStore } from './memory-store.ts'

const seeded = new Seeded(31)

/** A store whose writers take runs, and the lengths of those that came. */
async function storeOfRuns(poolBytes: number): Promise<{ store: MemoryStore; runs: number[] }> {
  const store = await openMemoryStore()
  const codec = await Codec.open({ maxShards: 6, cellBytes: CELL_BYTES, poolBytes })
  Object.assign(store.parts, { codec })
  const runs: number[] = []
  const begin = store.node.beginShard.bind(store.node)
  store.node.beginShard = async (driveId, description) => {
    const writer = await begin(driveId, description)
    const writeRun = async (cells: readonly Uint8Array[]): Promise<void> => {
      runs.push(cells.length)
      for (const cell of cells) {
        await new Promise((resolve) => setImmediate(resolve))
        await writer.write(cell)
      }
    }
    return { ...writer, writeRun }
  }
  return { store, runs }
}

async function put({ objects, bucket }: MemoryStore, key: string, bytes: Buffer): Promise<void> {
  await objects.put({
    ...{ bucket, key, conditions: {}, body: bodyOf(bytes) },
    attributes: { headers: {}, userMetadata: {}, storageClass: 'STANDARD' },
    signal: new AbortController().signal,
  })
}

async function get({ objects, bucket }: MemoryStore, key: string): Promise<Buffer> {
  const found = await objects.find(bucket, key)
  if (found.kind !== 'found') throw new Error(found.kind)
  const last = found.object.version.bytes - 1
  return collect(found.object.read({ first: 0, last }, new AbortController()))
}

t.test(
  'long bodies go to the drives four stripes at a time, shorter ones one by one',
  async (t) => {
    const { store, runs } = await storeOfRuns(mebibytes(64))
    const long = seeded.bytes(mebibytes(6) + 12_345)
    await put(store, 'long', long)
    // Thirteen stripes to each of six drives.
    t.same(runs, [...new Array(18).fill(4), ...new Array(6).fill(1)])
    t.ok((await get(store, 'long')).equals(long))
    runs.length = 0
    const short = seeded.bytes(mebibytes(2))
    await put(store, 'short', short)
    t.same(runs, new Array(24).fill(1))
    t.ok((await get(store, 'short')).equals(short))
  },
)

t.test('with few stripes for many bodies all come to their end', async (t) => {
  for (const stripes of [1, 2, 5]) {
    const { store } = await storeOfRuns(stripes * 6 * (CELL_BYTES + 192))
    const bodies = Array.from({ length: 7 }, () =>
      seeded.bytes(mebibytes(4) + seeded.below(900_000)),
    )
    await stayAlive(Promise.all(bodies.map((bytes, index) => put(store, `k${index}`, bytes))))
    for (const [index, bytes] of bodies.entries()) {
      if (!(await get(store, `k${index}`)).equals(bytes)) t.fail(`${stripes} stripes: ${index}`)
    }
    t.equal(store.parts.codec.freeStripes, stripes)
  }
})

t.test('a body that breaks off in the middle of a run gives all stripes back', async (t) => {
  const { store } = await storeOfRuns(mebibytes(64))
  const free = store.parts.codec.freeStripes
  const bytes = seeded.bytes(mebibytes(3))
  const body = { ...bodyOf(bytes), bytes: mebibytes(6) }
  await t.rejects(
    store.objects.put({
      ...{ bucket: store.bucket, key: 'k', conditions: {}, body },
      attributes: { headers: {}, userMetadata: {}, storageClass: 'STANDARD' },
      signal: new AbortController().signal,
    }),
    { code: 'BODY_LENGTH_WRONG' },
  )
  t.equal(store.parts.codec.freeStripes, free)
  t.same(await store.objects.find(store.bucket, 'k'), { kind: 'missing' })
})

t.test('bodies that come slowly keep nobody else from writing', async (t) => {
  const { store } = await storeOfRuns(mebibytes(64))
  const { objects, bucket, parts } = store
  const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
  const leave = new AbortController()
  const gone = new Promise<never>((_, reject) => {
    leave.signal.addEventListener('abort', () => reject(leave.signal.reason))
  })
  // biome-ignore lint/correctness/useYield: nothing of it ever comes.
  async function* nothing(): AsyncGenerator<Uint8Array> {
    await gone
  }
  // Shards of a mebibyte each, the longest that storage collects in memory where it has some.
  const slow = Array.from({ length: 24 }, (_, index) =>
    objects.put({
      ...{ bucket, key: `slow ${index}`, attributes, conditions: {}, signal: leave.signal },
      body: { ...bodyOf(Buffer.alloc(mebibytes(4))), chunks: nothing() },
    }),
  )
  const ends = Promise.allSettled(slow)
  for (const bytes of [1_000, 300_000, mebibytes(4)]) {
    const body = seeded.bytes(bytes)
    await stayAlive(put(store, 'quick', body))
    t.ok((await get(store, 'quick')).equals(body), `${bytes} bytes`)
  }
  leave.abort(new Error('they leave'))
  t.ok((await ends).every(({ status }) => status === 'rejected'))
  t.equal(parts.writeBudget.free, 1024)
})
