// What every keeper of shards does, whatever it keeps them on.
import type { Test } from 'tap'
import { CELL_BYTES } from '../../src/kit/erasure-code.ts'
import { Seeded } from '../support/seeded.ts'
import {
  judgeShard,
  putShard,
  readShard,
  type ShardKeeper,
  sampleShard,
  writeCells,
} from './shard-samples.ts'

/** A store of one drive that ends with its test. */
export type OpenKeeper = (t: Test) => Promise<ShardKeeper>

// Around every border: cells, the limit of segments (1 MiB), nothing at all.
const SIZES = [
  0,
  1,
  127,
  4096,
  CELL_BYTES,
  CELL_BYTES + 1,
  3 * CELL_BYTES,
  1024 * 1024,
  1024 * 1024 + 1,
  2 * 1024 * 1024,
]

/** Runs the contract against the stores that `open` opens. */
export function shardStoreContract(t: Test, open: OpenKeeper): void {
  t.test('a committed shard is read back, cell by cell', async (t) => {
    const store = await open(t)
    for (const bytes of SIZES) {
      const shard = sampleShard(new Seeded(bytes + 1), bytes)
      await putShard(store, shard)
      t.equal(await judgeShard(store, shard), 'whole', `${bytes} bytes`)
    }
  })

  t.test('a shard says what it was described as', async (t) => {
    const store = await open(t)
    for (const bytes of SIZES) {
      const shard = sampleShard(new Seeded(bytes + 7), bytes)
      await putShard(store, shard)
      const opened = await store.openShard(shard.description.id)
      if (opened.kind !== 'found') return t.fail(opened.kind)
      const { description } = shard
      const metadata = Uint8Array.from(description.metadata)
      const wanted = { kind: 'found', description: { ...description, metadata } }
      t.same(await opened.reader.describe(), wanted, `${bytes} bytes`)
      await opened.reader.close()
    }
  })

  t.test('what is said of a shard at its commit counts', async (t) => {
    const store = await open(t)
    for (const bytes of SIZES) {
      const shard = sampleShard(new Seeded(bytes + 8), bytes)
      const metadata = new Seeded(bytes + 3).bytes(shard.description.metadata.length)
      const writer = await writeCells(store, shard)
      await writer.commit(metadata)
      const opened = await store.openShard(shard.description.id)
      if (opened.kind !== 'found') return t.fail(opened.kind)
      const described = await opened.reader.describe()
      if (described.kind !== 'found') return t.fail(described.kind)
      t.same(Uint8Array.from(described.description.metadata), Uint8Array.from(metadata))
      await opened.reader.close()
    }
  })

  t.test('a shard that is written again is the new one, also for who opens it later', async (t) => {
    const store = await open(t)
    for (const bytes of [1000, 2 * 1024 * 1024]) {
      const shard = sampleShard(new Seeded(bytes + 9), bytes)
      await putShard(store, shard)
      const again = { ...shard, bytes: new Seeded(bytes + 10).bytes(bytes) }
      const writer = await writeCells(store, again)
      t.equal(await judgeShard(store, shard), 'whole', 'the old one until it is committed')
      await writer.commit()
      t.equal(await judgeShard(store, again), 'whole')
    }
  })

  t.test('cells are read in any order, many at once', async (t) => {
    const store = await open(t)
    const shard = sampleShard(new Seeded(5), 5 * CELL_BYTES + 77)
    await putShard(store, shard)
    const opened = await store.openShard(shard.description.id)
    if (opened.kind !== 'found') return t.fail(opened.kind)
    const reads = [5, 0, 3, 3, 1].map(async (index) => {
      const target = Buffer.alloc(CELL_BYTES)
      const read = await opened.reader.readCell(index, target)
      const wanted = shard.bytes.subarray(index * CELL_BYTES, (index + 1) * CELL_BYTES)
      t.same(read, { kind: 'found', bytes: wanted.length })
      t.equal(Buffer.compare(target.subarray(0, wanted.length), wanted), 0)
    })
    await Promise.all(reads)
    await opened.reader.close()
    await opened.reader.close()
  })

  t.test('short cells: many of them in one shard', async (t) => {
    const store = await open(t)
    const shard = sampleShard(new Seeded(8), 10_000, 128)
    await putShard(store, shard)
    t.equal(await judgeShard(store, shard), 'whole')
  })

  t.test('nothing is visible before the commit, nor after an abort', async (t) => {
    const store = await open(t)
    for (const bytes of [0, 1000, 2 * 1024 * 1024]) {
      const shard = sampleShard(new Seeded(bytes + 9), bytes)
      const writer = await writeCells(store, shard)
      t.equal(await judgeShard(store, shard), 'missing')
      await writer.abort()
      await writer.abort()
      t.equal(await judgeShard(store, shard), 'missing')
    }
  })

  t.test('a deleted shard is missing; deleting it again is no error', async (t) => {
    const store = await open(t)
    for (const bytes of [1000, 2 * 1024 * 1024]) {
      const shard = sampleShard(new Seeded(bytes), bytes)
      await store.deleteShard(shard.description.id)
      await putShard(store, shard)
      await store.deleteShard(shard.description.id)
      t.equal(await judgeShard(store, shard), 'missing')
      await store.deleteShard(shard.description.id)
    }
  })

  t.test('shards differ by uid, part and slot', async (t) => {
    const store = await open(t)
    const first = sampleShard(new Seeded(1), 500)
    await putShard(store, first)
    const { id } = first.description
    const others = [
      { ...id, slot: id.slot + 1 },
      { ...id, part: id.part + 1 },
    ]
    for (const other of others) {
      t.equal((await store.openShard(other)).kind, 'missing')
      const shard = sampleShard(new Seeded(2 + other.slot), 600)
      shard.description.id = other
      await putShard(store, shard)
      t.equal(await judgeShard(store, shard), 'whole')
    }
    await store.deleteShard(others[0]!)
    t.equal(await judgeShard(store, first), 'whole')
  })

  t.test('a shard may be written again: the last commit counts', async (t) => {
    const store = await open(t)
    for (const bytes of [700, 2 * 1024 * 1024]) {
      const shard = sampleShard(new Seeded(bytes), bytes)
      await putShard(store, shard)
      const again = { ...shard, bytes: new Seeded(bytes + 1).bytes(bytes) }
      await putShard(store, again)
      t.equal(await judgeShard(store, again), 'whole')
      await store.deleteShard(shard.description.id)
      t.equal((await readShard(store, shard.description)).kind, 'missing')
    }
  })

  t.test('many writers at once', async (t) => {
    const store = await open(t)
    const seeded = new Seeded(77)
    const shards = Array.from({ length: 200 }, () => sampleShard(seeded, seeded.below(9000)))
    await Promise.all(shards.map((shard) => putShard(store, shard)))
    const judged = await Promise.all(shards.map((shard) => judgeShard(store, shard)))
    t.same(new Set(judged), new Set(['whole']))
  })
}
