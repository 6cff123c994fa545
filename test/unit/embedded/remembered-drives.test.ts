// A rotten marker of a directory that the server before this one held: known again, but only where it is the same one.
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { recogniseDrive, rememberDrives } from '../../../src/embedded/remembered-drives.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import {
  DRIVE_FORMAT,
  type DriveMarker,
  inspectDrive,
} from '../../../src/storage-node/drive-format.ts'

const world = realWorld()
const parts = { world, log: silentLog }
const MARKER: DriveMarker = {
  ...{ format: DRIVE_FORMAT, clusterId: 'c', driveId: 3, uuid: 'u', createdMs: 1 },
}

t.test('a marker that rotted is what it was', async (t) => {
  const path = join(t.testdir(), 'drive')
  await mkdir(path)
  const drives = [{ path, marker: MARKER, failure: undefined }]
  const remembered = await rememberDrives(drives, world)
  t.match(remembered, [{ path, marker: MARKER }])
  const look = async (): Promise<unknown> =>
    recogniseDrive({ path, found: await inspectDrive(world, path) }, remembered, parts)

  t.same(await look(), { kind: 'empty' }, 'what is not rotten is what it is')
  for (const rotten of ['{"format": 4', '{"format": 1}', '{"format": 4}']) {
    await writeFile(join(path, 'format.json'), rotten)
    t.same(await look(), { kind: 'formatted', marker: MARKER }, rotten)
  }

  await rename(path, `${path}-before`)
  await mkdir(path)
  await writeFile(join(path, 'format.json'), '{')
  t.match(await look(), { kind: 'broken' }, 'another directory in its place is not taken for it')
})

t.test('what is not remembered', async (t) => {
  const path = t.testdir({ 'format.json': '{"format": 1}' })
  const found = await inspectDrive(world, path)
  t.same(found, { kind: 'wrong-format', format: 1 })
  t.same(await recogniseDrive({ path, found }, [], parts), found)
  const older = { ...MARKER, format: 1 }
  const remembered = await rememberDrives([{ path, marker: older, failure: undefined }], world)
  t.equal(remembered.length, 1)
  t.same(
    await recogniseDrive({ path, found }, remembered, parts),
    found,
    'an older format is no rot: the program became another one meanwhile',
  )
  const failed = [{ path, marker: MARKER, failure: new Error('it failed') }]
  t.same(await rememberDrives(failed, world), [])
  const gone = [{ path: join(path, 'gone'), marker: MARKER, failure: undefined }]
  t.same(await rememberDrives(gone, world), [])
})
