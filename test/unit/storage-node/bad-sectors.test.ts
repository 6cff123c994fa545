// Segments that have to be scanned and of which the drive can not read some sectors: nothing is concluded from what is not seen.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import type { ShardStoreOptions } from '../../../src/storage-node/shard-store.ts'
import { putShard, type SampleShard, sampleShard } from '../../contracts/shard-samples.ts'
import type { ForgetfulMachine } from '../../crash/forgetful-machine.ts'
import { Seeded } from '../../support/seeded.ts'
import { PATH, ShardFixture } from './shard-fixture.ts'

await prepareDigests()

const SECTOR = 4096
/** Some segments of sixteen sectors, with records that lie in more than one. */
const OPTIONS: ShardStoreOptions = {
  segmentBytes: 16 * SECTOR,
  segmentShardBytes: 20_000,
  graceMs: 0,
}

/** Sectors of a segment that can not be read; may be changed at any time. */
class BadSectors {
  readonly sectors = new Set<number>()
  errors = 0

  constructor(machine: ForgetfulMachine, name: string) {
    const { disk } = machine
    const open = disk.open.bind(disk)
    disk.open = async (path, mode) => {
      const file = await open(path, mode)
      if (!path.endsWith(name)) return file
      return {
        ...file,
        read: async (buffers, position) => {
          const bytes = buffers.reduce((sum, { length }) => sum + length, 0)
          for (const sector of this.sectors) this.#meet(sector * SECTOR, position, position + bytes)
          return await file.read(buffers, position)
        },
      }
    }
  }

  #meet(at: number, from: number, to: number): void {
    if (at >= to || at + SECTOR <= from) return
    this.errors += 1
    throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
  }
}

const FIRST = '00000001.seg'

/** What a reader gets of a shard. */
async function look(
  { store }: ShardFixture,
  shard: SampleShard,
): Promise<'missing' | 'corrupt' | 'found'> {
  const opened = await store.openShard(shard.description.id)
  if (opened.kind !== 'found') return opened.kind === 'missing' ? 'missing' : 'corrupt'
  const { cellBytes, shardBytes } = shard.description
  const cells: Buffer[] = []
  for (let index = 0; index * cellBytes < shardBytes; index += 1) {
    const target = Buffer.alloc(cellBytes)
    const read = await opened.reader.readCell(index, target)
    if (read.kind !== 'found') return 'corrupt'
    cells.push(target.subarray(0, read.bytes))
  }
  await opened.reader.close()
  t.ok(Buffer.concat(cells).equals(shard.bytes), 'never a wrong byte')
  return 'found'
}

async function lookAtAll(fixture: ShardFixture, shards: readonly SampleShard[]): Promise<string[]> {
  const found: string[] = []
  for (const shard of shards) found.push(await look(fixture, shard))
  return found
}

const count = (list: readonly string[], what: string): number =>
  list.filter((one) => one === what).length

/** Shards that were acknowledged one after the other, so each is a group of its own. */
async function putEach(fixture: ShardFixture, seeded: Seeded, sizes: number[]) {
  const shards = sizes.map((size) => sampleShard(seeded, size, 1024))
  for (const shard of shards) await putShard(fixture.store, shard)
  return shards
}

async function compactAll({ store, machine }: ShardFixture): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    await store.compactOnce()
    machine.clock.nowMs += 10_000
  }
}

const loseIndex = ({ levels }: ForgetfulMachine): void => levels.clear(`${PATH}/shards.db`)

t.test('a sector that can not be read costs what lies in it, not the drive', async (t) => {
  const fixture = await ShardFixture.open(OPTIONS)
  const shards = await putEach(fixture, new Seeded(1), Array(60).fill(700))
  await fixture.reopen()
  const bad = new BadSectors(fixture.machine, FIRST)
  bad.sectors.add(5)
  await fixture.reopen(() => loseIndex(fixture.machine))
  t.equal(fixture.drive.failure, undefined)
  const first = await lookAtAll(fixture, shards)
  t.ok(count(first, 'missing') > 0, 'headers lie in it')
  t.ok(count(first, 'found') > 50)
  t.ok(bad.errors < 20, `${bad.errors} errors: a sector is not asked again and again`)

  // All that is known is deleted: the file stays, for what is not known.
  for (const [at, shard] of shards.entries())
    if (first[at] !== 'missing') await fixture.store.deleteShard(shard.description.id)
  await compactAll(fixture)
  t.same(fixture.segments(), [`${PATH}/seg/${FIRST}`])
  await fixture.reopen()
  await compactAll(fixture)
  t.same(fixture.segments(), [`${PATH}/seg/${FIRST}`], 'nor does another start forget it')
  t.equal(count(await lookAtAll(fixture, shards), 'missing'), shards.length)
  t.equal(fixture.drive.failure, undefined)

  bad.sectors.clear()
  await fixture.reopen()
  t.same(
    await lookAtAll(fixture, shards),
    first.map((state) => (state === 'missing' ? 'found' : 'missing')),
    'what can be read again is there again, and what was deleted is not',
  )
  for (const shard of shards) await fixture.store.deleteShard(shard.description.id)
  await compactAll(fixture)
  t.same(fixture.segments(), [], 'then it goes as any other')
})

t.test('a hole is no end: nothing that was acknowledged is forgotten', async (t) => {
  const sizes = [300, 9_000, 700, 700, 12_000, 100, 2_000, 6_000, 900, 300]
  const before = await ShardFixture.open(OPTIONS)
  const shards = await putEach(before, new Seeded(2), sizes)
  const sectors = Math.ceil(before.machine.disk.bytesOf(`${PATH}/seg/${FIRST}`).length / SECTOR)
  t.ok(sectors > 8)
  for (let sector = 0; sector < sectors; sector += 1) {
    let bad: BadSectors | undefined
    const fixture = await before.crashed((machine) => {
      loseIndex(machine)
      bad = new BadSectors(machine, FIRST)
      bad.sectors.add(sector)
    })
    t.equal(fixture.drive.failure, undefined)
    const first = await lookAtAll(fixture, shards)
    const found = count(first, 'found')
    t.ok(found >= shards.length - 6, `sector ${sector}: ${found} are whole`)
    // What is left of a shard whose cells are hit is worth reading, also where it is the last.
    const last = first.at(-1)
    t.ok(sector < sectors - 1 || last !== 'found', 'the last sector is that of the last')
    bad!.sectors.clear()
    await fixture.reopen()
    t.same(await lookAtAll(fixture, shards), Array(shards.length).fill('found'), `${sector}`)
  }
})

t.test('of a record that may have been acknowledged the whole cells are read', async (t) => {
  const before = await ShardFixture.open(OPTIONS)
  const [shard] = await putEach(before, new Seeded(3), [15_000])
  const fixture = await before.crashed((machine) => {
    loseIndex(machine)
    new BadSectors(machine, FIRST).sectors.add(2)
  })
  const opened = await fixture.store.openShard(shard!.description.id)
  if (opened.kind !== 'found') return t.fail(opened.kind)
  const read = await opened.reader.readCell(0, Buffer.alloc(1024))
  t.equal(read.kind, 'found')
  t.equal((await opened.reader.readCell(8, Buffer.alloc(1024))).kind, 'corrupt')
  return await opened.reader.close()
})

t.test('a record that may be torn takes the place of nothing', async (t) => {
  const before = await ShardFixture.open(OPTIONS)
  const [shard] = await putEach(before, new Seeded(4), [9_000])
  await putShard(before.store, shard!)
  let bad: BadSectors | undefined
  const fixture = await before.crashed((machine) => {
    loseIndex(machine)
    bad = new BadSectors(machine, FIRST)
    // Within the cells of the second record.
    bad.sectors.add(3)
  })
  t.equal(await look(fixture, shard!), 'found', 'the one before is whole')
  t.equal(fixture.drive.failure, undefined)
  bad!.sectors.clear()
  await fixture.reopen()
  bad!.sectors.add(0)
  t.equal(await look(fixture, shard!), 'found', 'the later one, once it was seen')
})

t.test('a torn tail stays one where nothing behind it is unread', async (t) => {
  const before = await ShardFixture.open(OPTIONS)
  const shards = await putEach(before, new Seeded(5), [9_000, 9_000, 3_000])
  const path = `${PATH}/seg/${FIRST}`
  const { length } = before.machine.disk.bytesOf(path)
  const fixture = await before.crashed((machine) => {
    loseIndex(machine)
    machine.disk.flip(path, length - 2_000)
    // In the middle of the first.
    new BadSectors(machine, FIRST).sectors.add(1)
  })
  t.same(await lookAtAll(fixture, shards), ['corrupt', 'found', 'missing'])
})

t.test('a drive with many of them fails', async (t) => {
  const before = await ShardFixture.open(OPTIONS)
  await putEach(before, new Seeded(6), Array(30).fill(700))
  const opening = before.crashed((machine) => {
    loseIndex(machine)
    const bad = new BadSectors(machine, FIRST)
    for (let sector = 0; sector < 9; sector += 1) bad.sectors.add(sector)
  })
  await t.rejects(opening, { code: 'DRIVE_UNAVAILABLE', trouble: 'failed' })
})

t.test('the index is made again of the open segment while it runs', async (t) => {
  const fixture = await ShardFixture.open(OPTIONS)
  const bad = new BadSectors(fixture.machine, FIRST)
  const seeded = new Seeded(7)
  const shards = await putEach(fixture, seeded, Array(10).fill(700))
  bad.sectors.add(1)
  // What was acknowledged has its row now, and one of them rots.
  await fixture.store.compactOnce()
  const isRotten = await fixture.machine.levels.rot(
    `${PATH}/shards.db`,
    (key) => key[0] === 1,
    (row) => {
      row[3]! ^= 4
    },
  )
  t.ok(isRotten)
  await lookAtAll(fixture, shards)
  const first = await lookAtAll(fixture, shards)
  t.equal(fixture.drive.failure, undefined)
  t.ok(count(first, 'missing') > 0)
  const later = await putEach(fixture, seeded, Array(60).fill(700))
  await compactAll(fixture)
  t.same(await lookAtAll(fixture, later), Array(60).fill('found'))
  await fixture.reopen()
  t.same(await lookAtAll(fixture, later), Array(60).fill('found'))
  t.same(await lookAtAll(fixture, shards), first)
  bad.sectors.clear()
  await fixture.reopen()
  t.same(await lookAtAll(fixture, shards), Array(10).fill('found'))
})
