// Who is put aside, who comes back and when, and who is spared: by a clock that is moved by hand.
import t from 'tap'
import { type CareLimits, DriveCare, USUAL_CARE } from '../../../src/embedded/drive-care.ts'
import { silentLog } from '../../../src/kit/log.ts'
import type { Change, ClusterState } from '../../../src/placement/coordinator.ts'
import { markOut } from '../../../src/placement/coordinator-changes.ts'
import type { Drive } from '../../../src/storage-node/drive.ts'
import { AsideDrives } from '../../../src/storage-node/drive-care/aside.ts'
import { DriveHealth } from '../../../src/storage-node/drive-care/drive-health.ts'
import { PatientClock } from '../../../src/storage-node/drive-care/patient-clock.ts'

/** A ward of six drives of a 4+2 store, whose operations take as long as a test says. */
class Ward {
  machineMs = 0
  state: ClusterState
  readonly aside = new AsideDrives()
  readonly clock = new PatientClock({ monotonicMs: () => this.machineMs }, 300)
  readonly drives: (Drive & { failure?: unknown })[] = []
  readonly healths: DriveHealth[] = []
  readonly care: DriveCare
  readonly left: number[] = []
  /** Decisions wait for these. */
  readonly asked = new Set<number>()
  /** Nothing can be decided. */
  isUndecided = false

  constructor(limits: Partial<CareLimits> = {}, deviceOf = (id: number): number => id) {
    this.state = stateOf(6)
    const decide = async (change: Change): Promise<ClusterState> => {
      if (this.isUndecided) throw new Error('nothing can be decided')
      const next = change(this.state)
      if (next) this.state = { ...next, epoch: this.state.epoch + 1 }
      return this.state
    }
    const ward = this
    const coordinator = {
      get state() {
        return ward.state
      },
      decide,
      putAside: async (id: number, reason: string) => {
        this.asked.delete(id)
        await decide(markOut(id, reason))
      },
      addDrive: async ({ id }: Drive) => void this.asked.add(id),
    }
    const { aside, clock } = this
    const leaveMetadata = (id: number): void => void this.left.push(id)
    const parts = { log: silentLog, clock, aside, coordinator, leaveMetadata }
    this.care = new DriveCare(parts, { ...USUAL_CARE, ...limits })
    for (let id = 1; id <= 6; id += 1) {
      const described = { id, path: `/${id}`, failure: undefined, device: deviceOf(id) }
      const drive = described as unknown as Drive
      Object.assign(drive, { fail: (cause: unknown) => Object.assign(drive, { failure: cause }) })
      const health = new DriveHealth(() => this.clock.now())
      this.drives.push(drive)
      this.healths.push(health)
      this.care.add(drive, health)
    }
  }

  /** Every drive but those that hang reads once in a tenth of a second; slow ones take longer. */
  async pass(ms: number, slow: number[] = [], hanging: number[] = []): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      const ends: (() => void)[] = []
      const begin = (id: number): void => {
        void this.healths[id - 1]!.observe('sync', () => new Promise<void>((end) => ends.push(end)))
      }
      if (passed % 600 === 0) for (const id of slow) begin(id)
      this.machineMs += 90
      const late = ends.splice(0)
      for (let id = 1; id <= 6; id += 1) if (![...slow, ...hanging].includes(id)) begin(id)
      this.machineMs += 10
      for (const end of ends.splice(0)) end()
      await new Promise((resolve) => setImmediate(resolve))
      this.#later.push({ atMs: this.machineMs + 500, ends: late })
      while (this.#later[0] && this.#later[0].atMs <= this.machineMs)
        for (const end of this.#later.shift()!.ends) end()
      await new Promise((resolve) => setImmediate(resolve))
      this.care.tick()
    }
  }

  readonly #later: { atMs: number; ends: (() => void)[] }[] = []

  out(): number[] {
    return this.state.map.drives.filter(({ state }) => state === 'out').map(({ id }) => id)
  }

  async probeWell(id: number): Promise<void> {
    for (let probe = 0; probe < USUAL_CARE.probesAfterHang; probe += 1) {
      const ended = this.care.beginProbe(id)
      await this.pass(100)
      ended('good')
    }
    await this.pass(500)
  }

  hang(id: number): () => void {
    let end = (): void => {}
    void this.healths[id - 1]!.observe(
      'sync',
      () =>
        new Promise<void>((resolve) => {
          end = resolve
        }),
    )
    return () => end()
  }
}

function stateOf(count: number): ClusterState {
  const ids = Array.from({ length: count }, (_, index) => index + 1)
  const drives = ids.map((id) => ({ id, uuid: `u${id}`, weight: 1, state: 'active' as const }))
  const code = { dataCount: 4, parityCount: 2, matrix: 1 as const }
  const inSync = [1, 2, 3].map((driveId) => ({ driveId, incarnation: `i${driveId}` }))
  return {
    ...{ clusterId: 'c', epoch: 1, buckets: {}, nextBucketId: 1, nextDriveId: count + 1 },
    map: { drives, code, partitionCount: 4, metaPartitionCount: 1, slots: [ids], seed: '1' },
    metaPartitions: [{ epoch: 1, inSync }],
  }
}

t.test('a drive that hangs is put aside, and back after probes that were well', async (t) => {
  const ward = new Ward()
  await ward.pass(3_000)
  const end = ward.hang(2)
  await ward.pass(1_200, [], [2])
  t.same(ward.out(), [2])
  t.ok(ward.aside.has(2))
  t.ok(ward.care.advice.isSuspect(2))
  t.same(ward.left, [2])
  t.equal(ward.care.conditionOf(2), 'hanging')
  await ward.care.recorded(2)

  end()
  for (let probe = 0; probe < USUAL_CARE.probesAfterHang; probe += 1) {
    t.same(ward.out(), [2], `not yet at probe ${probe}`)
    const ended = ward.care.beginProbe(2)
    await ward.pass(100)
    ended('good')
  }
  await ward.pass(500)
  t.same(ward.out(), [])
  t.notOk(ward.aside.has(2))
  t.notOk(ward.care.advice.isSuspect(2))
  t.equal(ward.care.conditionOf(2), 'healthy')
})

t.test(
  'a drive comes back once that can be decided, whether it was on record or not',
  async (t) => {
    const ward = new Ward()
    await ward.pass(3_000)
    ward.isUndecided = true
    const end = ward.hang(2)
    await ward.pass(1_200, [], [2])
    end()
    await t.rejects(ward.care.recorded(2), 'it could not be put on record')
    await ward.probeWell(2)
    t.ok(ward.aside.has(2), 'nor can it be that it does well')
    t.notOk(ward.asked.has(2), 'no decision waits for it')
    await t.rejects(ward.care.recorded(2), 'nobody knows how it is on record')
    t.equal(ward.care.conditionOf(2), 'hanging')
    ward.isUndecided = false
    await ward.probeWell(2)
    t.notOk(ward.aside.has(2))
    t.ok(ward.asked.has(2))
    t.equal(ward.care.conditionOf(2), 'healthy')

    const endAgain = ward.hang(3)
    await ward.pass(1_200, [], [3])
    endAgain()
    t.same(ward.out(), [3])
    ward.isUndecided = true
    await ward.probeWell(3)
    ward.isUndecided = false
    t.same([ward.out(), ward.aside.has(3)], [[3], true], 'what is out still is aside still')
    await ward.probeWell(3)
    t.same([ward.out(), ward.aside.has(3)], [[], false])
  },
)

t.test('that a drive is aside is recorded as soon as that can be', async (t) => {
  const ward = new Ward()
  await ward.pass(3_000)
  ward.isUndecided = true
  ward.hang(2)
  await ward.pass(15_000, [], [2])
  t.same([ward.out(), ward.aside.has(2)], [[], true])
  await t.rejects(ward.care.recorded(2))
  ward.isUndecided = false
  await ward.pass(10_000, [], [2])
  t.same([ward.out(), ward.left], [[2], [2]])
  t.match(ward.state.map.drives[1]!.reason, /it hangs/)
  await ward.care.recorded(2)
  const { epoch } = ward.state
  await ward.pass(20_000, [], [2])
  t.equal(ward.state.epoch, epoch, 'what is on record is left alone')
})

t.test(
  'what could not be recorded is not, where the code can not do without it by then',
  async (t) => {
    const ward = new Ward()
    await ward.pass(3_000)
    ward.isUndecided = true
    ward.hang(2)
    await ward.pass(3_000, [], [2])
    ward.isUndecided = false
    const others = ward.state.map.drives.map((drive) =>
      drive.id > 4 ? { ...drive, state: 'out' as const } : drive,
    )
    ward.state = { ...ward.state, map: { ...ward.state.map, drives: others } }
    await ward.pass(20_000, [], [2])
    t.same(ward.out(), [5, 6])
  },
)

t.test('a drive that does not answer for a minute has failed', async (t) => {
  const ward = new Ward()
  await ward.pass(3_000)
  ward.hang(2)
  await ward.pass(59_000, [], [2])
  t.equal(ward.drives[1]!.failure, undefined)
  await ward.pass(2_000, [], [2])
  t.match(ward.drives[1]!.failure, { message: /did not answer for 60 s/ })
  t.equal(ward.care.conditionOf(2), 'failed')
})

t.test('no more drives are put aside than the code can do without', async (t) => {
  const ward = new Ward()
  await ward.pass(3_000)
  for (const id of [4, 5]) ward.hang(id)
  await ward.pass(1_500, [], [4, 5])
  t.same(ward.out(), [4, 5])
  ward.hang(6)
  await ward.pass(1_500, [], [4, 5, 6])
  t.same(ward.out(), [4, 5], 'slow is better than lost')
  t.ok(ward.care.advice.isSuspect(6), 'but readers are told')
})

t.test('the last replicas of metadata are never put aside', async (t) => {
  const ward = new Ward()
  ward.state = {
    ...ward.state,
    metaPartitions: [{ epoch: 2, inSync: [{ driveId: 3, incarnation: 'i' }] }],
  }
  await ward.pass(3_000)
  ward.hang(3)
  await ward.pass(1_500, [], [3])
  t.same(ward.out(), [])
})

t.test('a process that was stopped blames nobody', async (t) => {
  const ward = new Ward()
  await ward.pass(3_000)
  const ends = [1, 2, 3].map((id) => ward.hang(id))
  ward.machineMs += 120_000
  ward.care.tick()
  for (const end of ends) end()
  await ward.pass(1_000)
  t.same(ward.out(), [])
  t.same(
    ward.drives.filter(({ failure }) => failure !== undefined),
    [],
  )
})

t.test('slow for a moment is nothing, slow for a minute is a gray failure', async (t) => {
  const ward = new Ward()
  await ward.pass(3_000)
  await ward.pass(30_000, [5])
  t.same(ward.out(), [])
  t.equal(ward.care.conditionOf(5), 'healthy')
  await ward.pass(60_000, [5])
  t.same(ward.out(), [5])
  t.match(ward.state.map.drives[4]!.reason, /slow/)
  t.notOk(ward.aside.has(5), 'it can still be read')
  t.ok(ward.care.advice.isSuspect(5))
})

t.test('directories of one disk get more patience before one of them is put aside', async (t) => {
  const ward = new Ward({}, () => 7)
  await ward.pass(3_000)
  ward.hang(2)
  await ward.pass(5_000, [], [2])
  t.same(ward.out(), [])
  t.ok(ward.care.advice.isSuspect(2), 'readers pass it by')
  await ward.pass(3_000, [], [2])
  t.same(ward.out(), [2])
})
