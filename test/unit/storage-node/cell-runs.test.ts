// Runs of cells are the cells that are read one by one; with one that is damaged there is none.
import t from 'tap'
import { giveBack } from '../../../src/kit/lent-bytes.ts'
import { putShard, sampleShard } from '../../contracts/shard-samples.ts'
import { Seeded } from '../../support/seeded.ts'
import { PATH, ShardFixture } from './shard-fixture.ts'

const CELL = 32 * 1024

for (const place of ['a segment', 'a file of its own']) {
  t.test(`runs of a shard in ${place}`, async (t) => {
    const seeded = new Seeded(21)
    const segmentShardBytes = place === 'a segment' ? 1_000_000 : 100
    const fixture = await ShardFixture.open({ segmentShardBytes, graceMs: 0 })
    // Five cells and a bit: too many for one slot, so that some runs are lent and some are not.
    const shard = sampleShard(seeded, 5 * CELL + 777, CELL)
    await putShard(fixture.store, shard)
    for (let round = 0; round < 3; round += 1) {
      const opened = await fixture.store.openShard(shard.description.id)
      if (opened.kind !== 'found') throw new Error(opened.kind)
      for (let first = 0; first < 6; first += 1) {
        for (let count = 1; first + count <= 6; count += 1) {
          const cells = await opened.reader.readRun!(first, count)
          const wanted = shard.bytes.subarray(first * CELL, (first + count) * CELL)
          if (!Buffer.concat(cells ?? []).equals(wanted)) t.fail(`${count} cells from ${first}`)
          // Their memory is somebody else's from now on.
          for (const cell of cells ?? []) {
            cell.fill(0)
            giveBack(cell)
          }
        }
      }
      await opened.reader.close()
    }
    const { disk } = fixture.machine
    const files = [...disk.files(`${PATH}/seg`), ...disk.files(`${PATH}/big`)]
    const third = Buffer.from(shard.bytes.subarray(2 * CELL, 2 * CELL + 64))
    const file = files.find((path) => Buffer.from(disk.bytesOf(path)!).includes(third))!
    disk.flip(file, Buffer.from(disk.bytesOf(file)!).indexOf(third))
    const opened = await fixture.store.openShard(shard.description.id)
    if (opened.kind !== 'found') throw new Error(opened.kind)
    t.equal(await opened.reader.readRun!(0, 3), undefined)
    t.equal(await opened.reader.readRun!(2, 1), undefined)
    t.equal((await opened.reader.readRun!(3, 3))?.length, 3)
    t.match(await opened.reader.readCell(2, Buffer.alloc(CELL)), { kind: 'corrupt' })
    await opened.reader.close()
  })
}

t.test(
  'a shard that is written again or removed is not read from the file of before',
  async (t) => {
    const seeded = new Seeded(22)
    const fixture = await ShardFixture.open({ segmentShardBytes: 100, graceMs: 0 })
    const shard = sampleShard(seeded, 2 * CELL, CELL)
    const { id } = shard.description
    await putShard(fixture.store, shard)
    const readFirst = async (): Promise<unknown> => {
      const opened = await fixture.store.openShard(id)
      if (opened.kind !== 'found') return opened.kind
      const cells = await opened.reader.readRun!(0, 2)
      await opened.reader.close()
      return cells === undefined ? 'damaged' : Buffer.concat(cells).equals(shard.bytes)
    }
    t.equal(await readFirst(), true)
    const { disk } = fixture.machine
    const pathOf = (): string => disk.files(`${PATH}/big`).find((path) => path.includes(id.uid))!
    disk.flip(pathOf(), 20_000)
    t.equal(await readFirst(), 'damaged')
    await putShard(fixture.store, shard)
    t.equal(await readFirst(), true, 'the new file')
    await fixture.store.deleteShard(id)
    t.equal(await readFirst(), 'missing')
  },
)

t.test('a shard that was written in runs is the one that is written cell by cell', async (t) => {
  const seeded = new Seeded(23)
  const fixture = await ShardFixture.open({ segmentShardBytes: 100, graceMs: 0 })
  const shard = sampleShard(seeded, 5 * CELL + 777, CELL)
  const { id } = shard.description
  const { disk } = fixture.machine
  const fileOf = (): Buffer => {
    const path = disk.files(`${PATH}/big`).find((one) => one.includes(id.uid))
    return Buffer.from(disk.bytesOf(path!)!)
  }
  await putShard(fixture.store, shard)
  const wanted = fileOf()
  const writer = await fixture.store.beginShard(shard.description)
  const cells = [0, 1, 2, 3, 4, 5].map((at) => shard.bytes.subarray(at * CELL, (at + 1) * CELL))
  await writer.writeRun!(cells.slice(0, 4))
  await writer.write(cells[4]!)
  await writer.writeRun!(cells.slice(5))
  await writer.commit()
  t.ok(fileOf().equals(wanted))
})
