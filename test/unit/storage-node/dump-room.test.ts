// Dumps of metadata on drives that are nearly full: which of them take one, and what one copy on the only roomy drive may not replace.
import t from 'tap'
import { gibibytes, mebibytes } from '../../../src/kit/bytes.ts'
import { dumpDirectory } from '../../../src/storage-node/dump/dump-files.ts'
import { DAY, DumpBed } from './dump-fixture.ts'

function spaceOf(freeBytes: number, totalBytes = 10e12) {
  return { freeBytes, totalBytes, freeInodes: 0, totalInodes: 0 }
}

t.test('a large drive takes dumps as long as it takes shards that are moved', async (t) => {
  const bed = await DumpBed.open(t)
  bed.spaces.set(1, spaceOf(0.9e12)).set(2, spaceOf(gibibytes(7)))
  bed.spaces.set(3, spaceOf(mebibytes(900), gibibytes(10)))
  t.same((await bed.look())[0]!.drives, [1], '8 GiB have to be free, or 10 %')
  t.same(bed.warned, [])
})

t.test('copies on one roomy drive do not take the place of several', async (t) => {
  const bed = await DumpBed.open(t, 6)
  await bed.look()
  for (const id of [2, 3, 4, 5, 6]) bed.spaces.set(id, spaceOf(gibibytes(7)))
  for (let week = 1; week <= 4; week += 1) {
    bed.pass(7 * DAY)
    await bed.look()
  }
  t.match(await bed.seen(), [
    { count: 6, drives: [1] },
    { count: 5, drives: [1] },
    { count: 2, drives: [1, 2, 3] },
  ])
  bed.spaces.clear()
  for (let week = 1; week <= 2; week += 1) {
    bed.pass(7 * DAY)
    await bed.look()
  }
  t.same(
    (await bed.seen()).map(({ drives }) => drives),
    [
      [1, 2, 3],
      [1, 2, 3],
    ],
    'two whole ones make all others needless',
  )
})

t.test('a dump does not fill a drive, and is not tried again where it had no room', async (t) => {
  const bed = await DumpBed.open(t)
  const { disk } = bed.world
  const page = { key: Buffer.from('k'), value: Buffer.alloc(mebibytes(1)) }
  bed.plan = {
    ...bed.plan,
    async *rows() {
      for (let index = 0; index < 80; index += 1) {
        yield { position: { epoch: 1, sequence: 1 }, rows: [page] }
        // Somebody else is as fast.
        if (index === 30) bed.spaces.set(1, spaceOf(gibibytes(7)))
      }
    },
  }
  await bed.dumps.takeDue(bed.signal)
  const names = async (path: string): Promise<string[]> => disk.list(dumpDirectory({ path }))
  t.same(await names(bed.drives[0]!.path), [], 'nothing is left of what was begun')
  t.equal((await names(bed.drives[1]!.path)).length, 1)
  for (const id of [1, 2, 3]) bed.spaces.set(id, spaceOf(gibibytes(8) + mebibytes(40)))
  bed.pass(7 * DAY)
  let opened = 0
  const { open } = disk
  disk.open = async (path, how, mode) => {
    if (how === 'create') opened += 1
    return open(path, how, mode)
  }
  await bed.dumps.takeDue(bed.signal)
  t.equal(opened, 0, 'the last one was longer than that')
  t.same(bed.warned, ['a dump could not be taken'])
})
