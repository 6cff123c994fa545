// Rows of new shards come into the index later: until then the shards are found, listed, deleted and made findable by a
// start all the same, and an index that can not be written keeps nobody from hearing of it for long.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import { newUid } from '../../../../src/kit/uid.ts'
import type { World } from '../../../../src/kit/world.ts'
import { Drive } from '../../../../src/storage-node/drive.ts'
import { formatDrive } from '../../../../src/storage-node/drive-format.ts'
import type { OpenLevel } from '../../../../src/storage-node/drive-lock.ts'
import { ComingRows } from '../../../../src/storage-node/index/coming-rows.ts'
import type { PlacedRecord } from '../../../../src/storage-node/index/row-changes.ts'
import { ShardStore } from '../../../../src/storage-node/shard-store.ts'
import {
  judgeShard,
  putShard,
  type SampleShard,
  sampleShard,
} from '../../../contracts/shard-samples.ts'
import { ForgetfulMachine, NOTHING } from '../../../crash/forgetful-machine.ts'
import { Seeded } from '../../../support/seeded.ts'
import { MARKER, PATH, SMALL } from '../shard-fixture.ts'

/** A store whose batches of rows are counted, and fail on demand. */
async function openCounted(machine: ForgetfulMachine) {
  const counted = { batches: 0, fails: false }
  const openLevel: OpenLevel = async (path, sizes) => {
    const level = await machine.levels.openLevel(path, sizes)
    const { batch } = level
    const writing = async (...request: unknown[]): Promise<void> => {
      counted.batches += 1
      if (counted.fails) {
        throw Object.assign(new Error('IO error: No space left on device'), {
          code: 'LEVEL_IO_ERROR',
        })
      }
      return await (batch as (...request: unknown[]) => Promise<void>).apply(level, request)
    }
    return Object.assign(level, { batch: writing })
  }
  const drive = await Drive.open(machine.world, PATH, MARKER, { openLevel })
  const parts = { world: machine.world, log: silentLog, openLevel }
  const store = await ShardStore.open(drive, parts, { ...SMALL, segmentBytes: 4 * 1024 * 1024 })
  return { store, counted }
}

async function newMachine(): Promise<ForgetfulMachine> {
  const machine = new ForgetfulMachine(1)
  await machine.disk.makeDirectory(PATH)
  await machine.disk.syncDirectory('/')
  await formatDrive(machine.world, PATH, MARKER)
  return machine
}

/** Small shards whose uids are of one time after the other. */
function samples(seeded: Seeded, count: number, from = 0): SampleShard[] {
  return Array.from({ length: count }, (_, at) => {
    const sample = sampleShard(seeded, 100, 512)
    const clock = { now: () => 1_800_000_000_000 + from + at }
    const random = { bytes: (count: number) => seeded.bytes(count) }
    const uid = newUid({ clock, random } as unknown as World)
    const description = { ...sample.description, id: { ...sample.description.id, uid } }
    return { ...sample, description }
  })
}

const put = async (store: ShardStore, shards: readonly SampleShard[]): Promise<void> => {
  for (const shard of shards) await putShard(store, shard)
}

const judge = (store: ShardStore, shards: readonly SampleShard[]): Promise<string[]> =>
  Promise.all(shards.map((shard) => judgeShard(store, shard)))

t.test('shards whose rows are to come are found, listed and deleted', async (t) => {
  const { store, counted } = await openCounted(await newMachine())
  const shards = samples(new Seeded(1), 40)
  await put(store, shards)
  t.equal(counted.batches, 0, 'no row was written')
  t.same(
    await judge(store, shards),
    shards.map(() => 'whole'),
  )

  const listed = new Set<string>()
  for await (const ids of store.list()) for (const { uid } of ids) listed.add(uid)
  t.equal(counted.batches, 1, 'all rows were one batch')
  t.same(listed, new Set(shards.map(({ description }) => description.id.uid)))

  const more = samples(new Seeded(2), 3, 100)
  await put(store, more)
  await store.deleteShard(more[1]!.description.id)
  t.same(await judge(store, more), ['whole', 'missing', 'whole'])
  await store.close()
})

t.test('rows come before there are many', async (t) => {
  const { store, counted } = await openCounted(await newMachine())
  const shards = samples(new Seeded(3), 600)
  await put(store, shards)
  t.ok(counted.batches >= 2, `${counted.batches} batches`)
  t.same(
    await judge(store, shards),
    shards.map(() => 'whole'),
  )
  await store.close()
})

t.test('a shard that is written again while its row is to come is the later one', async (t) => {
  const { store } = await openCounted(await newMachine())
  const seeded = new Seeded(4)
  const [first] = samples(seeded, 1)
  const second = { ...first!, bytes: seeded.bytes(first!.bytes.length) }
  await put(store, [first!, second])
  t.same(await judge(store, [second]), ['whole'])
  await store.deleteShard(second.description.id)
  t.same(await judge(store, [second]), ['missing'])
  await store.close()
})

t.test('a crash loses no shard with its row', async (t) => {
  const machine = await newMachine()
  const { store, counted } = await openCounted(machine)
  const shards = samples(new Seeded(5), 30)
  await put(store, shards)
  t.equal(counted.batches, 0)
  const again = await openCounted(machine.crash(NOTHING, 3))
  t.same(
    await judge(again.store, shards),
    shards.map(() => 'whole'),
  )
  await again.store.close()
})

t.test(
  'where rows can not be written the next writers hear of it, and nothing is lost',
  async (t) => {
    const { store, counted } = await openCounted(await newMachine())
    const shards = samples(new Seeded(6), 20)
    await put(store, shards)
    counted.fails = true
    await t.rejects(store.deleteShard(shards[0]!.description.id), { code: 'DRIVE_UNAVAILABLE' })
    const [late] = samples(new Seeded(7), 1, 1000)
    await t.rejects(putShard(store, late!), { code: 'DRIVE_UNAVAILABLE' })
    t.same(
      await judge(store, shards),
      shards.map(() => 'whole'),
      'all are found meanwhile',
    )
    counted.fails = false
    await store.deleteShard(shards[0]!.description.id)
    t.same(await judge(store, shards.slice(0, 2)), ['missing', 'whole'])
    await store.close()
  },
)

t.test('a shard without a row is deleted also where no row can be written', async (t) => {
  const { store, counted } = await openCounted(await newMachine())
  const [large] = samples(new Seeded(8), 1)
  const sample = sampleShard(new Seeded(9), 5_000, 512)
  const file = { ...sample, description: { ...sample.description, id: large!.description.id } }
  await putShard(store, file)
  await put(store, samples(new Seeded(10), 5, 500))
  counted.fails = true
  await store.deleteShard(file.description.id)
  t.equal(await judgeShard(store, file), 'missing')
  counted.fails = false
  await store.close()
})

t.test('of two records of one shard that became durable together the later counts', async (t) => {
  const rows = new ComingRows()
  const [shard] = samples(new Seeded(11), 1)
  const { id } = shard!.description
  const layout = { headerBytes: 64, cellBytes: 512, shardBytes: 100, recordBytes: 256 }
  const places = [0, 256].map((offset) => ({ segment: 1, offset }))
  for (const place of places) rows.add({ id, place, layout } as PlacedRecord)
  t.same(
    rows.records().map(({ place }) => place),
    places,
    'each is entered: the first as dead',
  )
  t.equal(rows.find(id)?.offset, 256)
  rows.forget(rows.records().slice(0, 1))
  t.equal(rows.find(id)?.offset, 256, 'the later is still to come')
  rows.forget(rows.records())
  t.equal(rows.find(id), undefined)
  t.equal(rows.count, 0)
})
