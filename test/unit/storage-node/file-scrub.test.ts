// Files of metadata rot while the store serves: a scrub finds each, mends it from what is right elsewhere, and then finds nothing.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import { lookAtLevel } from '../../../src/storage-node/meta-rows/level-files.ts'
import { FileScrub } from '../../../src/storage-node/upkeep/file-scrub.ts'
import { type Bed, drivePath, Model, makeBed, SMALL, testWorld } from './metadata-testbed.ts'

const LAYOUT = { driveCount: 4, replicaCount: 3, partitionCount: 2 }
const pace = async (): Promise<void> => {}

async function loaded(test: Test): Promise<{ bed: Bed; model: Model }> {
  const bed = await makeBed(test, LAYOUT, { ...SMALL, markerBytes: 1024 ** 3, markerMs: 3_600_000 })
  test.teardown(() => bed.close())
  const model = new Model(7)
  for (let round = 0; round < 300; round += 1) await model.change(bed)
  return { bed, model }
}

/** Flips a bit of a byte in place: the file stays the same one for who has it open. */
async function flipAt(path: string, at: (bytes: number) => number): Promise<void> {
  const bytes = await readFile(path)
  bytes[at(bytes.length)]! ^= 4
  await writeFile(path, bytes, { flag: 'r+' })
}

async function filesIn(directory: string, pattern: RegExp): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => pattern.test(name)).sort()
  return names.map((name) => join(directory, name))
}

t.test('tables, manifest and log of rows', async (t) => {
  const { bed, model } = await loaded(t)
  for (let marker = 0; marker < 2; marker += 1) await bed.host.mark()
  t.match(await bed.host.inspect(), { damaged: 0 }, 'nothing is damaged yet')
  for (let round = 0; round < 40; round += 1) await model.change(bed)

  const patterns = [/\.ldb$/, /^MANIFEST/, /^CURRENT$/, /^[0-9]+\.log$/]
  for (const [index, pattern] of patterns.entries()) {
    const drive = 1 + index
    const rows = join(drivePath(bed.root, drive), 'meta.db')
    const [file] = await filesIn(rows, pattern)
    if (file === undefined) throw new Error(`no file is like ${pattern}`)
    await flipAt(file, (bytes) => Math.floor(bytes / 3))
    t.match(await bed.host.inspect(), { damaged: 1 }, `${pattern} on drive ${drive}`)
    await bed.host.mend()
    t.match(await bed.host.inspect(), { damaged: 0 }, 'the next look finds nothing')
    t.same(await model.differences(bed), [])
  }
  const { metaPartitions } = bed.coordinator.state
  t.ok(metaPartitions.every(({ inSync }) => inSync.length === 3))
})

t.test('logs', async (t) => {
  const { bed, model } = await loaded(t)
  t.match(await bed.host.scrubLogs(pace), { damaged: 0 })
  let flipped = 0
  for (const drive of [1, 2, 3]) {
    const logs = await filesIn(join(drivePath(bed.root, drive), 'metalog'), /\.log$/)
    const used: string[] = []
    for (const log of logs) if ((await readFile(log)).some((byte) => byte !== 0)) used.push(log)
    // An old file and the one that is written now.
    for (const log of new Set([used[0]!, used.at(-1)!])) {
      await flipAt(log, () => 30)
      flipped += 1
    }
  }
  t.ok(flipped > 3, 'old and current files')
  t.match(await bed.host.scrubLogs(pace), { damaged: flipped })
  for (let round = 0; round < 20; round += 1) await model.change(bed)
  await bed.host.scrubLogs(pace)
  t.match(await bed.host.scrubLogs(pace), { damaged: 0 }, 'what rotted is gone')
  t.same(await model.differences(bed), [])
})

t.test('decisions and markers', async (t) => {
  const { bed } = await loaded(t)
  t.match(await bed.coordinator.scrub(), { damaged: 0 })
  const decisions = await filesIn(join(drivePath(bed.root, 2), 'coordinator'), /^[0-9]+$/)
  t.ok(decisions.length > 1)
  for (const file of decisions) await flipAt(file, (bytes) => bytes - 20)
  t.match(await bed.coordinator.scrub(), { damaged: decisions.length })
  t.match(await bed.coordinator.scrub(), { damaged: 0 })
  const [last] = await filesIn(join(drivePath(bed.root, 2), 'coordinator'), /^[0-9]+$/)
  const [, , same] = await filesIn(join(drivePath(bed.root, 3), 'coordinator'), /^[0-9]+$/)
  t.equal(last?.slice(-12), decisions.at(-1)?.slice(-12), 'what holds was written again')
  t.ok(same === undefined || same.length > 0)

  const drive = bed.drives.get(3)!
  t.equal(await drive.mendMarker(), false)
  const marker = join(drivePath(bed.root, 3), 'format.json')
  const before = await readFile(marker, 'utf8')
  await flipAt(marker, (bytes) => bytes - 10)
  t.equal(await drive.mendMarker(), true)
  t.equal(await readFile(marker, 'utf8'), before)
  await drive.checkPresence()
  t.equal(drive.failure, undefined, 'the new marker is known to be its own')
})

t.test('a file that is half written is looked at twice', async (t) => {
  const { bed } = await loaded(t)
  await bed.host.mark()
  const directory = join(drivePath(bed.root, 1), 'meta.db')
  const [table] = await filesIn(directory, /\.ldb$/)
  const whole = await readFile(table!)
  await flipAt(table!, () => 10)
  const level = { world: testWorld(), drive: bed.drives.get(1)!, directory, pace }
  const pause = (): Promise<void> => writeFile(table!, whole, { flag: 'r+' })
  t.match(await lookAtLevel({ ...level, pause }), { trouble: undefined })
  await flipAt(table!, () => 10)
  t.match(await lookAtLevel({ ...level, pause: pace }), { trouble: { kind: 'tables' } })
  await pause()
})

t.test('what another process found counts until damage is met, or this one looks', async (t) => {
  let met = 0
  const open = () =>
    new FileScrub([{ what: 'files', look: async () => ({ files: 1, damaged: 1 }) }], {
      log: silentLog,
      damageElsewhere: () => met,
    })
  const scrub = open()
  scrub.takeOver()
  t.equal(scrub.isClean, true)
  t.equal(await scrub.run(pace), false)
  t.equal(scrub.isClean, false)
  met = 1
  const late = open()
  late.takeOver()
  t.equal(late.isClean, false, 'the start met damage')
})

t.test('rounds until nothing is found', async (t) => {
  let damaged = 2
  let elsewhere = 0
  const mending = {
    what: 'samples',
    look: async () => ({ files: 3, damaged: damaged > 0 ? damaged-- : 0 }),
  }
  const scrub = new FileScrub([mending], { log: silentLog, damageElsewhere: () => elsewhere })
  t.equal(scrub.isClean, false, 'nothing is known at first')
  t.equal(await scrub.run(pace), true)
  t.same(scrub.counts, { checkedFiles: 9, damagedFiles: 3 })
  t.equal(scrub.isClean, true)
  elsewhere += 1
  t.equal(scrub.isClean, false, 'someone met damage since')

  const hopeless = { what: 'samples', look: async () => ({ files: 1, damaged: 1 }) }
  t.equal(await new FileScrub([hopeless], { log: silentLog }).run(pace), false)
  const broken = {
    what: 'samples',
    look: async () => {
      throw new Error('the disk says no')
    },
  }
  t.equal(await new FileScrub([broken], { log: silentLog }).run(pace), false)
  const ended = async (): Promise<void> => {
    throw new Error('it is time to stop')
  }
  await t.rejects(new FileScrub([mending], { log: silentLog }).run(ended), /time to stop/)
})
