// One blob: every code loses up to all but k shards, to loss and to rot, and has them again as they were.
import t from 'tap'
import { DriveUnavailable } from '../../../../src/kit/drive-unavailable.ts'
import { MISSING_SLOT } from '../../../../src/metadata/records.ts'
import { markActive, markOut } from '../../../../src/placement/coordinator-changes.ts'
import { UnrepairableList } from '../../../../src/storage-node/upkeep/unrepairable.ts'
import { Seeded, seedOfRun } from '../../../support/seeded.ts'
import { UpkeepFixture } from './upkeep-fixture.ts'

const seed = seedOfRun()
t.comment(`SEED=${seed}`)
const random = new Seeded(seed)

// 1+1, 1+2, 2+2, 3+2, 4+2, 4+2 with spares, 6+3, 8+4.
const DRIVE_COUNTS = [2, 3, 4, 5, 6, 8, 9, 12]
const SIZES = [1, 1000, 100_000, 131_073, 1_000_001, 3_000_000]

/** Some of the numbers below `count`, in any order. */
function some(wanted: number, count: number): number[] {
  const left = Array.from({ length: count }, (_, index) => index)
  return Array.from({ length: wanted }, () => left.splice(random.below(left.length), 1)[0]!)
}

for (const driveCount of DRIVE_COUNTS) {
  t.test(`${driveCount} drives: whatever m shards are lost or rotten`, async (t) => {
    const fixture = await UpkeepFixture.open(driveCount)
    const { freeStripes } = fixture.codec
    for (const size of SIZES) {
      const key = `k${size}`
      const bytes = random.bytes(size)
      await fixture.put(key, bytes)
      const { blob } = await fixture.reference(key)
      const original = fixture.shardsOf(blob)
      const { dataCount, parityCount } = blob.code
      const harmed = some(1 + random.below(parityCount), dataCount + parityCount)
      for (const slot of harmed) {
        if (random.below(2) === 0) fixture.lose(blob, slot)
        else fixture.rot(blob, slot, random.below(Math.ceil(original[slot]!.length / 131_072)))
      }
      t.same(await fixture.heal(key), { kind: 'mended', shards: harmed.length }, `${size} bytes`)
      const { blob: after } = await fixture.reference(key)
      t.same(fixture.shardsOf(after), original, 'each is byte for byte what it was')
      t.same(after.drives, blob.drives, 'on its own drive')
      t.ok((await fixture.check(key)).every((health) => health === 'whole'))
      t.same(await fixture.heal(key), { kind: 'whole' }, 'and nothing is left to do')
      t.ok(bytes.equals(await fixture.read(key)))
    }
    t.equal(fixture.store.node.openReaders, 0, 'readers are closed')
    t.equal(fixture.codec.freeStripes, freeStripes, 'stripes are back')
  })
}

t.test('with fewer than k shards nothing is mended and nothing deleted', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', random.bytes(1_000_000))
  const { blob } = await fixture.reference('k')
  for (const slot of [0, 2, 5]) fixture.lose(blob, slot)
  const before = fixture.store.node.shardCount
  t.same(await fixture.heal('k'), { kind: 'unrepairable', good: 3, needed: 4 })
  t.equal(fixture.store.node.shardCount, before, 'what is left is left')
  t.match(fixture.counts, { written: 0, mended: 0, moved: 0 })
})

t.test('each stripe is made from whatever is good of it', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const bytes = random.bytes(4 * 131_072 * 4)
  await fixture.put('k', bytes)
  const { blob } = await fixture.reference('k')
  const original = fixture.shardsOf(blob)
  // Five of six shards have a rotten cell, but no stripe has more than two.
  for (const [slot, cell] of [
    [0, 0],
    [1, 0],
    [2, 1],
    [3, 2],
    [5, 3],
  ] as const)
    fixture.rot(blob, slot, cell)
  t.same(await fixture.heal('k'), { kind: 'mended', shards: 5 })
  t.same(fixture.shardsOf(blob), original)

  for (const slot of [0, 1, 2]) fixture.rot(blob, slot, 1)
  const lost = { kind: 'unrepairable', good: 3, needed: 4, isRotten: true }
  t.same(await fixture.heal('k'), lost, 'and a mere look would not see it')
  fixture.lose(blob, 3)
  t.same(await fixture.heal('k', 'shallow'), { ...lost, good: 2 }, 'found on the way')
})

t.test(
  'without a home for them, rotten shards that still do are told from those that do not',
  async (t) => {
    const fixture = await UpkeepFixture.open(6)
    const { node } = fixture.store
    await fixture.put('k', random.bytes(4 * 131_072 * 4))
    const { blob } = await fixture.reference('k')
    for (const driveId of blob.drives) node.full.add(driveId)
    // Fewer than k shards are whole, but of every stripe k cells are.
    for (const [slot, cell] of [
      [0, 0],
      [1, 1],
      [2, 2],
    ] as const)
      fixture.rot(blob, slot, cell)
    const owing = { kind: 'owing', shards: 3, waiting: true, isRotten: true }
    t.same(await fixture.heal('k'), owing)
    fixture.lose(blob, 5)
    t.same(await fixture.heal('k'), { ...owing, shards: 4 })
    fixture.rot(blob, 1, 2)
    t.match(await fixture.heal('k'), { kind: 'unrepairable', good: 3, isRotten: true })
    t.same(fixture.counts.written, 0)
    const lost = blob.drives[4]!
    node.failed.add(lost)
    t.match(
      await fixture.heal('k'),
      { kind: 'owing', unknown: true },
      'a silent drive may have more',
    )

    node.failed.delete(lost)
    node.rottenCells.delete(
      node.drives.get(blob.drives[1]!)!.get(`${blob.uid}.${blob.part}.1`)![2]!,
    )
    node.full.clear()
    t.same(await fixture.heal('k'), { kind: 'mended', shards: 4 }, 'with room again')
  },
)

t.test('what is found rotten while others are mended is mended too', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', random.bytes(1_000_000))
  const { blob } = await fixture.reference('k')
  fixture.lose(blob, 4)
  fixture.rot(blob, 1, 1)
  t.same(await fixture.heal('k', 'shallow'), { kind: 'mended', shards: 2 })
  t.same(await fixture.heal('k', 'deep'), { kind: 'whole' })
})

t.test('a drive that is out is replaced by spares, one after the other', async (t) => {
  const fixture = await UpkeepFixture.open(8)
  const objects = new Map(SIZES.map((size) => [`k${size}`, random.bytes(size)]))
  for (const [key, bytes] of objects) await fixture.put(key, bytes)
  for (const lost of [3, 6]) {
    await fixture.takeOut(lost)
    for (const key of objects.keys()) {
      t.match((await fixture.heal(key, 'shallow')).kind, /^(whole|mended)$/)
      const { blob } = await fixture.reference(key)
      t.notOk(blob.drives?.includes(lost), 'its row says where it lies now')
      if (blob.drives) t.equal(new Set(blob.drives).size, blob.drives.length, 'no drive has two')
      t.same(await fixture.heal(key), { kind: 'whole' })
    }
  }
  await fixture.takeOut(1)
  await fixture.takeOut(2)
  for (const [key, bytes] of objects) t.ok(bytes.equals(await fixture.read(key)), key)
  for (const key of objects.keys()) {
    const { blob } = await fixture.reference(key)
    const lost = (await fixture.check(key)).filter((health) => health === 'out').length
    const free = 4 - (blob.code.dataCount + blob.code.parityCount - lost)
    const left = Math.max(0, lost - free)
    const healed = await fixture.heal(key, 'shallow')
    if (left > 0) t.same(healed, { kind: 'owing', shards: left, waiting: true }, key)
    else t.match(healed.kind, /^(whole|mended)$/, key)
  }
})

t.test('without a spare shards wait, and are made when the drive is back empty', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', random.bytes(1_000_000))
  await fixture.takeOut(4)
  t.same(await fixture.heal('k'), { kind: 'owing', shards: 1, waiting: true })
  fixture.store.node.failed.delete(4)
  await fixture.store.coordinator.decide(markActive(4))
  t.same(await fixture.heal('k'), { kind: 'mended', shards: 1 })
})

t.test('a slot that was never written gets its shard and the repair row goes', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { store } = fixture
  store.node.beforeWrite = (driveId, cell) => {
    if (driveId === 2 && cell === 1) store.node.failed.add(2)
  }
  const bytes = random.bytes(3_000_000)
  await fixture.put('k', bytes)
  const { blob } = await fixture.reference('k')
  t.ok(blob.drives!.includes(MISSING_SLOT))
  const owed = async (): Promise<number> =>
    (await Promise.all(store.partitions.map((partition) => partition.owedBlobs(9)))).flat().length
  t.equal(await owed(), 1)
  t.same(await fixture.heal('k', 'shallow', true), { kind: 'owing', shards: 1, waiting: true })
  t.equal(await owed(), 1, 'it stays while the shard is owed')
  store.node.beforeWrite = () => {}
  store.node.failed.delete(2)
  await store.coordinator.decide(markActive(2))
  t.same(await fixture.heal('k', 'shallow', true), { kind: 'mended', shards: 1 })
  t.equal(await owed(), 0)
  const { drives, partition } = (await fixture.reference('k')).blob
  t.same(drives, store.coordinator.state.map.slots[partition]!.slice(0, 6), 'as the table says')
  t.same(await fixture.heal('k'), { kind: 'whole' })
})

t.test('a drive that does not answer is not taken for empty', async (t) => {
  const fixture = await UpkeepFixture.open(8)
  await fixture.put('k', random.bytes(1_000_000))
  const { blob } = await fixture.reference('k')
  const [first] = fixture.store.coordinator.state.map.slots[blob.partition]!
  fixture.store.node.failed.add(first!)
  t.same(await fixture.heal('k'), { kind: 'owing', shards: 1, waiting: false })
  t.equal(fixture.counts.written, 0, 'nothing is made on another drive')
})

t.test('a drive that fails while a shard is made again leaves everything as it was', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { node } = fixture.store
  const bytes = random.bytes(3_000_000)
  await fixture.put('k', bytes)
  const { blob } = await fixture.reference('k')
  fixture.lose(blob, 1)
  fixture.lose(blob, 3)
  const victim = fixture.store.coordinator.state.map.slots[blob.partition]![1]!
  node.beforeWrite = (driveId, cell) => {
    if (driveId === victim && cell === 2) throw new DriveUnavailable(driveId, 'full')
  }
  t.same(await fixture.heal('k'), { kind: 'owing', shards: 1, waiting: false }, 'the other is made')
  t.ok(bytes.equals(await fixture.read('k')))
  node.beforeWrite = () => {}
  t.same(await fixture.heal('k'), { kind: 'mended', shards: 1 })
})

t.test('a blob that is deleted meanwhile is gone, not damaged', async (t) => {
  const fixture = await UpkeepFixture.open(8)
  const { objects, bucket, node, coordinator } = fixture.store
  await fixture.put('k', random.bytes(1_000_000))
  const reference = await fixture.reference('k')
  await objects.delete(bucket, 'k', { conditions: {} })
  for (const slot of [0, 1, 2]) fixture.lose(reference.blob, slot)
  t.same(await fixture.healReference(reference), { kind: 'gone' })

  await fixture.put('l', random.bytes(1_000_000))
  const other = await fixture.reference('l')
  const home = coordinator.state.map.slots[other.blob.partition]![0]!
  await coordinator.decide(markOut(home, 'a test'))
  await objects.delete(bucket, 'l', { conditions: {} })
  const before = node.shardCount
  t.same(await fixture.healReference(other), { kind: 'gone' })
  t.equal(node.shardCount, before, 'what was made on a spare is taken back')
})

t.test('a blob is not called lost while a drive that may have its shards is silent', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', random.bytes(1_000_000))
  const { blob } = await fixture.reference('k')
  fixture.lose(blob, 0)
  const { failed } = fixture.store.node
  for (const slot of [1, 2]) failed.add(blob.drives[slot]!)
  const unknown = { kind: 'owing', shards: 3, waiting: false, unknown: true }
  t.same(await fixture.heal('k'), unknown)
  const list = new UnrepairableList()
  const reference = await fixture.reference('k')
  t.notOk(list.note({ reference }, await fixture.heal('k'), 1))
  t.equal(list.count, 0)

  for (const slot of [1, 2]) failed.delete(blob.drives[slot]!)
  for (const slot of [1, 2]) fixture.lose(blob, slot)
  t.ok(list.note({ reference }, await fixture.heal('k'), 2), 'now every drive has answered')
  failed.add(blob.drives[1]!)
  list.note({ reference }, await fixture.heal('k'), 3)
  list.forgetUnseen(3, 0)
  t.equal(list.count, 1, 'what was known stays known')
  failed.clear()
})

t.test('a shard is not taken back that an earlier move names, of which nobody heard', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', Buffer.from('small'))
  const reference = await fixture.reference('k')
  const { drives } = reference.blob
  await fixture.takeOut(drives[0]!)
  for (const partition of fixture.store.partitions) {
    const commit = partition.commit.bind(partition)
    Object.assign(partition, {
      commit: async (command: Parameters<typeof commit>[0]) => {
        if (command.kind !== 'move-blob') return await commit(command)
        const other = [1, 2, 3, 4, 5, 6].find((id) => ![...drives, ...command.drives].includes(id))
        await commit({
          ...command,
          drives: command.drives.map((id, slot) => (slot === 1 ? other! : id)),
        })
        return await commit(command)
      },
    })
  }
  t.same(await fixture.healReference(reference), { kind: 'gone' })
  const { blob } = await fixture.reference('k')
  t.not(blob.drives[0], drives[0], 'the row names the drive on which the shard was made')
  t.ok(fixture.shardsOf(blob)[0], 'and it is there')
})
