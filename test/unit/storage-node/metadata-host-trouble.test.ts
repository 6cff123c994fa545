// Drives that hang, fail to sync or are full while metadata is served.
import t from 'tap'
import type { DiskFile, World } from '../../../src/kit/world.ts'
import { drivePath, Model, makeBed, SMALL, testWorld } from './metadata-testbed.ts'

const LAYOUT = { driveCount: 4, replicaCount: 3, partitionCount: 2 }

/** A world whose disk does what a test says before it writes or makes a log file. */
function troubledWorld(): {
  world: World
  before: (path: string, kind: 'write' | 'create') => Promise<void>
} {
  const plain = testWorld()
  const trouble: ReturnType<typeof troubledWorld> = { world: plain, before: async () => {} }
  const open: World['disk']['open'] = async (path, mode, permissions) => {
    if (mode === 'create') await trouble.before(path, 'create')
    return watched(path, await plain.disk.open(path, mode, permissions))
  }
  const openThrough = async (path: string): Promise<DiskFile> =>
    watched(path, await plain.disk.openThrough!(path))
  const watched = (path: string, file: DiskFile): DiskFile => {
    const write: DiskFile['write'] = async (buffers, position) => {
      await trouble.before(path, 'write')
      await file.write(buffers, position)
    }
    return { ...file, write }
  }
  trouble.world = { ...plain, disk: { ...plain.disk, open, openThrough } }
  return trouble
}

t.test('a replica that hangs leaves the set and is made anew elsewhere', async (t) => {
  const trouble = troubledWorld()
  const bed = await makeBed(t, LAYOUT, { ...SMALL, lateMs: 100 }, trouble.world)
  const model = new Model(1)
  for (let round = 0; round < 30; round += 1) await model.change(bed)
  const { driveId } = bed.coordinator.state.metaPartitions[0]!.inSync[0]!
  let letGo = (): void => {}
  const hanging = new Promise<void>((resolve) => {
    letGo = resolve
  })
  trouble.before = async (path, kind) => {
    if (kind === 'write' && path.startsWith(drivePath(bed.root, driveId))) await hanging
  }
  await Promise.all(Array.from({ length: 20 }, () => model.change(bed)))
  t.same([...model.doubtful], [], 'everything was acknowledged without it')
  const sets = () => bed.coordinator.state.metaPartitions.map(({ inSync }) => inSync)
  t.notOk(sets()[0]!.some((replica) => replica.driveId === driveId))
  t.equal(bed.drives.get(driveId)!.failure, undefined, 'late is not failed')
  t.same(await model.differences(bed), [])
  await bed.host.mend()
  t.ok(sets().every((set) => set.length === 3))
  letGo()
  t.same(await model.differences(bed), [])
  await bed.close()
})

t.test('a drive that can not write any more is out, and nothing is lost', async (t) => {
  const trouble = troubledWorld()
  const bed = await makeBed(t, LAYOUT, SMALL, trouble.world)
  const model = new Model(2)
  for (let round = 0; round < 30; round += 1) await model.change(bed)
  const { driveId } = bed.coordinator.state.metaPartitions[1]!.inSync[1]!
  trouble.before = async (path) => {
    if (path.startsWith(drivePath(bed.root, driveId))) {
      throw Object.assign(new Error('broken'), { code: 'EIO' })
    }
  }
  await Promise.all(Array.from({ length: 20 }, () => model.change(bed)))
  await bed.host.driveFailed(driveId)
  t.equal(bed.coordinator.state.map.drives[driveId - 1]!.state, 'out')
  t.same(await model.differences(bed), [])
  await bed.host.mend()
  t.ok(bed.coordinator.state.metaPartitions.every(({ inSync }) => inSync.length === 3))
  await bed.close()
})

// No room, and no handles.
for (const code of ['ENOSPC', 'EMFILE']) {
  t.test(`drives take no more while there is ${code}, and fail nothing`, async (t) => {
    const trouble = troubledWorld()
    const bed = await makeBed(t, LAYOUT, SMALL, trouble.world)
    const model = new Model(3)
    let isLacking = true
    trouble.before = async (_path, kind) => {
      if (isLacking && kind === 'create') throw Object.assign(new Error('lacking'), { code })
    }
    const value = Buffer.alloc(4000, 1)
    let done = 0
    const log = bed.host.partitionLog(0)
    const appends = Array.from({ length: 60 }, async (_, index) => {
      await log.append([{ key: Buffer.from(`big${index}`), value }])
      done += 1
    })
    while (done < 5) await new Promise((resolve) => setTimeout(resolve, 10))
    await new Promise((resolve) => setTimeout(resolve, 700))
    t.ok(done < 60, `${done} of 60 fit`)
    t.notOk([...bed.drives.values()].some(({ failure }) => failure !== undefined))
    isLacking = false
    await Promise.all(appends)
    t.equal(done, 60)
    t.same(await log.rows.get(Buffer.from('big59')), value)
    t.same(await model.differences(bed), [])
    await bed.close()
  })
}
