// LevelDB opens nothing on a full disk, or without memory or file handles, and says so of every drive at once:
// rows are not given up for that, for entries that led to them are no longer in the logs.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import type { OpenLevel } from '../../../src/storage-node/drive-lock.ts'
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
