// Moves wait for drives that are aside: nothing is tried there, each drive is said once, no copy goes, and nothing is forgotten.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Log, silentLog } from '../../../../src/kit/log.ts'
import {
  addDrive,
  drainDrive,
  reserveDriveId,
} from '../../../../src/placement/coordinator-changes.ts'
import { AsideDrives } from '../../../../src/storage-node/drive-care/aside.ts'
import { PatientNode } from '../../../../src/storage-node/drive-care/patient-node.ts'
import type { HealProgress } from '../../../../src/storage-node/upkeep/heal-progress.ts'
import { Healer } from '../../../../src/storage-node/upkeep/healer.ts'
import { Seeded } from '../../../support/seeded.ts'
import { allBlobs, UpkeepFixture } from './upkeep-fixture.ts'

const random = new Seeded(77)
const NEVER_MS = 1e12
const AWAY = 'node n7 does not answer'

/** A store in which drives are put aside, its healer, and what that says about drives. */
class PostponedFixture {
  readonly fixture: UpkeepFixture
  readonly aside = new AsideDrives()
  readonly said: { driveId: number; why: string; what: string }[] = []
  readonly healer: Healer
  /** Shards that were begun on each drive. */
  readonly begun = new Map<number, number>()

  private constructor(fixture: UpkeepFixture, againMs: number) {
    this.fixture = fixture
    const { node } = fixture.store
    const beginShard = node.beginShard.bind(node)
    node.beginShard = (driveId, ...rest) => {
      this.begun.set(driveId, (this.begun.get(driveId) ?? 0) + 1)
      return beginShard(driveId, ...rest)
    }
    const warn = (data: { driveId: number; why: string }, what: string) =>
      this.said.push({ ...data, what })
    const times = { scrubPeriodMs: NEVER_MS, outDelayMs: NEVER_MS, urgentDelayMs: 0, graceMs: 0 }
    this.healer = new Healer(
      { ...times, againMs },
      {
        ...fixture.healerParts,
        log: { ...silentLog, warn } as Log,
        node: new PatientNode(node, this.aside),
      },
    )
  }

  static async open(t: Test, drives: number, againMs = NEVER_MS): Promise<PostponedFixture> {
    const opened = new PostponedFixture(await UpkeepFixture.open(drives), againMs)
    for (let index = 0; index < 40; index += 1)
      await opened.fixture.put(`k${index}`, random.bytes(5000))
    opened.begun.clear()
    opened.healer.start()
    t.teardown(() => opened.healer.stop())
    await opened.until(isSettled)
    return opened
  }

  async addDrive(id: number): Promise<void> {
    const { coordinator } = this.fixture.store
    await coordinator.decide(reserveDriveId())
    await coordinator.decide(addDrive({ id, uuid: `drive-${id}`, weight: 1, path: `/${id}` }))
  }

  /** The bound only ends a test that would fail. */
  async until(wanted: (now: HealProgress) => boolean): Promise<void> {
    for (let round = 0; round < 2000; round += 1) {
      if (wanted(this.healer.progress())) return
      await sleep(5)
    }
    throw new Error(`it did not come to that: ${JSON.stringify(this.healer.progress().moves)}`)
  }

  async expectPlaced(t: Test): Promise<void> {
    const { store } = this.fixture
    const { map } = store.coordinator.state
    for (const { blob } of await allBlobs(store))
      t.same(blob.drives, map.slots[blob.partition]!.slice(0, blob.drives.length))
    for (let index = 0; index < 40; index += 1)
      t.equal((await this.fixture.read(`k${index}`)).length, 5000)
    t.same(store.reports, [], 'no reader found anything missing')
  }
}

function isSettled({ moves }: HealProgress): boolean {
  return moves.phase === 'idle' && moves.remainingShards === 0 && moves.leftBehind === 0
}

function isWaiting({ moves }: HealProgress): boolean {
  return moves.phase === 'idle' && (moves.remainingShards ?? 0) > 0
}

t.test(
  'nothing is tried on a drive that is aside; it is when the drive is taken back',
  async (t) => {
    const opened = await PostponedFixture.open(t, 6)
    const { aside, healer, fixture } = opened
    const shards = fixture.store.node.shardCount
    aside.put(7, AWAY)
    await opened.addDrive(7)
    await opened.until(isWaiting)
    t.equal(healer.progress().moves.movedShards, 0)
    t.equal(fixture.store.node.shardCount, shards, 'every shard stays where it is')
    t.match(opened.said, [{ driveId: 7, why: AWAY }])
    t.equal(opened.said.length, 1, 'not a line for each shard')
    const { remainingShards, waitingShards, leftMs, bytesPerSecond } = healer.progress().moves
    t.equal(waitingShards, remainingShards, 'all that is left waits')
    t.same([leftMs, bytesPerSecond], [undefined, undefined], 'so nothing is foretold')
    aside.takeBack(7)
    await opened.until(isSettled)
    t.ok(healer.progress().moves.movedShards > 0)
    t.equal(opened.begun.get(7), healer.progress().moves.movedShards)
    t.equal(opened.said.length, 1)
    await opened.expectPlaced(t)
  },
)

t.test('what can move does, and a drive that goes away meanwhile is said once', async (t) => {
  const opened = await PostponedFixture.open(t, 6)
  const { aside, healer, fixture } = opened
  fixture.store.node.beforeWrite = (driveId) => {
    if (driveId === 7 && (opened.begun.get(7) ?? 0) > 3) aside.put(7, AWAY)
  }
  await opened.addDrive(7)
  await opened.addDrive(8)
  await opened.until((now) => isWaiting(now) && aside.has(7))
  const { movedShards, waitingShards, remainingShards } = healer.progress().moves
  t.equal(waitingShards, remainingShards)
  t.ok((opened.begun.get(8) ?? 0) > 0)
  t.equal(opened.said.length, 1)
  t.match(opened.said, [{ driveId: 7, why: AWAY }])
  fixture.store.node.beforeWrite = () => {}
  aside.takeBack(7)
  await opened.until(isSettled)
  t.ok(healer.progress().moves.movedShards > movedShards)
  await opened.expectPlaced(t)
})

t.test('a drain of a drive that is aside goes on when it is taken back', async (t) => {
  const opened = await PostponedFixture.open(t, 7)
  const { aside, fixture } = opened
  const { coordinator, node } = fixture.store
  aside.put(3, AWAY)
  const before = node.drives.get(3)!.size
  await coordinator.decide(drainDrive(3))
  await opened.until(isWaiting)
  t.equal(node.drives.get(3)!.size, before)
  t.match(opened.said, [{ driveId: 3, why: AWAY }])
  aside.takeBack(3)
  await opened.until(() => {
    return coordinator.state.map.drives.find(({ id }) => id === 3)!.isVacated === true
  })
  t.equal(node.drives.get(3)!.size, 0)
  await opened.expectPlaced(t)
})

t.test('it is looked at again and again, and an absence is not said again', async (t) => {
  const opened = await PostponedFixture.open(t, 6, 20)
  const { aside, fixture } = opened
  aside.put(7, AWAY)
  await opened.addDrive(7)
  await opened.until(isWaiting)
  // It is counted again every 20 ms.
  await sleep(300)
  t.equal(opened.said.length, 1)
  fixture.store.node.failed.add(7)
  aside.takeBack(7)
  // The second line is of the first pass, the third one of the pass after it.
  await opened.until(() => opened.said.length > 2)
  t.match(opened.said[1], { driveId: 7, why: 'drive 7 is failed' }, 'now it answers and fails')
  t.ok(opened.begun.get(7)! > 10 * (opened.said.length - 2), 'once in a pass')
  fixture.store.node.failed.delete(7)
  await opened.until(isSettled)
  await opened.expectPlaced(t)
})
