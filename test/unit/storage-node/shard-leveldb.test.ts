// The real LevelDB under a shard store, damaged in every file: shards are found whole or made findable again.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { Drive } from '../../../src/storage-node/drive.ts'
import { formatDrive } from '../../../src/storage-node/drive-format.ts'
import { type OpenLevel, openLevelDb } from '../../../src/storage-node/drive-lock.ts'
import { KeyKind } from '../../../src/storage-node/index/index-rows.ts'
import { ShardStore } from '../../../src/storage-node/shard-store.ts'
import {
  judgeShard,
  putShard,
  type SampleShard,
  sampleShard,
} from '../../contracts/shard-samples.ts'
import { Seeded } from '../../support/seeded.ts'
import { MARKER, SMALL } from './shard-fixture.ts'

const world = realWorld()

async function withStore<T>(
  path: string,
  use: (store: ShardStore) => Promise<T>,
  { openLevel = openLevelDb, options = SMALL } = {},
): Promise<T> {
  const drive = await Drive.open(world, path, MARKER)
  const store = await ShardStore.open(drive, { world, log: silentLog, openLevel }, options)
  try {
    return await use(store)
  } finally {
    await store.close()
    await drive.close()
  }
}

t.test('damage to any file of LevelDB', async (t) => {
  const path = t.testdir()
  const index = `${path}/shards.db`
  const seeded = new Seeded(11)
  await formatDrive(world, path, MARKER)
  const shards = Array.from({ length: 60 }, () => sampleShard(seeded, seeded.below(2000), 512))
  await withStore(path, async (store) => {
    await Promise.all(shards.map((shard) => putShard(store, shard)))
  })
  const check = (): Promise<string[]> =>
    withStore(path, (store) => Promise.all(shards.map((shard) => judgeShard(store, shard))))
  const whole = shards.map(() => 'whole')
  await check() // Now there is a table file beside the log.

  for (let round = 0; round < 20; round += 1) {
    const name = seeded.pick(readdirSync(index).filter((each) => each !== 'LOCK'))
    const bytes = readFileSync(`${index}/${name}`)
    for (let flips = 0; flips < 5 && bytes.length > 0; flips += 1) {
      bytes[seeded.below(bytes.length)]! ^= 1 << seeded.below(8)
    }
    writeFileSync(`${index}/${name}`, bytes)
    t.same(await check(), whole, `flips in ${name}`)
  }
  for (const name of readdirSync(index)) {
    if (!existsSync(`${index}/${name}`)) continue
    rmSync(`${index}/${name}`)
    t.same(await check(), whole, `without ${name}`)
  }
  rmSync(index, { recursive: true })
  t.same(await check(), whole, 'without any of it')
  t.notOk(existsSync(`${index}.aside`), 'what was moved aside is gone')
})

t.test('a table that LevelDB would end the process over is not given to it', async (t) => {
  const path = t.testdir()
  const index = `${path}/shards.db`
  const seeded = new Seeded(12)
  await formatDrive(world, path, MARKER)
  const shards = Array.from({ length: 20 }, () => sampleShard(seeded, seeded.below(2000), 512))
  await withStore(path, async (store) => {
    await Promise.all(shards.map((shard) => putShard(store, shard)))
  })
  const judge = (): Promise<string[]> =>
    withStore(path, (store) => Promise.all(shards.map((shard) => judgeShard(store, shard))))
  const whole = shards.map(() => 'whole')
  for (let round = 0; round < 12; round += 1) {
    await judge() // Now there is a table file beside the log.
    const name = readdirSync(index).find((each) => each.endsWith('.ldb'))
    if (name === undefined) throw new Error('there is no table')
    const bytes = readFileSync(`${index}/${name}`)
    // The index of the table and its footer: the lengths in there are believed.
    const at = bytes.length - 1 - ((round * 13) % 150)
    bytes[at]! ^= 1 << seeded.below(8)
    writeFileSync(`${index}/${name}`, bytes)
    t.same(await judge(), whole, `a flip ${bytes.length - at} bytes before the end of ${name}`)
  }
})

t.test('too many open files are no trouble of the index, nor of the drive', async (t) => {
  const path = t.testdir()
  const index = `${path}/shards.db`
  await formatDrive(world, path, MARKER)
  let isShort = false
  const tooMany = (code: string): Error =>
    Object.assign(new Error('IO error: 000004.log: Too many open files'), { code })
  const openLevel: OpenLevel = async (at, sizes) => {
    if (isShort) throw tooMany('LEVEL_DATABASE_NOT_OPEN')
    const level = await openLevelDb(at, sizes)
    const batch = level.batch.bind(level) as (...given: unknown[]) => unknown
    level.batch = ((...given: unknown[]) =>
      isShort ? Promise.reject(tooMany('LEVEL_IO_ERROR')) : batch(...given)) as typeof level.batch
    return level
  }
  const drive = await Drive.open(world, path, MARKER)
  const store = await ShardStore.open(drive, { world, log: silentLog, openLevel }, SMALL)
  t.teardown(() => store.close().then(() => drive.close()))
  const seeded = new Seeded(13)
  const put = (): Promise<PromiseSettledResult<SampleShard>[]> => {
    const shards = Array.from({ length: 40 }, () => sampleShard(seeded, 1000, 512))
    return Promise.allSettled(shards.map((shard) => putShard(store, shard).then(() => shard)))
  }
  const inodeOf = (): number => statSync(index).ino
  const whole = await put()
  const inode = inodeOf()
  isShort = true
  let refused = 0
  for (let round = 0; round < 12; round += 1)
    for (const outcome of await put()) if (outcome.status === 'rejected') refused += 1
  t.ok(refused > 100, `${refused} were refused`)
  t.equal(drive.failure, undefined)
  isShort = false
  // The first that comes may still hear of the trouble.
  await put()
  whole.push(...(await put()))
  for (const outcome of whole)
    t.equal(outcome.status === 'fulfilled' && (await judgeShard(store, outcome.value)), 'whole')
  t.equal(inodeOf(), inode, 'it was not moved aside')
  t.notOk(existsSync(`${index}.aside`))
})

/** What batches say of shards and of segments that are sealed. */
class HeardBatches {
  /** How often the row of each shard was written. */
  readonly written = new Map<string, number>()
  /** Rows that were written although they had a sync. */
  inVain = 0
  /** Of every segment that was sealed: how many of its rows had no sync by then. */
  readonly sealed: number[] = []
  readonly #segments = new Map<string, number>()
  readonly #synced = new Set<string>()

  readonly openLevel: OpenLevel = async (path, sizes) => {
    const level = await openLevelDb(path, sizes)
    const batch = level.batch.bind(level) as (...given: unknown[]) => unknown
    const heard = (...given: Parameters<HeardBatches['hear']>): unknown => {
      this.hear(...given)
      return batch(...given)
    }
    return Object.assign(level, { batch: heard }) as typeof level
  }

  hear(
    operations: readonly { type: string; key: Uint8Array; value?: Uint8Array }[],
    options?: { sync?: boolean },
  ): void {
    for (const { type, key, value } of operations) {
      if (type !== 'put') continue
      const name = Buffer.from(key).toString('hex')
      if (key[0] === KeyKind.Sealed) this.#noteSealed(Buffer.from(key).readUInt32BE(1))
      if (key[0] !== KeyKind.Shard) continue
      const segment = Buffer.from(value!).readUInt32LE(0)
      this.written.set(name, (this.written.get(name) ?? 0) + 1)
      if (this.#synced.has(name)) this.inVain += 1
      this.#segments.set(name, segment)
      if (options?.sync === true) this.#synced.add(name)
    }
  }

  #noteSealed(segment: number): void {
    const its = [...this.#segments.keys()].filter((name) => this.#segments.get(name) === segment)
    this.sealed.push(its.filter((name) => !this.#synced.has(name)).length)
  }
}

/** Writes shards, so many at a time, and hears what is written of them. */
async function hearOf(path: string, shards: readonly SampleShard[], atOnce: number) {
  await formatDrive(world, path, MARKER)
  const heard = new HeardBatches()
  const write = async (store: ShardStore): Promise<void> => {
    for (let from = 0; from < shards.length; from += atOnce) {
      const some = shards.slice(from, from + atOnce)
      await Promise.all(some.map((shard) => putShard(store, shard)))
      await store.compactOnce()
    }
  }
  const { openLevel } = heard
  await withStore(path, write, { openLevel, options: { ...SMALL, segmentBytes: 128 * 1024 } })
  return heard
}

t.test('a segment is sealed when each of its rows had a sync', async (t) => {
  const seeded = new Seeded(13)
  const shards = Array.from({ length: 450 }, () => sampleShard(seeded, 600, 512))
  const many = await hearOf(t.testdir(), shards, shards.length)
  t.ok(many.sealed.length >= 2, `${many.sealed.length} were sealed`)
  t.ok(many.sealed.every((unsynced) => unsynced === 0))
  t.equal(many.written.size, shards.length)
  // How many come together is a matter of turns: those that do have a sync, and are written once.
  t.equal(many.inVain, 0)
  const once = [...many.written.values()].filter((times) => times === 1).length
  t.ok(once >= shards.length / 2, `what is written with many others is written once: ${once}`)
  const few = await hearOf(t.testdir(), shards, 20)
  t.ok(few.sealed.length >= 2)
  t.ok(few.sealed.every((unsynced) => unsynced === 0))
  t.equal(few.inVain, 0)
  t.ok(
    [...few.written.values()].some((times) => times === 2),
    'what is written with few is written again',
  )
})
