// Decisions on several drives: remembered, torn, damaged, forked.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { DriveUnavailable } from '../../../src/kit/drive-unavailable.ts'
import { realWorld } from '../../../src/kit/world.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import { markActive, markOut } from '../../../src/placement/coordinator-changes.ts'
import { type CoordinatorDrive, FileCoordinator } from '../../../src/placement/coordinator-file.ts'
import { chooseState, readHistory } from '../../../src/placement/coordinator-history.ts'

const world = realWorld()
await prepareDigests()

type TestDrive = CoordinatorDrive & { breakNow?: boolean }

async function makeDrives(test: Test, count: number): Promise<TestDrive[]> {
  const root = await mkdtemp(join(tmpdir(), 'coordinator-'))
  test.teardown(() => rm(root, { recursive: true, force: true }))
  const drives: TestDrive[] = []
  for (let id = 1; id <= count; id += 1) {
    const path = join(root, `drive${id}`)
    await mkdir(join(path, 'coordinator'), { recursive: true })
    drives.push(testDrive(id, path))
  }
  return drives
}

function testDrive(id: number, path: string): TestDrive {
  let failure: unknown
  const drive: TestDrive = {
    id,
    path,
    get failure() {
      return failure
    },
    run: async (operation) => {
      if (drive.breakNow) throw Object.assign(new Error('broken'), { code: 'EIO' })
      return await operation().catch((error) => {
        throw error.code === 'ENOSPC' ? new DriveUnavailable(id, 'full', { cause: error }) : error
      })
    },
    fail: (cause) => {
      failure ??= cause
    },
  }
  return drive
}

function firstState(drives: readonly TestDrive[]): ClusterState {
  return {
    clusterId: 'c',
    epoch: 1,
    map: {
      drives: drives.map(({ id }) => ({ id, uuid: `u${id}`, weight: 1, state: 'active' })),
      code: { dataCount: 2, parityCount: 1, matrix: 1 },
      partitionCount: 4,
      metaPartitionCount: 1,
      slots: [],
      seed: '7',
    },
    metaPartitions: [
      {
        epoch: 0,
        inSync: drives.slice(0, 2).map(({ id }) => ({ driveId: id, incarnation: `i${id}` })),
      },
    ],
    buckets: {},
    nextBucketId: 1,
    nextDriveId: drives.length + 1,
    rootCredentials: { accessKeyId: 'root', secretAccessKey: 'secret' },
  }
}

const addBucket = (name: string) => (state: ClusterState) => ({
  ...state,
  buckets: {
    ...state.buckets,
    [name]: {
      name,
      id: state.nextBucketId,
      createdMs: 0,
      region: 'r',
      revision: 1,
      state: 'live' as const,
    },
  },
  nextBucketId: state.nextBucketId + 1,
})

async function choose(drives: readonly TestDrive[]) {
  const histories = new Map()
  for (const drive of drives) histories.set(drive.id, await readHistory(world, drive.path))
  return chooseState(histories)
}

async function reopen(drives: readonly TestDrive[]): Promise<FileCoordinator> {
  const choice = await choose(drives)
  if (choice.kind !== 'chosen') throw new Error(`expected a choice, not ${choice.kind}`)
  return FileCoordinator.open(choice.decision, { world, drives })
}

const again = (drives: readonly TestDrive[]) => drives.map(({ id, path }) => testDrive(id, path))

t.test('a decision is on every drive, for its owner alone, and is found again', async (t) => {
  const drives = await makeDrives(t, 3)
  const coordinator = await FileCoordinator.create(firstState(drives), { world, drives })
  const seen: number[] = []
  const stop = coordinator.watch((state) => seen.push(state.epoch))
  await Promise.all([coordinator.decide(addBucket('a')), coordinator.decide(addBucket('b'))])
  t.same(
    await coordinator.decide(() => undefined),
    coordinator.state,
    'nothing to change is no decision',
  )
  stop()
  t.same(seen, [2, 3])
  t.equal(coordinator.state.epoch, 3)
  for (const { path } of drives) {
    const mode = (await stat(join(path, 'coordinator', '000000000003'))).mode
    t.equal(mode & 0o777, 0o600)
  }
  const found = await reopen(again(drives))
  t.same(found.state, coordinator.state, 'no drive is missing, so the start decides nothing')
  t.same(Object.keys(found.state.buckets), ['a', 'b'])
})

t.test('a drive that fails while a decision is written is marked out by the next', async (t) => {
  const drives = await makeDrives(t, 3)
  const coordinator = await FileCoordinator.create(firstState(drives), { world, drives })
  drives[0]!.breakNow = true
  const state = await coordinator.decide(addBucket('a'))
  t.equal(state.epoch, 3)
  t.equal(state.map.drives[0]!.state, 'out')
  t.same(state.metaPartitions[0], { epoch: 0, inSync: [{ driveId: 2, incarnation: 'i2' }] })
  drives[1]!.breakNow = true
  const alone = await coordinator.decide(addBucket('b'))
  t.same(alone.metaPartitions[0]!.inSync, [{ driveId: 2, incarnation: 'i2' }], 'the last one stays')
  drives[2]!.breakNow = true
  await t.rejects(coordinator.decide(addBucket('c')), { code: 'COORDINATOR_UNAVAILABLE' })
  const found = await reopen(again(drives))
  t.same(
    Object.keys(found.state.buckets),
    ['a', 'b'],
    'drives that come back are brought up to date',
  )
})

t.test('a missing drive is marked out at the start and known when it comes back', async (t) => {
  const drives = await makeDrives(t, 3)
  await FileCoordinator.create(firstState(drives), { world, drives })
  const without = await reopen(again(drives.slice(0, 2)))
  t.equal(without.state.map.drives[2]!.state, 'out')
  for (let index = 0; index < 100; index += 1) await without.decide(addBucket(`b${index}`))
  t.equal((await readdir(join(drives[0]!.path, 'coordinator'))).length, 16, 'old files go')
  const all = again(drives)
  const choice = await choose(all)
  t.match(choice, { kind: 'chosen', behind: [3] })
  const back = await reopen(all)
  t.equal(back.state.map.drives[2]!.state, 'out', 'coming back is a decision of its own')
  await back.decide(markActive(3))
  t.equal(back.state.map.drives[2]!.state, 'active')
  t.match(await choose(again(drives)), { kind: 'chosen', behind: [] })
})

t.test('two halves that were used alone are a fork', async (t) => {
  const drives = await makeDrives(t, 4)
  await FileCoordinator.create(firstState(drives), { world, drives })
  await reopen(again(drives.slice(0, 2)))
  await (await reopen(again(drives.slice(2)))).decide(addBucket('x'))
  t.same(await choose(again(drives)), { kind: 'forked', drives: [1, 2] })
})

t.test(
  'a decision that reached few drives before a crash is taken over or dropped, never a fork',
  async (t) => {
    const drives = await makeDrives(t, 3)
    const coordinator = await FileCoordinator.create(firstState(drives), { world, drives })
    await coordinator.decide(addBucket('half'))
    for (const drive of drives.slice(1)) await rm(join(drive.path, 'coordinator', '000000000002'))
    t.match(
      await choose(again(drives)),
      { kind: 'chosen', behind: [2, 3] },
      'the highest is taken over',
    )
    const others = await reopen(again(drives.slice(1)))
    t.equal(others.state.map.drives[0]!.state, 'out', 'the others go on without the first')
    const all = again(drives)
    t.match(await choose(all), { kind: 'chosen', behind: [1] }, 'what the first had never held')
    const back = await reopen(all)
    t.notOk(back.state.buckets.half)
  },
)

t.test('damaged files are skipped; the intact ones of other drives win', async (t) => {
  const drives = await makeDrives(t, 3)
  const coordinator = await FileCoordinator.create(firstState(drives), { world, drives })
  await coordinator.decide(addBucket('a'))
  for (const drive of drives.slice(0, 2)) {
    const path = join(drive.path, 'coordinator', '000000000002')
    const bytes = await readFile(path)
    bytes[bytes.length >> 1]! ^= 4
    await writeFile(path, bytes)
  }
  t.same((await readHistory(world, drives[0]!.path)).corrupt, [2])
  const found = await reopen(again(drives))
  t.ok(found.state.buckets.a)
  await rm(join(drives[0]!.path, 'coordinator'), { recursive: true })
  await mkdir(join(drives[0]!.path, 'coordinator'))
  t.match(await choose(again(drives)), { kind: 'chosen', behind: [1] })
  t.same(chooseState(new Map([[1, { decisions: [], corrupt: [2] }]])), { kind: 'none' })
})

t.test('a full drive refuses the decision and is not failed', async (t) => {
  const drives = await makeDrives(t, 2)
  let isFull = false
  const disk: typeof world.disk = {
    ...world.disk,
    open: async (path, ...how) => {
      if (!isFull || !path.startsWith(drives[1]!.path)) return world.disk.open(path, ...how)
      throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    },
  }
  const parts = { world: { ...world, disk }, drives }
  const coordinator = await FileCoordinator.create(firstState(drives), parts)
  isFull = true
  await t.rejects(coordinator.decide(addBucket('a')), { code: 'COORDINATOR_UNAVAILABLE' })
  t.equal(drives[1]!.failure, undefined)
  isFull = false
  await coordinator.decide(addBucket('b'))
  t.same(Object.keys((await reopen(again(drives))).state.buckets), ['b'])
})

t.test('a drive that hangs is failed after a while', async (t) => {
  const drives = await makeDrives(t, 2)
  let isLate = false
  let first: AbortSignal | undefined
  const sleep = (_ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (isLate) first ??= signal
      if (signal !== undefined && signal === first) setImmediate(resolve)
    })
  const impatient = await FileCoordinator.create(firstState(drives), {
    world: { ...world, clock: { ...world.clock, sleep } },
    drives,
  })
  isLate = true // For the first drive that is asked, however often it is slept for.
  drives[0]!.run = () => new Promise(() => {})
  const state = await impatient.decide(addBucket('a'))
  t.equal(state.map.drives[0]!.state, 'out')
})

t.test('a decision does not wait for a drive that is put aside', async (t) => {
  const drives = await makeDrives(t, 3)
  const coordinator = await FileCoordinator.create(firstState(drives), { world, drives })
  const run = drives[0]!.run
  let goOn = (): void => {}
  const hanging = new Promise<void>((resolve) => {
    goOn = resolve
  })
  drives[0]!.run = async (operation) => {
    await hanging
    return run(operation)
  }
  const waiting = coordinator.decide(addBucket('a'))
  await coordinator.putAside(1, 'it hangs')
  t.ok((await waiting).buckets.a, 'the decision that waited for it holds')
  t.match(coordinator.state.map.drives[0], { state: 'out', reason: 'it hangs' })
  t.equal(drives[0]!.failure, undefined, 'it has not failed')
  await coordinator.decide(addBucket('b'))

  const returning = coordinator.addDrive(drives[0]!)
  goOn()
  await returning
  const state = await coordinator.decide(markActive(1))
  t.match(state.map.drives[0], { id: 1, state: 'active' })
  t.match(Object.keys(state.buckets), ['a', 'b'])
  const histories = new Map([[1, await readHistory(world, drives[0]!.path)]])
  const choice = chooseState(histories)
  t.match(choice, { kind: 'chosen', decision: { state: { epoch: state.epoch } } })
  await coordinator.decide(addBucket('c'))
  t.equal(drives[0]!.failure, undefined, 'it remembers again')
  await coordinator.close()
})

for (const hung of ['sync', 'rename'] as const) {
  t.test(
    `what a drive was too late for does not come to light, with a ${hung} that hangs`,
    async (t) => {
      const drives = await makeDrives(t, 3)
      const clock = new Deadlines()
      const { disk, goOn } = hangingDisk(drives[0]!.path, hung)
      const coordinator = await FileCoordinator.create(firstState(drives), {
        world: { clock, disk: disk.usual },
        drives,
      })
      const others = watchRuns(drives.slice(1))
      disk.hangs = true
      const deciding = coordinator.decide(addBucket('late'))
      await clock.pass(() => drives[0]!.failure !== undefined, others)
      disk.hangs = false
      const { epoch } = await deciding
      const [back] = again(drives)
      const returning = coordinator.addDrive(back!)
      let isBack = false
      void returning.then(() => {
        isBack = true
      })
      for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate)
      t.notOk(isBack, 'nobody writes to it while the late one does')
      goOn()
      await returning
      const names = await readdir(join(drives[0]!.path, 'coordinator'))
      const late = `${epoch - 1}`.padStart(12, '0')
      t.notOk(names.includes(late), 'the decision that came too late')
      t.same(
        names.filter((name) => name.startsWith('draft')),
        [],
      )
      t.match(await choose(drives), { kind: 'chosen', decision: { state: { epoch } } })
      await coordinator.close()
    },
  )
}

t.test('drafts that a crash left are removed by the next start', async (t) => {
  const drives = await makeDrives(t, 2)
  const coordinator = await FileCoordinator.create(firstState(drives), { world, drives })
  await coordinator.close()
  for (const name of ['draft', 'draft-17'])
    await writeFile(join(drives[0]!.path, 'coordinator', name), 'half')
  await (await reopen(again(drives))).close()
  const names = await readdir(join(drives[0]!.path, 'coordinator'))
  t.same(
    names.filter((name) => name.startsWith('draft')),
    [],
  )
})

/** Deadlines that pass when a test says so. */
class Deadlines {
  readonly #sleepers = new Set<() => void>()

  sleep = (_ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const wake = (): void => {
        this.#sleepers.delete(wake)
        resolve()
      }
      this.#sleepers.add(wake)
      signal?.addEventListener('abort', () => {
        this.#sleepers.delete(wake)
        reject(new Error('aborted'))
      })
    })

  now = (): number => 0
  monotonicMs = (): number => 0

  /** Lets seconds pass until something has happened. None of them is over before the others have done what they are at. */
  async pass(until: () => boolean, others: { underWay: number }): Promise<void> {
    for (let second = 0; second < 1000 && !until(); second += 1) {
      for (const wake of [...this.#sleepers]) wake()
      for (let quiet = 0; quiet < 20; quiet = others.underWay > 0 ? 0 : quiet + 1) {
        await new Promise(setImmediate)
      }
    }
  }
}

/** Counts what is under way on these drives. */
function watchRuns(drives: readonly TestDrive[]): { underWay: number } {
  const others = { underWay: 0 }
  for (const drive of drives) {
    const run = drive.run.bind(drive)
    drive.run = async (operation) => {
      others.underWay += 1
      try {
        return await run(operation)
      } finally {
        others.underWay -= 1
      }
    }
  }
  return others
}

/** The disk, on which an operation below `path` hangs while it is told to. */
function hangingDisk(path: string, hung: 'sync' | 'rename') {
  let goOn = (): void => {}
  const hanging = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const disk = { hangs: false, usual: world.disk }
  const wait = async (of: string, at: string): Promise<void> => {
    if (disk.hangs && of === hung && at.startsWith(path)) await hanging
  }
  disk.usual = {
    ...world.disk,
    open: async (at, ...how) => {
      const file = await world.disk.open(at, ...how)
      return Object.assign(Object.create(file), {
        read: file.read.bind(file),
        write: file.write.bind(file),
        close: file.close.bind(file),
        sync: () => wait('sync', at).then(() => file.sync()),
      })
    },
    rename: async (from, to) => {
      await wait('rename', from)
      await world.disk.rename(from, to)
    },
  }
  return { disk, goOn }
}

t.test('a change that marks out what is out already changes nothing', async (t) => {
  const drives = await makeDrives(t, 2)
  const coordinator = await FileCoordinator.create(firstState(drives), { world, drives })
  await coordinator.decide(markOut(2, 'it failed'))
  const { epoch } = coordinator.state
  await coordinator.decide(markOut(2, 'it failed'))
  t.equal(coordinator.state.epoch, epoch)
  await coordinator.close()
})

t.test('drives come and go while decisions are made', async (t) => {
  const drives = await makeDrives(t, 4)
  const [first, second, third, fourth] = drives as [TestDrive, TestDrive, TestDrive, TestDrive]
  const before = [first, second, third]
  const coordinator = await FileCoordinator.create(firstState(before), { world, drives: before })
  await coordinator.decide(addBucket('a'))
  await coordinator.addDrive(fourth)
  await coordinator.decide(addBucket('b'))
  t.equal((await readHistory(world, fourth.path)).decisions.at(-1)?.state.epoch, 3)
  await coordinator.forgetDrive(fourth)
  await coordinator.decide(addBucket('c'))
  t.equal((await readHistory(world, fourth.path)).decisions.at(-1)?.state.epoch, 3, 'no more')
  await coordinator.addDrive(testDrive(4, fourth.path))
  t.equal((await readHistory(world, fourth.path)).decisions.at(-1)?.state.epoch, 4, 'again')
})

t.test('a drive that went on without the others is not taken in', async (t) => {
  const drives = await makeDrives(t, 3)
  await FileCoordinator.create(firstState(drives), { world, drives })
  await (await reopen(again(drives.slice(2)))).decide(addBucket('alone'))
  const both = await reopen(again(drives.slice(0, 2)))
  await t.rejects(both.addDrive(testDrive(3, drives[2]!.path)), { code: 'DRIVE_FORKED' })
  await both.decide(addBucket('x'))
  t.notOk((await readHistory(world, drives[2]!.path)).decisions.at(-1)?.state.buckets.x)
})

t.test('what a drive held that left while it was out is remembered', async (t) => {
  const drives = await makeDrives(t, 3)
  await FileCoordinator.create(firstState(drives), { world, drives })
  const without = await reopen(again(drives.slice(0, 2)))
  await without.decide((state) => ({
    ...state,
    map: { ...state.map, drives: state.map.drives.filter(({ id }) => id !== 3) },
  }))
  for (let index = 0; index < 100; index += 1) await without.decide(addBucket(`b${index}`))
  t.match(await choose(again(drives)), { kind: 'chosen', behind: [3] }, 'not a fork')
})
