// LevelDB opens nothing on a full disk, or without memory or file handles, and says so of every drive at once:
// rows are not given up for that, for entries that led to them are no longer in the logs.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import type { World } from '../../../src/kit/world.ts'
import type { BytesLevel, OpenLevel } from '../../../src/storage-node/drive-lock.ts'
import { openRowsLevel } from '../../../src/storage-node/meta-rows/open.ts'
import { MetadataHost } from '../../../src/storage-node/metadata-host/metadata-host.ts'
import {
  type Bed,
  drivePath,
  Model,
  makeBed,
  openParts,
  reopenBed,
  SMALL,
  stopAndReopen,
  testWorld,
} from './metadata-testbed.ts'

const LAYOUT = { driveCount: 4, replicaCount: 3, partitionCount: 2 }

/** Entries are trimmed from every log: what is not in the rows is nowhere. */
async function trimmedBed(test: Test, model: Model): Promise<Bed> {
  const bed = await makeBed(test, LAYOUT, { ...SMALL, retainBytes: 0 })
  for (let round = 0; round < 600; round += 1) {
    await model.change(bed)
    if (round % 100 === 99) await bed.host.mark()
  }
  return bed
}

/** Opens rows that take no changes. */
const openFull: OpenLevel = async (path, sizes) => {
  const level = await openRowsLevel(path, sizes)
  level.batch = (async () => {
    throw Object.assign(new Error('IO error: No space left on device'), { code: 'LEVEL_IO_ERROR' })
  }) as unknown as BytesLevel['batch']
  return level
}

/** A start with this LevelDB that is not expected to succeed. */
async function startInVain(root: string, openLevel: OpenLevel): Promise<void> {
  const { drives, coordinator } = await openParts(root, LAYOUT)
  const { replicaCount } = LAYOUT
  await MetadataHost.open(
    { drives, coordinator, log: silentLog, replicaCount, limits: SMALL },
    { world: testWorld(), openLevel },
  ).then(
    (host) => host.close(),
    () => {}, // As it should be: no drive can be used.
  )
  await coordinator.close()
  for (const drive of drives.values()) await drive.close()
}

t.test('a start that can open no rows leaves them as they are', async (t) => {
  const model = new Model(21)
  const bed = await trimmedBed(t, model)
  await bed.close()
  const full: OpenLevel = async () => {
    throw new Error('Database failed to open', { cause: new Error('No space left on device') })
  }
  // Twice: a second one would remove what the first put aside.
  await startInVain(bed.root, full)
  await startInVain(bed.root, full)
  for (let id = 1; id <= LAYOUT.driveCount; id += 1) {
    t.notOk((await readdir(drivePath(bed.root, id))).includes('meta.db.suspect'))
  }
  const again = await reopenBed(bed.root, LAYOUT)
  t.same(await model.differences(again), [])
  await again.close()
})

t.test('a start that finds no room to write decides nothing', async (t) => {
  const model = new Model(27)
  const bed = await trimmedBed(t, model)
  await bed.close()
  const { drives, coordinator } = await openParts(bed.root, LAYOUT)
  const before = coordinator.state.metaPartitions
  const { replicaCount } = LAYOUT
  const starting = MetadataHost.open(
    { drives, coordinator, log: silentLog, replicaCount, limits: SMALL },
    { world: testWorld(), openLevel: openFull },
  )
  await t.rejects(starting, { code: 'ENOSPC' })
  t.same(coordinator.state.metaPartitions, before, 'every replica counts as it did')
  t.notOk(
    [...drives.values()].some(({ failure }) => failure),
    'and no drive is given up',
  )
  await coordinator.close()
  for (const drive of drives.values()) await drive.close()
  const again = await reopenBed(bed.root, LAYOUT)
  t.same(await model.differences(again), [])
  await again.close()
})

t.test('rows of one drive that can not be opened are made anew', async (t) => {
  const model = new Model(22)
  const bed = await trimmedBed(t, model)
  const again = await stopAndReopen(bed, async (root) => {
    const directory = join(drivePath(root, 2), 'meta.db')
    for (const name of await readdir(directory)) {
      if (name.startsWith('MANIFEST')) await rm(join(directory, name))
    }
  })
  t.same(await model.differences(again), [])
  t.equal(again.drives.get(2)!.failure, undefined)
  await again.host.mend()
  t.ok(again.coordinator.state.metaPartitions.every(({ inSync }) => inSync.length === 3))
  await again.close()
})

t.test('drives that run full while they serve keep their replicas', async (t) => {
  const model = new Model(23)
  const made = await trimmedBed(t, model)
  await made.close()
  let full = false
  const plain = testWorld()
  const space: World['disk']['space'] = async (path) => {
    const found = await plain.disk.space(path)
    return full ? { ...found, freeBytes: 0 } : found
  }
  const openLevel: OpenLevel = async (path, sizes) => {
    const level = await openRowsLevel(path, sizes)
    const write = level.batch.bind(level) as (...given: unknown[]) => Promise<void>
    const batch = async (...given: unknown[]): Promise<void> => {
      if (full) throw Object.assign(new Error('No space left'), { code: 'LEVEL_IO_ERROR' })
      await write(...given)
    }
    return Object.assign(level, { batch }) as BytesLevel
  }
  const parts = await openParts(made.root, LAYOUT)
  const { replicaCount } = LAYOUT
  const host = await MetadataHost.open(
    { ...parts, log: silentLog, replicaCount, limits: SMALL },
    { world: { ...plain, disk: { ...plain.disk, space } }, openLevel },
  )
  const bed = { ...made, ...parts, host }
  full = true
  const changes = (async () => {
    for (let round = 0; round < 20; round += 1) await model.change(bed)
  })()
  await plain.clock.sleep(300)
  for (const drive of parts.drives.values()) {
    t.equal(drive.failure, undefined, 'a full drive has not failed')
    t.notOk((await readdir(drive.path)).includes('meta.db.suspect'))
  }
  t.ok(parts.coordinator.state.metaPartitions.every(({ inSync }) => inSync.length === 3))
  full = false
  await changes
  t.same(await model.differences(bed), [], 'it goes on by itself when there is room')
  await host.close()
  await parts.coordinator.close()
  for (const drive of parts.drives.values()) await drive.close()

  const again = await reopenBed(made.root, LAYOUT)
  t.same(await model.differences(again), [], 'with room again')
  await again.close()
})
