// Copies of the coordinator's state: on every drive that works, never older than the last look, mended when they rot.
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import {
  readStateCopy,
  STATE_COPY_FILE,
  StateCopies,
} from '../../../src/storage-node/state-copy.ts'

await prepareDigests()
const world = realWorld()

function driveAt(path: string, trouble?: Error) {
  mkdirSync(path)
  const drive = {
    ...{ path, trouble, failure: undefined as unknown },
    /** Operations that it was asked for. */
    asked: 0,
    run: async <T>(operation: () => Promise<T>): Promise<T> => {
      drive.asked += 1
      if (drive.trouble) throw drive.trouble
      return operation()
    },
  }
  return drive
}

function open(t: Test) {
  const root = t.testdir()
  const drives = [1, 2, 3].map((number) => driveAt(join(root, `${number}`)))
  const coordinator = { state: { clusterId: 'c', epoch: 1 } as ClusterState }
  const copies = new StateCopies({ world, log: silentLog, coordinator, drives: () => drives })
  return { root, drives, coordinator, copies }
}

t.test('every drive has it, for its owner only', async (t) => {
  const { drives, coordinator, copies } = open(t)
  t.equal(await readStateCopy(drives[0]!, world), undefined, 'none yet')
  await copies.keepUp()
  for (const drive of drives) {
    t.same(await readStateCopy(drive, world), coordinator.state)
    t.equal(statSync(join(drive.path, STATE_COPY_FILE)).mode & 0o777, 0o600)
  }
  coordinator.state = { ...coordinator.state, epoch: 2 }
  await copies.keepUp()
  t.match(await readStateCopy(drives[2]!, world), { epoch: 2 })
})

t.test('a copy that rotted is no copy, and is written again', async (t) => {
  const { drives, coordinator, copies } = open(t)
  await copies.keepUp()
  const path = join(drives[1]!.path, STATE_COPY_FILE)
  const bytes = readFileSync(path)
  bytes[bytes.length - 4]! ^= 1
  writeFileSync(path, bytes)
  t.equal(await readStateCopy(drives[1]!, world), undefined)
  t.same(await copies.scrub(), { files: 3, damaged: 1 })
  t.same(await copies.scrub(), { files: 3, damaged: 0 })
  t.same(await readStateCopy(drives[1]!, world), coordinator.state)
})

t.test('a drive that takes none does not keep the others from theirs', async (t) => {
  const { root, drives, coordinator, copies } = open(t)
  drives.unshift(driveAt(join(root, 'full'), new Error('no room')))
  drives[1]!.failure = new Error('failed')
  t.same(await copies.scrub(), { files: 3, damaged: 0 })
  t.same(await readStateCopy(drives[2]!, world), coordinator.state)
  t.equal(await readStateCopy(drives[1]!, world), undefined, 'what failed is left alone')
})

t.test('a drive that refused its copy is asked again, and the others are left alone', async (t) => {
  const { drives, coordinator, copies } = open(t)
  const [good, sick] = [drives[0]!, drives[1]!]
  sick.trouble = new Error('no room')
  await copies.keepUp()
  const asked = good.asked
  for (let look = 0; look < 64; look += 1) await copies.keepUp()
  t.equal(sick.asked, 6, 'more and more rarely')
  const isTold = sick.asked
  coordinator.state = { ...coordinator.state, epoch: 2 }
  await copies.keepUp()
  t.equal(sick.asked, isTold + 1, 'a new state at once')
  sick.trouble = undefined
  for (let look = 0; look < 70; look += 1) await copies.keepUp()
  t.match(await readStateCopy(sick, world), { epoch: 2 })
  t.equal(good.asked, 2 * asked, 'once for each state')
  const done = sick.asked
  for (let look = 0; look < 70; look += 1) await copies.keepUp()
  t.equal(sick.asked, done)
})

t.test('a drive that comes back gets its copy without a change of the state', async (t) => {
  const { root, drives, coordinator, copies } = open(t)
  await copies.keepUp()
  drives[2] = driveAt(join(root, 'back'))
  await copies.keepUp()
  t.same(await readStateCopy(drives[2]!, world), coordinator.state)
})
