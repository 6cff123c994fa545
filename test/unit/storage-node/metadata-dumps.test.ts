// Dumps of metadata partitions: what they hold, where they lie, what rot does to them and when they go.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import { type FoundDump, findDumps, readDump } from '../../../src/storage-node/dump/dump-files.ts'
import type { DumpHead } from '../../../src/storage-node/dump/dump-format.ts'
import { planOfStore } from '../../../src/storage-node/dump/dump-plan.ts'
import { MetadataDumps } from '../../../src/storage-node/dump/metadata-dumps.ts'
import { type Bed, drivePath, Model, makeBed, SMALL, testWorld } from './metadata-testbed.ts'

const LAYOUT = { driveCount: 5, replicaCount: 3, partitionCount: 2 }
const pace = async (): Promise<void> => {}
const { signal } = new AbortController()

async function open(test: Test) {
  const bed = await makeBed(test, LAYOUT, SMALL)
  test.teardown(() => bed.close())
  const model = new Model(3)
  for (let round = 0; round < 400; round += 1) await model.change(bed)
  const time = { nowMs: 1_000_000 }
  const real = testWorld()
  const world = {
    ...real,
    clock: { ...real.clock, now: () => time.nowMs, monotonicMs: () => time.nowMs },
    disk: { ...real.disk },
  }
  const warned: object[] = []
  const log = { ...silentLog, warned, warn: (data: object) => void warned.push(data) }
  const dumps = new MetadataDumps(
    { everyMs: 70_000, bornMs: 1_000_000 },
    {
      ...{ world, log },
      plan: planOfStore(bed),
      coordinator: bed.coordinator,
      drives: () => [...bed.drives.values()],
    },
  )
  return { bed, model, dumps, time, world, log }
}

async function readAll(
  dump: FoundDump,
): Promise<{ head: DumpHead | undefined; rows: Map<string, string> }> {
  const rows = new Map<string, string>()
  let head: DumpHead | undefined
  for await (const chunk of readDump(dump, testWorld())) {
    if (chunk.kind === 'head') head = chunk.head
    if (chunk.kind !== 'rows') continue
    for (const { key, value } of chunk.rows)
      rows.set(Buffer.from(key).toString(), Buffer.from(value).toString())
  }
  return { head, rows }
}

function drivesOf({ bed }: { bed: Bed }): Parameters<typeof findDumps>[0] {
  return [...bed.drives.values()]
}

t.test('a dump holds every row, on drives that have no replica first', async (t) => {
  const { bed, model, dumps } = await open(t)
  t.equal(dumps.ageMs(), undefined)
  for (const partition of [0, 1]) await dumps.take(partition, signal)
  t.equal(dumps.ageMs(), 0)
  const found = await findDumps(drivesOf({ bed }), testWorld())
  t.equal(found.length, 2)
  for (const dump of found) {
    const { head, rows } = await readAll(dump)
    t.same(rows, model.rows.get(dump.partition))
    t.equal(head?.state.clusterId, 'test')
    t.ok(head!.position.sequence > 100)
    t.equal(dump.copies.length, 3)
    const replicas = bed.coordinator.state.metaPartitions[dump.partition]!.inSync
    const without = [1, 2, 3, 4, 5].filter((id) => !replicas.some(({ driveId }) => driveId === id))
    t.ok(without.every((id) => dump.copies.some((drive) => drive.id === id)))
  }
})

t.test('rot in a copy', async (t) => {
  const { bed, model, dumps, time } = await open(t)
  for (const partition of [0, 1]) await dumps.take(partition, signal)
  t.same(await dumps.scrub(pace), { files: 6, damaged: 0 })
  const [dump] = await findDumps(drivesOf({ bed }), testWorld())
  const paths: string[] = []
  for (const { path } of dump!.copies)
    for (const name of await readdir(join(path, 'dump')))
      if (name.startsWith(`0000${dump!.partition}-`)) paths.push(join(path, 'dump', name))
  // Another byte in each copy: no copy is whole, but the dump is where they are damaged in different chunks.
  for (const [index, path] of paths.entries()) {
    const bytes = await readFile(path)
    bytes[index === 0 ? 30 : bytes.length - 1]! ^= 1
    await writeFile(path, bytes)
    if (index === 0) t.same((await readAll(dump!)).rows, model.rows.get(dump!.partition))
  }
  const [first] = paths
  const bytes = await readFile(first!)
  bytes[bytes.length - 1]! ^= 1
  await writeFile(first!, bytes)
  await t.rejects(readAll(dump!), { code: 'DUMP_DAMAGED' }, 'never a wrong row')
  time.nowMs += 5
  t.same(await dumps.scrub(pace), { files: 6, damaged: 3 })
  t.same(await dumps.scrub(pace), { files: 6, damaged: 0 }, 'a new one took its place')
})

t.test(
  'what can not be read now stays, and what is damaged until a new one is taken',
  async (t) => {
    const { bed, dumps, world, log } = await open(t)
    await dumps.take(0, signal)
    const copies = async (): Promise<number> =>
      (await findDumps(drivesOf({ bed }), testWorld())).flatMap((dump) => dump.copies).length
    const emfile = Object.assign(new Error('too many open files'), { code: 'EMFILE' })
    const { open: openFile } = world.disk
    world.disk.open = async () => Promise.reject(emfile)
    t.same(await dumps.scrub(pace), { files: 3, damaged: 0 })
    t.equal(await copies(), 3)
    t.match(log.warned[0], { partition: 0, error: /too many open files/ })

    const [dump] = await findDumps(drivesOf({ bed }), testWorld())
    const path = join(dump!.copies[0]!.path, 'dump')
    const [name] = await readdir(path)
    const bytes = await readFile(join(path, name!))
    bytes[30]! ^= 1
    await writeFile(join(path, name!), bytes)
    world.disk.open = async (opened, how, mode) =>
      how === 'create' ? Promise.reject(emfile) : openFile(opened, how, mode)
    t.same(await dumps.scrub(pace), { files: 3, damaged: 1 })
    t.equal(await copies(), 3, 'no other was taken')
    await t.rejects(
      dumps.scrub(async () => Promise.reject(new Error('the store is closing'))),
      { message: 'the store is closing' },
    )
  },
)

t.test('when they are taken and when they go', async (t) => {
  const { bed, dumps, time } = await open(t)
  const count = async (): Promise<number> =>
    (await findDumps(drivesOf({ bed }), testWorld())).length
  await dumps.takeDue(signal)
  t.equal(await count(), 0, 'not of a store that was just made')
  time.nowMs += 1_000
  await dumps.takeDue(signal)
  t.equal(await count(), 2, 'but soon')
  await dumps.takeDue(signal)
  t.equal(await count(), 2)
  time.nowMs += 10_000
  await dumps.takeDue(signal)
  t.equal(await count(), 4, 'a young store is dumped more often')
  time.nowMs += 70_000
  await dumps.takeDue(signal)
  time.nowMs += 20_000
  await dumps.takeDue(signal)
  t.equal(await count(), 4, 'two of each partition are kept')
  t.equal(dumps.ageMs(), 20_000)

  const bad = bed.drives.get(2)!
  bad.fail(new Error('a test'))
  time.nowMs += 60_000
  await dumps.takeDue(signal)
  const [newest] = await findDumps(drivesOf({ bed }), testWorld())
  t.equal(newest?.takenMs, time.nowMs)
  t.notOk(
    newest?.copies.some(({ id }) => id === 2),
    'not on a drive that failed',
  )
  t.ok((await readdir(drivePath(bed.root, 1))).includes('dump'))
})
