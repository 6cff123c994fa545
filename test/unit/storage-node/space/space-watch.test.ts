// The watch over a forgetful disk: levels are said once, ballast comes and goes.
import t from 'tap'
import { mebibytes } from '../../../../src/kit/bytes.ts'
import { isFull } from '../../../../src/kit/drive-unavailable.ts'
import type { Log } from '../../../../src/kit/log.ts'
import { silentLog } from '../../../../src/kit/log.ts'
import { Drive } from '../../../../src/storage-node/drive.ts'
import { formatDrive } from '../../../../src/storage-node/drive-format.ts'
import { makeRoomToStart } from '../../../../src/storage-node/space/ballast.ts'
import { SpaceWatch } from '../../../../src/storage-node/space/space-watch.ts'
import { ForgetfulMachine } from '../../../crash/forgetful-machine.ts'
import { MARKER } from '../shard-fixture.ts'

const CAPACITY = mebibytes(64)
const BALLAST = '/one/ballast.bin'

async function watchTwo() {
  const machine = new ForgetfulMachine(1, { disk: { capacityBytes: CAPACITY } })
  const { world, disk, levels } = machine
  const said: string[] = []
  const say = (data: unknown): void => {
    const { level } = data as { level?: string }
    if (level !== undefined) said.push(level)
  }
  const log: Log = { ...silentLog, info: say, warn: say, error: say }
  const watch = new SpaceWatch({}, { world, log })
  const drives: Drive[] = []
  for (const [index, path] of ['/one', '/two'].entries()) {
    await disk.makeDirectory(path)
    const marker = { ...MARKER, driveId: index + 1 }
    await formatDrive(world, path, marker)
    drives.push(await Drive.open(world, path, marker, { openLevel: levels.openLevel }))
    await watch.add(drives[index]!)
  }
  const fill = async (bytes: number): Promise<void> => {
    const file = await disk.open('/foreign', (await disk.stat('/foreign')) ? 'write' : 'create')
    await file.truncate(0)
    const free = (await disk.space('/one')).freeBytes
    await file.write([new Uint8Array(free - bytes)], 0)
    await file.close()
  }
  return { machine, watch, drives, said, fill }
}

t.test('two drives on one file system share its room, its ballast and its events', async (t) => {
  const { machine, watch, said, fill } = await watchTwo()
  await watch.round()
  t.equal(await machine.disk.stat(BALLAST), undefined, 'a start does not wait for ballast')
  machine.clock.nowMs += 10_000
  await watch.round()
  t.equal(watch.roomOf(1), watch.roomOf(2))
  t.equal((await machine.disk.stat(BALLAST))?.bytes, CAPACITY / 32)
  t.equal(await machine.disk.stat('/two/ballast.bin'), undefined, 'one for both')
  let changes = 0
  watch.onChange(() => {
    changes += 1
  })
  await fill(mebibytes(7))
  await watch.round()
  await watch.round()
  t.same(said, ['read-only'], 'said once')
  t.notOk(watch.roomOf(1)!.fits(0, 'data'))
  t.ok(watch.roomOf(2)!.fits(0, 'metadata'))
  await fill(mebibytes(40))
  await watch.round()
  t.same(said, ['read-only', 'ample'])
  t.equal(changes, 2)
})

t.test('ballast goes when a write is refused, and is made again when there is room', async (t) => {
  const { machine, watch, drives, fill } = await watchTwo()
  machine.clock.nowMs += 10_000
  await watch.round()
  await fill(0)
  const file = await machine.disk.open('/one/more', 'create')
  const more = drives[0]!.run(() => file.write([new Uint8Array(4096)], 0))
  t.ok(isFull(await more.catch((error) => error)))
  for (let turn = 0; turn < 50; turn += 1) await machine.disk.stat('/one')
  t.equal(await machine.disk.stat(BALLAST), undefined, 'given up at once')
  await drives[0]!.run(() => file.write([new Uint8Array(4096)], 0))
  await watch.round()
  t.equal(await machine.disk.stat(BALLAST), undefined, 'and not made where it would not be left')
  machine.clock.nowMs += 2000
  await fill(mebibytes(40))
  await watch.round()
  t.ok(await machine.disk.stat(BALLAST))
  for (const path of ['/one', '/two']) await makeRoomToStart(path, machine.world)
  t.ok(await machine.disk.stat(BALLAST), 'a start leaves it where there is room')
  await fill(0)
  for (const path of ['/one', '/two']) await makeRoomToStart(path, machine.world)
  t.equal(await machine.disk.stat(BALLAST), undefined)
})

t.test('ballast holds inodes where the file system has a fixed number', async (t) => {
  const { machine, watch } = await watchTwo()
  const { disk, clock } = machine
  const bytesOf = disk.space.bind(disk)
  let freeInodes = 900
  disk.space = async (path) => ({ ...(await bytesOf(path)), freeInodes, totalInodes: 1000 })
  const emptyOnes = async (): Promise<number> =>
    (await disk.list('/one')).filter((name) => /^ballast-\d+\.bin$/.test(name)).length
  clock.nowMs += 10_000
  await watch.round()
  t.equal(await emptyOnes(), 64, '32 for each drive')
  freeInodes = 3
  clock.nowMs += 2000
  await watch.round()
  t.equal(await emptyOnes(), 0, 'given up before anything is refused')
  t.equal(await disk.stat(BALLAST), undefined)
  freeInodes = 900
  clock.nowMs += 2000
  await watch.round()
  t.equal(await emptyOnes(), 64)
  freeInodes = 0
  for (const path of ['/one', '/two']) await makeRoomToStart(path, machine.world)
  t.equal(await emptyOnes(), 0, 'given up by a start too')
})
