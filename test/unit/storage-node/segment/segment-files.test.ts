// Segments that are being made: nothing of another drive is written over, and what fails leaves nothing open.
import t, { type Test } from 'tap'
import type { Disk, DiskFile, OpenMode } from '../../../../src/kit/world.ts'
import { Drive } from '../../../../src/storage-node/drive.ts'
import { formatDrive } from '../../../../src/storage-node/drive-format.ts'
import { SegmentFiles } from '../../../../src/storage-node/segment/segment-files.ts'
import { ForgetfulMachine } from '../../../crash/forgetful-machine.ts'

const PATH = '/drive'
const MARKER = { format: 4, clusterId: 'test', driveId: 1, uuid: 'one', createdMs: 1 }

/** Segments of a drive whose disk does some things otherwise. `open`: segment files that are open. */
async function openFiles(
  t: Test,
  otherwise: (disk: Disk) => Partial<Disk> = () => ({}),
): Promise<{ files: SegmentFiles; drive: Drive; machine: ForgetfulMachine; open: Set<DiskFile> }> {
  const machine = new ForgetfulMachine(1, { disk: { isThrough: true } })
  const { disk, levels } = machine
  await disk.makeDirectory(PATH)
  await disk.syncDirectory('/')
  await formatDrive(machine.world, PATH, MARKER)
  const drive = await Drive.open({ disk }, PATH, MARKER, { openLevel: levels.openLevel })
  t.teardown(() => drive.close())
  const open = new Set<DiskFile>()
  const counted = (file: DiskFile): DiskFile => {
    const one: DiskFile = {
      ...file,
      close: async () => {
        open.delete(one)
      },
    }
    open.add(one)
    return one
  }
  const plain = {
    ...Object.fromEntries(
      (['stat', 'list', 'remove', 'syncDirectory'] as const).map((name) => [
        name,
        disk[name].bind(disk),
      ]),
    ),
    open: async (path: string, mode: OpenMode) => counted(await disk.open(path, mode)),
    openThrough: async (path: string) => counted(await disk.openThrough!(path)),
  } as Disk
  const files = new SegmentFiles(drive, { disk: { ...plain, ...otherwise(plain) } })
  return { files, drive, machine, open }
}

t.test('a segment is open once, for writes that are synced', async (t) => {
  const { files, open } = await openFiles(t)
  const file = await files.create(1)
  t.equal(file.isThrough, true)
  t.same([...open], [file])
  files.release(1)
  await files.close()
  t.equal(open.size, 0)
})

t.test('a drive that nobody reads has few segments open as well', async (t) => {
  const { files, open } = await openFiles(t)
  for (let number = 1; number <= 100; number += 1) {
    await files.create(number)
    files.release(number)
  }
  t.ok(open.size < 40, `${open.size} are open`)
  await files.close()
  t.equal(open.size, 0)
})

t.test('a segment of another drive that lies there by now is not written over', async (t) => {
  const { files, drive, machine, open } = await openFiles(t, (disk) => ({
    openThrough: async (path) => {
      await machine.disk.remove(path)
      const other = await machine.disk.open(path, 'create')
      await other.write([Buffer.from('of another drive')], 0)
      return await disk.openThrough!(path)
    },
  }))
  await t.rejects(files.create(1), { code: 'DRIVE_UNAVAILABLE', trouble: 'failed' })
  t.match(drive.failure, { code: 'DRIVE_GONE' })
  t.equal(open.size, 0)
  t.same(Buffer.from(machine.disk.bytesOf(files.pathOf(1))), Buffer.from('of another drive'))
})

t.test('what fails when a segment is opened again leaves nothing open', async (t) => {
  const error = Object.assign(new Error('too many files'), { code: 'EMFILE' })
  const fails = async (): Promise<never> => {
    throw error
  }
  const ways: Record<string, (disk: Disk) => Partial<Disk>> = {
    open: () => ({ openThrough: fails }),
    stat: (disk) => ({
      openThrough: async (path) => Object.assign(await disk.openThrough!(path), { stat: fails }),
    }),
  }
  for (const [name, otherwise] of Object.entries(ways)) {
    const { files, drive, open } = await openFiles(t, otherwise)
    await t.rejects(files.create(1), error, name)
    t.equal(open.size, 0, name)
    t.equal(drive.failure, undefined, name)
  }
})
