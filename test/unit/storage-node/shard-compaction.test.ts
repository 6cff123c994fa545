// Compaction: space comes back, readers go on, rot is never rewritten.
import t from 'tap'
import type { ShardReader } from '../../../src/storage-node/contract.ts'
import {
  judgeShard,
  putShard,
  type SampleShard,
  sampleShard,
} from '../../contracts/shard-samples.ts'
import { Seeded } from '../../support/seeded.ts'
import { PATH, ShardFixture, SMALL } from './shard-fixture.ts'

async function deleteMost(fixture: ShardFixture, shards: SampleShard[]): Promise<SampleShard[]> {
  const kept = shards.filter((_, at) => at % 4 === 0)
  for (const [at, shard] of shards.entries()) {
    if (at % 4 !== 0) await fixture.store.deleteShard(shard.description.id)
  }
  return kept
}

async function countFaults(fixture: ShardFixture, shards: SampleShard[]): Promise<number> {
  const judged = await Promise.all(shards.map((shard) => judgeShard(fixture.store, shard)))
  return judged.filter((each) => each !== 'whole').length
}

async function compactAll(fixture: ShardFixture): Promise<void> {
  for (let round = 0; round < 50; round += 1) {
    const { compacted, removed } = await fixture.store.compactOnce()
    if (compacted === undefined && removed.length === 0) return
  }
}

t.test('the space of deleted shards comes back', async (t) => {
  const fixture = await ShardFixture.open()
  const shards = await fixture.put(new Seeded(1), 120, 900)
  const before = fixture.segments().length
  const kept = await deleteMost(fixture, shards)
  await compactAll(fixture)
  t.ok(
    fixture.segments().length <= before / 2,
    `${before} segments, ${fixture.segments().length} left`,
  )
  t.equal(await countFaults(fixture, kept), 0)
  await fixture.reopen()
  t.equal(await countFaults(fixture, kept), 0)
  for (const shard of kept) await fixture.store.deleteShard(shard.description.id)
  await compactAll(fixture)
  t.same(fixture.segments(), [], 'an empty drive has no segments but the open one')
})

t.test("the number of a segment that is gone is never another's", async (t) => {
  const seeded = new Seeded(3)
  let fixture = await ShardFixture.open()
  const numbers = new Set<string>()
  for (let round = 0; round < 4; round += 1) {
    const shards = await fixture.put(seeded, 2, 300)
    for (const path of fixture.segments()) {
      t.notOk(numbers.has(path), `${path} is new`)
      numbers.add(path)
    }
    for (const shard of shards) await fixture.store.deleteShard(shard.description.id)
    await compactAll(fixture)
    t.same(fixture.segments(), [])
    if (round % 2 === 0) await fixture.reopen()
    else fixture = await fixture.crashed()
  }
  t.equal(numbers.size, 4)
})

t.test('nor when the file of the next one was empty as it went', async (t) => {
  const seeded = new Seeded(3)
  const fixture = await ShardFixture.open()
  const [shard] = await fixture.put(seeded, 1, 2000)
  const [gone] = fixture.segments()
  await fixture.store.deleteShard(shard!.description.id)
  // It can not be written to any more, and for the next one there is no room.
  const { disk } = fixture.machine
  disk.fault = ({ kind, path }) => {
    if (kind !== 'write' || !path.includes('/seg/')) return undefined
    return path === gone ? 'EIO' : 'ENOSPC'
  }
  await t.rejects(fixture.put(seeded, 1, 300), { name: 'DriveUnavailable', trouble: 'full' })
  const [, empty] = fixture.segments()
  t.equal((await disk.stat(empty!))!.bytes, 0)
  disk.fault = () => undefined
  await compactAll(fixture)
  t.same(fixture.segments(), [empty])
  // Closed in good order it would note that there is the second.
  const after = await fixture.crashed()
  t.same(after.segments(), [])
  await after.put(seeded, 1, 300)
  t.same(after.segments(), [empty])
})

t.test('what can not be read is left where it is, and the rest is copied', async (t) => {
  const fixture = await ShardFixture.open()
  const shards = await fixture.put(new Seeded(1), 16, 900)
  const kept = await deleteMost(fixture, shards)
  await fixture.reopen()
  const { disk } = fixture.machine
  let reads = 0
  // A scan of the segment and all that is read again by sectors meets it, and so does every fifth record.
  disk.fault = ({ kind, path }) => {
    if (kind !== 'read' || !path.includes('/seg/')) return undefined
    reads += 1
    return reads === 1 || reads % 5 === 0 ? 'EIO' : undefined
  }
  await compactAll(fixture)
  disk.fault = () => undefined
  t.ok(reads > 5)
  t.equal(fixture.drive.failure, undefined)
  t.equal(await countFaults(fixture, kept), 0, 'nothing is lost for it')
  await fixture.reopen()
  t.equal(await countFaults(fixture, kept), 0)
})

t.test('a segment in which nothing is alive need not be filled first', async (t) => {
  const fixture = await ShardFixture.open()
  const [first, second] = await fixture.put(new Seeded(1), 2, 900)
  await fixture.store.deleteShard(first!.description.id)
  await compactAll(fixture)
  t.equal(fixture.segments().length, 1, 'something is alive in it')
  await fixture.store.deleteShard(second!.description.id)
  await compactAll(fixture)
  t.same(fixture.segments(), [])
  const later = await fixture.put(new Seeded(2), 3, 900)
  t.equal(await countFaults(fixture, later), 0)
  await fixture.reopen()
  t.equal(await countFaults(fixture, later), 0)
})

t.test('a segment that is mostly alive is left alone', async (t) => {
  const fixture = await ShardFixture.open()
  const shards = await fixture.put(new Seeded(1), 40, 900)
  await fixture.reopen()
  for (const shard of shards.slice(0, 4)) await fixture.store.deleteShard(shard.description.id)
  t.same(await fixture.store.compactOnce(), { removed: [] })
})

t.test('readers go on, whether the old file is kept for them or not', async (t) => {
  const fixture = await ShardFixture.open({ ...SMALL, maxGraceMs: 1000 })
  const shards = await fixture.put(new Seeded(2), 60, 900)
  const kept = await deleteMost(fixture, shards)
  const readers: ShardReader[] = []
  for (const shard of kept) {
    const opened = await fixture.store.openShard(shard.description.id)
    if (opened.kind === 'found') readers.push(opened.reader)
  }
  t.equal(readers.length, kept.length)
  const before = fixture.segments()
  for (let round = 0; round < 8; round += 1) await fixture.store.compactOnce()
  const held = before.filter((path) => fixture.segments().includes(path))
  t.same(held, before, 'files stay while readers are open')
  t.equal(await readAll(readers, kept), 0)
  fixture.machine.clock.nowMs += 2000
  await compactAll(fixture)
  t.ok(
    before.some((path) => !fixture.segments().includes(path)),
    'but not for ever',
  )
  t.equal(await readAll(readers, kept), 0, 'they find the shard where it is now')
  for (const reader of readers) await reader.close()
})

async function readAll(readers: ShardReader[], shards: SampleShard[]): Promise<number> {
  let faults = 0
  for (const [at, reader] of readers.entries()) {
    const target = Buffer.alloc(512)
    const read = await reader.readCell(1, target)
    const wanted = shards[at]!.bytes.subarray(512, 900)
    if (read.kind !== 'found' || Buffer.compare(target.subarray(0, read.bytes), wanted) !== 0) {
      faults += 1
    }
  }
  return faults
}

t.test('puts, deletes and reads while it compacts', async (t) => {
  const fixture = await ShardFixture.open()
  const seeded = new Seeded(3)
  const living = new Set(await fixture.put(seeded, 80, 700))
  let faults = 0
  const busy = async (): Promise<void> => {
    for (let step = 0; step < 60; step += 1) {
      const shard = sampleShard(seeded, seeded.below(2000), 512)
      await putShard(fixture.store, shard)
      const old = seeded.pick([...living])
      living.add(shard)
      living.delete(old)
      if ((await judgeShard(fixture.store, old)) !== 'whole') faults += 1
      await fixture.store.deleteShard(old.description.id)
    }
  }
  const compacting = async (): Promise<void> => {
    for (let round = 0; round < 40; round += 1) await fixture.store.compactOnce()
  }
  await Promise.all([busy(), compacting()])
  t.equal(faults, 0)
  t.equal(await countFaults(fixture, [...living]), 0)
  await fixture.reopen(() => fixture.machine.levels.clear(`${PATH}/shards.db`))
  t.equal(await countFaults(fixture, [...living]), 0)
})

t.test('rot is not rewritten: the segment stays until the shard is gone', async (t) => {
  for (const where of ['header', 'cell']) {
    const fixture = await ShardFixture.open({ ...SMALL, segmentBytes: 64 * 1024 })
    const shards = await fixture.put(new Seeded(4), 12, 900)
    await fixture.reopen()
    const [path] = fixture.segments()
    const [first, second] = shards
    for (const shard of shards.slice(2)) await fixture.store.deleteShard(shard.description.id)
    fixture.machine.disk.flip(path!, where === 'header' ? 30 : offsetOf(fixture, path!, first!))
    await compactAll(fixture)
    t.ok(fixture.segments().includes(path!), `${where}: the file is kept`)
    t.match(fixture.warnings, /keeps shards that do not verify/)
    t.equal(await judgeShard(fixture.store, second!), 'whole')
    t.not(await judgeShard(fixture.store, first!), 'wrong')
    await putShard(fixture.store, first!)
    t.equal(await judgeShard(fixture.store, first!), 'whole', 'repaired')
    await compactAll(fixture)
    t.notOk(fixture.segments().includes(path!), `${where}: and goes then`)
  }
})

function offsetOf(fixture: ShardFixture, path: string, shard: SampleShard): number {
  return Buffer.from(fixture.machine.disk.bytesOf(path)).indexOf(shard.bytes.subarray(0, 64))
}

t.test('a segment in which nothing is recognised is not taken for empty', async (t) => {
  const fixture = await ShardFixture.open()
  await fixture.put(new Seeded(4), 3, 900)
  const strange = `${PATH}/seg/00000077.seg`
  await fixture.reopen(async () => {
    const file = await fixture.machine.disk.open(strange, 'create')
    await file.write([new Seeded(3).bytes(5000)], 0)
  })
  await compactAll(fixture)
  t.ok(fixture.segments().includes(strange))
  await fixture.put(new Seeded(5), 3, 900)
  t.ok(fixture.segments().includes(`${PATH}/seg/00000078.seg`), 'its number is not used again')
})
