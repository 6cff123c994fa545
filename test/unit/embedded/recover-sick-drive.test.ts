// A recovery for which one drive is of little use: its shards do not open, or single files of it can not be read.
import { readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ReadShards } from '../../../src/embedded/read-shards.ts'
import { type RecoverOutcome, type RecoverRequest, recover } from '../../../src/embedded/recover.ts'
import { ClosingStack } from '../../../src/kit/closing-stack.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { Drive } from '../../../src/storage-node/drive.ts'
import { inspectDrive } from '../../../src/storage-node/drive-format.ts'
import { loseMetadata } from '../../crash/recover-store.ts'
import { Seeded } from '../../support/seeded.ts'
import { SickDisk } from '../../support/sick-disk.ts'
import { newDirectories, openSickStore, SickLoad } from '../../support/sick-store.ts'

t.test('all metadata is lost, and the segments of one drive', async (t) => {
  const { directories, load } = await newStore(t)
  await loseMetadata(directories)
  renameSync(join(directories[5]!, 'seg'), join(directories[5]!, 'seg.away'))
  // It is found where it was last.
  const planned = await run({ directories: directories.slice(0, 5), mode: 'plan' })
  t.equal(planned.partitions.length, 8)
  const { partitions } = await run({ directories, mode: 'recover' })
  t.equal(partitions.length, 8)
  t.ok(partitions.every(({ report }) => report!.damaged.length === 0))
  await checkAll(t, directories, load)
})

t.test('the index of shards of one drive can not be read', async (t) => {
  const { directories, load } = await newStore(t)
  await loseMetadata(directories)
  const disk = new SickDisk(realWorld().disk)
  disk.infect(join(directories[2]!, 'shards.db'), { kind: 'errs', oneIn: 1 })
  const { partitions } = await run({ directories, mode: 'recover' }, disk)
  t.equal(partitions.length, 8, 'its metadata is asked, and is gone as that of the others')
  t.ok(partitions.every(({ report }) => report!.damaged.length === 0))
  await checkAll(t, directories, load)
})

t.test('of more drives than the code can do without nothing is made', async (t) => {
  const { directories } = await newStore(t)
  await loseMetadata(directories)
  const sick = directories.slice(3)
  for (const path of sick) renameSync(join(path, 'seg'), join(path, 'seg.away'))
  await t.rejects(run({ directories, mode: 'recover' }), {
    exitCode: 4,
    message: /3 of 6 drives are missing .*drive4: it can not be opened: ENOENT/,
  })
  for (const path of directories) rmSync(join(path, 'coordinator'), { recursive: true })
  await t.rejects(run({ directories, mode: 'recover' }), { exitCode: 4, message: /3 of 6 drives/ })
  t.notOk(readdirSync(directories[0]!).includes('coordinator'), 'no decision was written')
})

t.test('the state is lost, and a copy of it can not be read', async (t) => {
  const { directories, load } = await newStore(t)
  await loseMetadata(directories)
  for (const path of directories) rmSync(join(path, 'coordinator'), { recursive: true })
  renameSync(join(directories[5]!, 'seg'), join(directories[5]!, 'seg.away'))
  const disk = new SickDisk(realWorld().disk)
  const first = join(directories[0]!, 'coordinator.copy')
  disk.infect(first, { kind: 'errs', oneIn: 1 })
  t.match((await run({ directories, mode: 'plan' }, disk)).coordinator, { source: 'copy' })
  const decisions = join(directories[1]!, 'coordinator')
  disk.infect(decisions, { kind: 'errs', oneIn: 1 })
  await t.rejects(run({ directories, mode: 'plan' }, disk), {
    exitCode: 4,
    message: /the decisions on .*drive2 can not be read/,
  })
  disk.cure(decisions)
  const logs = join(directories[1]!, 'metalog')
  disk.infect(logs, { kind: 'errs', oneIn: 1 })
  await t.rejects(run({ directories, mode: 'plan' }, disk), {
    exitCode: 4,
    message: /the replicas of metadata on .*drive2 can not be read/,
  })
  disk.cure(logs)
  const made = await run({ directories, mode: 'recover' }, disk)
  t.match(made.coordinator, { source: 'copy', code: '4+2', drives: [1, 2, 3, 4, 5, 6] })
  await checkAll(t, directories, load)
})

t.test('the only copy of the state can not be read', async (t) => {
  const { directories } = await newStore(t)
  await loseMetadata(directories)
  for (const path of directories) rmSync(join(path, 'coordinator'), { recursive: true })
  for (const path of directories.slice(1)) rmSync(join(path, 'coordinator.copy'))
  const disk = new SickDisk(realWorld().disk)
  disk.infect(join(directories[0]!, 'coordinator.copy'), { kind: 'errs', oneIn: 1 })
  const request = { directories, mode: 'plan' } as const
  await t.rejects(run(request, disk), { exitCode: 4, message: /no copy of the state .*drive1/ })
  const given = await run({ ...request, withoutMissing: true }, disk)
  t.match(given.coordinator, { source: 'shards' })
})

t.test('a drive whose shards end in trouble is read as far as it came', async (t) => {
  const { directories } = await newStore(t)
  const opened = new ClosingStack()
  const drives: Drive[] = []
  for (const path of directories.slice(0, 2)) {
    const found = await inspectDrive(realWorld(), path)
    if (found.kind !== 'formatted') throw new Error(found.kind)
    const drive = await Drive.open(realWorld(), path, found.marker)
    opened.defer(() => drive.close())
    drives.push(drive)
  }
  const parts = { world: realWorld(), log: silentLog }
  const shards = await ReadShards.open(drives, parts, opened)
  const read: string[] = []
  async function* some(driveId: number): AsyncGenerator<string> {
    yield `${driveId}a`
    if (driveId === 1) throw new Error('broken')
    yield `${driveId}b`
  }
  for await (const one of shards.all((_, driveId) => some(driveId))) read.push(one)
  for await (const one of shards.all((_, driveId) => some(driveId))) read.push(one)
  t.same(read, ['1a', '2a', '2b', '2a', '2b'])
  t.notOk(shards.has(1))
  t.equal(drives[0]!.failure, undefined, 'its metadata is read on')
  await opened.close()
})

/** Opens the store again, with the drive that its shards were not read of aside or back, and reads everything. */
async function checkAll(t: Test, directories: string[], load: SickLoad): Promise<void> {
  const again = await openSickStore(directories)
  t.ok((await load.checkAll(again)) > 0)
  t.same(load.troubles, [])
  await again.close()
}

function run(
  request: RecoverRequest,
  disk = new SickDisk(realWorld().disk),
): Promise<RecoverOutcome> {
  return recover(request, { world: { ...realWorld(), disk }, log: silentLog })
}

/** A store of six drives that was closed, and the load that knows what is in it. */
async function newStore(t: Test): Promise<{ directories: string[]; load: SickLoad }> {
  const { directories, remove } = await newDirectories(6)
  t.teardown(remove)
  const store = await openSickStore(directories)
  const load = new SickLoad(store, new Seeded(5))
  await load.putSome(10)
  await store.close()
  return { directories, load }
}
