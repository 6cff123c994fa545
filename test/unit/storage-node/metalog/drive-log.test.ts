// The log of one drive: groups, files that follow each other, files that go, a drive that is full or fails.
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/digest.ts'
import type { OpenMode } from '../../../../src/kit/world.ts'
import { Drive, type DriveLimits } from '../../../../src/storage-node/drive.ts'
import { formatDrive } from '../../../../src/storage-node/drive-format.ts'
import { DriveLog, type DriveLogOptions } from '../../../../src/storage-node/metalog/drive-log.ts'
import type { ForgetfulDisk, ForgetfulDiskOptions } from '../../../crash/forgetful-disk.ts'
import { EVERYTHING, ForgetfulMachine, NOTHING } from '../../../crash/forgetful-machine.ts'

await prepareDigests()

const FILE_BYTES = 64 * 1024
const OPTIONS = { fileBytes: FILE_BYTES, retainBytes: 2 * FILE_BYTES }
const marker = { format: 4, clusterId: 'test', driveId: 1, uuid: 'one', createdMs: 1 }

async function newMachine(disk: ForgetfulDiskOptions = {}): Promise<ForgetfulMachine> {
  const machine = new ForgetfulMachine(1, { disk })
  await machine.disk.makeDirectory('/drive')
  await machine.disk.syncDirectory('/')
  await formatDrive(machine.world, '/drive', marker)
  return machine
}

async function open(
  machine: ForgetfulMachine,
  { limits, options = OPTIONS }: { limits?: DriveLimits; options?: DriveLogOptions } = {},
) {
  const { world, levels } = machine
  const { openLevel } = levels
  const opening = { openLevel, ...(limits && { limits }) }
  const drive = await Drive.open(world, '/drive', marker, opening)
  return { drive, ...(await DriveLog.open({ world, drive }, options, () => true)) }
}

/** How many log files are open. */
function handlesOf(disk: ForgetfulDisk): { open: number } {
  const handles = { open: 0 }
  const openFile = disk.open.bind(disk)
  Object.assign(disk, {
    open: async (path: string, mode: OpenMode) => {
      const file = await openFile(path, mode)
      if (!path.includes('/metalog/')) return file
      handles.open += 1
      const close = async (): Promise<void> => {
        handles.open -= 1
      }
      return { ...file, close }
    },
  })
  return handles
}

const head = (sequence: number) => ({
  partition: 0,
  incarnation: '00000000000000aa',
  epoch: 1,
  sequence,
  prevEpoch: 1,
  committed: 0,
})
const batch = (sequence: number, bytes = 100): Uint8Array => Buffer.alloc(bytes, sequence)

t.test('what was appended is found again after a crash, in order and whole', async (t) => {
  const machine = await newMachine()
  const { log } = await open(machine)
  await Promise.all([1, 2, 3].map((sequence) => log.append(head(sequence), batch(sequence))))
  const syncs = machine.disk.trace.filter((line) => / sync .*metalog/.test(line)).length
  t.equal(syncs, 2, 'one for the new file, one for all three')
  const after = await open(machine.crash(NOTHING, 2))
  t.same(
    after.found.map(({ sequence }) => sequence),
    [1, 2, 3],
  )
  for (const found of after.found) {
    t.same(await after.log.readFound(found), batch(found.sequence))
  }
  after.log.endReading()
})

t.test('files follow each other; the oldest go when nobody needs them', async (t) => {
  const machine = await newMachine()
  const { log } = await open(machine)
  for (let sequence = 1; sequence <= 40; sequence += 1) {
    await log.append(head(sequence), batch(sequence, 10_000))
  }
  const files = () => machine.disk.files('/drive/metalog').length
  const many = files()
  t.ok(many > 5)
  await log.trim(() => true)
  t.equal(files(), many, 'what is needed stays')
  await log.trim(({ sequence }) => sequence > 25)
  const after = await open(machine.crash(EVERYTHING, 2))
  const left = after.found.map(({ sequence }) => sequence)
  t.ok(left[0]! > 1 && left[0]! <= 26, `${left[0]} is the first that is left`)
  t.equal(left.at(-1), 40)
  await after.log.trim(() => false)
  const bytes = machine.disk.files('/drive/metalog').length
  t.ok(bytes >= 2, 'some stay for their own sake')
})

t.test('a record that is larger than a file gets a file of its own', async (t) => {
  const machine = await newMachine()
  const { log } = await open(machine)
  await log.append(head(1), batch(1))
  await log.append(head(2), batch(2, 3 * FILE_BYTES))
  await log.append(head(3), batch(3))
  const after = await open(machine.crash(NOTHING, 2))
  t.same(
    after.found.map(({ sequence }) => sequence),
    [1, 2, 3],
  )
})

t.test('files are written in the order of their numbers, whatever they are made for', async (t) => {
  const machine = await newMachine()
  const { log } = await open(machine)
  const numbers = () =>
    machine.disk.files('/drive/metalog').map((path) => Number(path.split('/').at(-1)!.slice(0, 8)))
  await log.append(head(1), batch(1, 40_000))
  await log.append(head(2), batch(2))
  await log.append(head(3), batch(3, FILE_BYTES))
  t.same(numbers(), [1, 3], 'the one that was made ahead is gone')
  for (const sequence of [4, 5, 6]) await log.append(head(sequence), batch(sequence))
  const after = await open(machine.crash(EVERYTHING, 2))
  t.same(
    after.found.map(({ sequence }) => sequence),
    [1, 2, 3, 4, 5, 6],
  )
})

t.test('the next file stays while the drive has no room for a longer one', async (t) => {
  const machine = await newMachine({ capacityBytes: 3 * FILE_BYTES })
  const { log } = await open(machine)
  await log.append(head(1), batch(1, 40_000))
  await log.append(head(2), batch(2))
  await t.rejects(log.append(head(3), batch(3, 3 * FILE_BYTES)), /is full/)
  await log.append(head(4), batch(4, 40_000))
  t.equal(machine.disk.files('/drive/metalog').length, 2)
  await log.close()
})

t.test(
  'a file stays while an older one has a replica of which it may say that it is gone',
  async (t) => {
    const machine = await newMachine()
    const { log } = await open(machine)
    const gone = { ...head(1), incarnation: '00000000000000bb' }
    const isKept = ({ incarnation }: { incarnation: string }) => incarnation === head(1).incarnation
    const isGone = ({ incarnation }: { incarnation: string }) => incarnation === gone.incarnation
    const files = () => machine.disk.files('/drive/metalog')
    await Promise.all([log.append(head(1), batch(1)), log.append(gone, batch(1))])
    await log.leaveFile(files())
    await log.append(gone, batch(2))
    await log.leaveFile(files())
    const [older, rotten] = files()
    await log.dropFiles([rotten!], isKept, isGone)
    t.ok(files().includes(rotten!))
    await log.dropFiles([older!], () => false)
    await log.dropFiles([rotten!], isKept, isGone)
    t.notOk(files().includes(rotten!), 'the older one is gone')
  },
)

t.test('a full drive refuses, and takes more when it has room again', async (t) => {
  const machine = await newMachine({ capacityBytes: 4 * FILE_BYTES })
  const { log, drive } = await open(machine)
  let taken = 0
  let refusal: unknown
  while (refusal === undefined && taken < 100) {
    await log.append(head(taken + 1), batch(taken, 10_000)).then(
      () => {
        taken += 1
      },
      (error) => {
        refusal = error
      },
    )
  }
  t.match(refusal, { code: 'DRIVE_UNAVAILABLE', trouble: 'full' })
  t.equal(drive.failure, undefined, 'full is not failed')
  t.ok(log.isFull)
  t.ok(taken > 10, 'files that were made before still took what they could')
  await log.trim(() => false, { retainBytes: 0 })
  await log.append(head(taken + 1), batch(taken, 10_000))
  t.notOk(log.isFull)
})

for (const code of ['EMFILE', 'ENFILE', 'ENOMEM']) {
  t.test(`${code} refuses what needs another file, and fails nothing`, async (t) => {
    const machine = await newMachine()
    const { log, drive } = await open(machine)
    machine.disk.fault = ({ kind }) => (kind === 'create' ? code : undefined)
    await log.append(head(1), batch(1, 40_000))
    await log.append(head(2), batch(2))
    await t.rejects(log.append(head(3), batch(3, 40_000)), { code })
    await log.append(head(3), batch(3))
    t.equal(drive.failure, undefined)
    t.notOk(log.isFull)
    machine.disk.fault = () => undefined
    await log.append(head(4), batch(4, 40_000))
    const after = await open(machine.crash(NOTHING, 2))
    t.same(
      after.found.map(({ sequence }) => sequence),
      [1, 2, 3, 4],
    )
  })
}

t.test('a drive for which too many wait refuses, and takes more later', async (t) => {
  const machine = await newMachine()
  const { log, drive } = await open(machine, { limits: { parallel: 2, waiting: 4 } })
  let goOn = (): void => {}
  const slow = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const busy = Array.from({ length: 6 }, () => drive.run(() => slow))
  await t.rejects(log.append(head(1), batch(1)), { code: 'OVERLOADED' })
  t.equal(drive.failure, undefined)
  goOn()
  await Promise.all(busy)
  await log.append(head(1), batch(1))
  await log.close()
})

t.test('a sync that fails is the end of the drive', async (t) => {
  const machine = await newMachine()
  const { log, drive } = await open(machine)
  machine.disk.fault = ({ kind }) => (kind === 'sync' ? 'EIO' : undefined)
  await t.rejects(log.append(head(1), batch(1)), { code: 'DRIVE_UNAVAILABLE' })
  t.ok(drive.failure)
  await t.rejects(log.append(head(2), batch(2)))
})

t.test('files without records go at the start, and unused ends are given back', async (t) => {
  const machine = await newMachine()
  const first = await open(machine)
  await first.log.append(head(1), batch(1))
  await first.log.close()
  await first.drive.close()
  const second = await open(machine)
  await second.log.close()
  await second.drive.close()
  const third = await open(machine)
  const files = machine.disk.files('/drive/metalog')
  t.equal(files.length, 2)
  t.equal(machine.disk.bytesOf(files[0]!).length, 192)
  await t.rejects(second.log.append(head(2), batch(2)), /closed/)
  t.same(
    third.found.map(({ sequence }) => sequence),
    [1],
  )
})

t.test('what a process had written that was killed is synced before it counts', async (t) => {
  const machine = await newMachine()
  const { log } = await open(machine)
  await log.append(head(1), batch(1))
  machine.disk.fault = ({ kind }) => (kind === 'sync' ? 'EIO' : undefined)
  await t.rejects(log.append(head(2), batch(2)))
  const next = machine.crash(EVERYTHING, 2)
  const { found } = await open(next)
  t.same(
    found.map(({ sequence }) => sequence),
    [1, 2],
  )
  t.match(
    next.disk.trace.filter((line) => / sync .*metalog/.test(line)),
    [/00000001/, /00000002/],
  )
  const failing = machine.crash(EVERYTHING, 3)
  failing.disk.fault = ({ kind, path }) =>
    kind === 'sync' && path.includes('00000001.') ? 'EIO' : undefined
  await t.rejects(open(failing), { code: 'DRIVE_UNAVAILABLE' })
})

t.test('a file with a seal needs no sync at a start', async (t) => {
  const machine = await newMachine()
  const sealed = { ...OPTIONS, isSealed: true }
  const first = await open(machine, { options: sealed })
  await first.log.append(head(1), batch(1))
  await first.log.close()
  await first.drive.close()
  const before = machine.disk.trace.length
  await open(machine, { options: sealed })
  t.match(
    machine.disk.trace.slice(before).filter((line) => / sync .*metalog/.test(line)),
    [/00000002/],
  )
})

t.test('a log file that another one took the place of is not written over', async (t) => {
  const machine = await newMachine({ isThrough: true })
  const { disk } = machine
  const { log, drive } = await open(machine)
  const openThrough = disk.openThrough!
  let exchanged = ''
  Object.assign(disk, {
    openThrough: async (path: string) => {
      exchanged = path
      await disk.remove(path)
      const other = await disk.open(path, 'create')
      await other.write([Buffer.from('of another drive')], 0)
      return await openThrough(path)
    },
  })
  await log.append(head(1), batch(1, 40_000))
  await t.rejects(log.append(head(2), batch(2, 40_000)), { code: 'DRIVE_UNAVAILABLE' })
  t.match(drive.failure, { code: 'DRIVE_GONE' })
  t.same(Buffer.from(disk.bytesOf(exchanged)), Buffer.from('of another drive'))
})

t.test('a log file that can not be opened again leaves nothing behind', async (t) => {
  const machine = await newMachine({ isThrough: true })
  const { disk } = machine
  const before = handlesOf(disk)
  Object.assign(disk, {
    openThrough: async () => {
      throw Object.assign(new Error('too many files'), { code: 'EMFILE' })
    },
  })
  await t.rejects(open(machine), { code: 'EMFILE' })
  t.equal(before.open, 0)
  t.same(disk.files('/drive/metalog'), [])
})
