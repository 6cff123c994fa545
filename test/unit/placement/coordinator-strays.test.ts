// Decisions that were written to some drives and do not hold: what is left of them after a power cut, and who hears of it.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { DriveUnavailable } from '../../../src/kit/drive-unavailable.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import { type CoordinatorDrive, FileCoordinator } from '../../../src/placement/coordinator-file.ts'
import { chooseState, readHistory } from '../../../src/placement/coordinator-history.ts'
import { ForgetfulMachine, NOTHING } from '../../crash/forgetful-machine.ts'

await prepareDigests()

const IDS = [1, 2, 3]

type TestDrive = CoordinatorDrive & { isBroken: boolean }

/** A drive that says when it is full, and can be broken. */
function testDrive(id: number): TestDrive {
  let failure: unknown
  const drive: TestDrive = {
    ...{ id, path: `/drive${id}`, isBroken: false },
    get failure() {
      return failure
    },
    run: async (operation) => {
      if (drive.isBroken) throw Object.assign(new Error('broken'), { code: 'EIO' })
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

const FIRST: ClusterState = {
  clusterId: 'c',
  epoch: 1,
  map: {
    drives: IDS.map((id) => ({ id, uuid: `u${id}`, weight: 1, state: 'active' as const })),
    code: { dataCount: 2, parityCount: 1, matrix: 1 },
    partitionCount: 4,
    metaPartitionCount: 1,
    slots: [],
    seed: '7',
  },
  metaPartitions: [{ epoch: 1, inSync: [{ driveId: 1, incarnation: 'i1' }] }],
  buckets: {},
  nextBucketId: 1,
  nextDriveId: 4,
}

const renumber = (state: ClusterState): ClusterState => ({ ...state, nextDriveId: 9 })

async function makeStore() {
  const machine = new ForgetfulMachine(1)
  for (const id of IDS) {
    await machine.disk.makeDirectory(`/drive${id}`)
    await machine.disk.makeDirectory(`/drive${id}/coordinator`)
    await machine.disk.syncDirectory(`/drive${id}`)
  }
  await machine.disk.syncDirectory('/')
  const drives = IDS.map(testDrive)
  const coordinator = await FileCoordinator.create(FIRST, { world: machine.world, drives })
  const fill = (id: number): void => {
    machine.disk.fault = ({ kind, path }) =>
      kind === 'create' && path.startsWith(`/drive${id}/`) ? 'ENOSPC' : undefined
  }
  return { machine, drives, coordinator, fill }
}

/** What a start after a power cut would choose. */
async function chosenAfterPowerCut(machine: ForgetfulMachine) {
  const after = machine.crash(NOTHING, 2)
  const histories = new Map()
  for (const id of IDS) histories.set(id, await readHistory(after.world, `/drive${id}`))
  return chooseState(histories)
}

t.test('a decision that a full drive refused does not come back after a power cut', async (t) => {
  const { machine, coordinator, fill } = await makeStore()
  fill(3)
  await t.rejects(coordinator.decide(renumber), { code: 'COORDINATOR_UNAVAILABLE' })
  t.equal(coordinator.state.nextDriveId, 4)
  t.match(await chosenAfterPowerCut(machine), {
    ...{ kind: 'chosen', behind: [] },
    decision: { state: { nextDriveId: 4 } },
  })
})

t.test('who asked hears whether a drive may have what was refused', async (t) => {
  const { drives, coordinator, fill } = await makeStore()
  fill(3)
  const whyNot = () =>
    coordinator.decide(renumber).then(
      () => 'made',
      (error) => error.why,
    )
  t.equal(await whyNot(), 'full', 'no drive has it')
  const { run } = drives[1]!
  drives[1]!.run = async (operation) => {
    const value = await run(operation)
    drives[1]!.isBroken = true
    return value
  }
  t.equal(await whyNot(), undefined, 'one that failed may have it')
})

t.test(
  'a decision holds although the next one, without a drive that failed, does not',
  async (t) => {
    const { machine, drives, coordinator, fill } = await makeStore()
    const heard: number[] = []
    coordinator.watch((state) => heard.push(state.nextDriveId))
    drives[0]!.run = async () => {
      // What is written to the others now is behind it; what comes after it finds the third one full.
      await new Promise(setImmediate)
      while (!machine.disk.files('/drive3').includes('/drive3/coordinator/000000000002'))
        await new Promise(setImmediate)
      fill(3)
      throw Object.assign(new Error('broken'), { code: 'EIO' })
    }
    await t.rejects(coordinator.decide(renumber), {
      code: 'COORDINATOR_UNAVAILABLE',
      why: undefined,
    })
    t.equal(coordinator.state.nextDriveId, 9)
    t.same(heard, [9])
  },
)
