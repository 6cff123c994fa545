// Dumps of metadata whose names a clock gave that was ahead: the next one is taken all the same, and none goes for being older by name.
import t, { type Test } from 'tap'
import { readNewest } from '../../../src/embedded/newest-dump.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { findDumps } from '../../../src/storage-node/dump/dump-files.ts'
import { DAY, DumpBed, HOUR } from './dump-fixture.ts'

const YEAR = 365 * DAY
const pace = async (): Promise<void> => {}

/** Two dumps of a clock that was a year ahead, then set right. */
async function openAhead(test: Test): Promise<DumpBed> {
  const bed = await DumpBed.open(test)
  bed.time.nowMs += YEAR
  await bed.look()
  bed.pass(7 * DAY)
  test.equal((await bed.look()).length, 2)
  bed.time.nowMs -= YEAR
  return bed
}

t.test('a clock that was ahead stops no dumps', async (t) => {
  const bed = await openAhead(t)
  t.equal(bed.dumps.ageMs(), undefined, 'nobody knows how old those are')
  const [newest, ...others] = await bed.look()
  t.match(newest, { count: bed.count, takenMs: bed.time.nowMs }, 'the newest has a time as it is')
  t.equal(others.length, 1, 'two are kept')
  t.equal(bed.dumps.ageMs(), 0)
  bed.pass(7 * DAY - HOUR)
  t.equal((await bed.look())[0]!.count, newest!.count, 'it is due once, not at every look')
  t.equal(bed.dumps.ageMs(), 7 * DAY - HOUR)
  bed.pass(HOUR)
  t.match(
    (await bed.look()).map(({ takenMs }) => takenMs),
    [bed.time.nowMs, newest!.takenMs],
    'those of the future have gone',
  )
})

t.test('nor after a start', async (t) => {
  const bed = await openAhead(t)
  bed.restart()
  t.equal((await bed.look())[0]!.takenMs, bed.time.nowMs)
  bed.restart()
  bed.pass(HOUR)
  t.equal((await bed.look())[0]!.takenMs, bed.time.nowMs - HOUR, 'not at every start')
})

t.test('of one that is set back a little the time that went by counts', async (t) => {
  const bed = await DumpBed.open(t)
  const [first] = await bed.look()
  bed.pass(6 * DAY)
  bed.time.nowMs -= 5 * DAY
  t.equal((await bed.look()).length, 1)
  bed.pass(DAY)
  t.equal((await bed.look())[0]!.takenMs, first!.takenMs + 2 * DAY, 'seven days later')
})

t.test('a store that was made by a clock that was ahead', async (t) => {
  const bed = await DumpBed.open(t)
  bed.time.nowMs = bed.bornMs - YEAR
  t.equal((await bed.look()).length, 0)
  bed.pass(HOUR)
  t.equal((await bed.look()).length, 1, 'its first dump comes as soon as that of any other')
})

t.test('two dumps never have one name', async (t) => {
  const bed = await DumpBed.open(t)
  const first = await bed.dumps.take(0, bed.signal)
  bed.count += 1
  t.equal(await bed.dumps.take(0, bed.signal), first + 1)
  t.same(
    (await bed.seen()).map(({ count }) => count),
    [2, 1],
  )
})

t.test('a scrub of dumps that are whole only together', async (t) => {
  const bed = await openAhead(t)
  await bed.rotEverywhere()
  bed.count += 1
  t.same(await bed.dumps.scrub(pace), { files: 6, damaged: 6 })
  t.match(await bed.seen(), [{ count: bed.count, takenMs: bed.time.nowMs, drives: [1, 2, 3] }])
  t.same(await bed.dumps.scrub(pace), { files: 3, damaged: 0 })
})

t.test('what a scrub takes anew is read before what is damaged goes', async (t) => {
  const bed = await openAhead(t)
  await bed.rotEverywhere()
  const { disk } = bed.world
  const { rename } = disk
  disk.rename = async () => {} // It is said to be there.
  t.same(await bed.dumps.scrub(pace), { files: 6, damaged: 6 })
  t.same(
    (await bed.seen()).map(({ count }) => count),
    [3, 2],
    'nothing was removed',
  )
  t.match(bed.warned, [/can not be read/])
  disk.rename = rename
  await bed.look()
  t.equal((await bed.seen())[0]!.count, bed.count, 'another is due at the next look')
})

t.test('old dumps whose heads can not be read now stay', async (t) => {
  const bed = await openAhead(t)
  const { disk } = bed.world
  const { open } = disk
  const emfile = Object.assign(new Error('too many open files'), { code: 'EMFILE' })
  disk.open = async (path, how, mode) =>
    how === 'read' ? Promise.reject(emfile) : open(path, how, mode)
  bed.count += 1
  await bed.dumps.takeDue(bed.signal)
  disk.open = open
  t.same(
    (await bed.seen()).map(({ count }) => count),
    [4, 3, 2],
  )
})

t.test('recover begins with the dump that goes furthest', async (t) => {
  const bed = await openAhead(t)
  await bed.look()
  const host = { readOn: async function* () {} }
  const dumps = await findDumps(bed.drives, bed.world)
  const found = await readNewest(dumps, 0, { world: bed.world, log: silentLog, host })
  t.equal(found?.takenMs, bed.time.nowMs)
  t.equal(Buffer.from(found!.rows[0]!.value).toString(), `${bed.count}`)
})
