// What drives will get and give is told before anything moves; the twin is what lies where once everything has moved.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { drainDrive } from '../../../../src/placement/coordinator-changes.ts'
import type { DrainOptions } from '../../../../src/placement/drive-edits.ts'
import { Healer } from '../../../../src/storage-node/upkeep/healer.ts'
import { MoveBalance } from '../../../../src/storage-node/upkeep/move-balance.ts'
import { Seeded } from '../../../support/seeded.ts'
import { allBlobs, UpkeepFixture } from './upkeep-fixture.ts'

const random = new Seeded(51)
const NEVER_MS = 1e12
const TIMES = { outDelayMs: 0, urgentDelayMs: 0, againMs: 20, graceMs: 0 }

async function filled(driveCount: number): Promise<UpkeepFixture> {
  const fixture = await UpkeepFixture.open(driveCount)
  for (let index = 0; index < 40; index += 1)
    await fixture.put(`k${index}`, random.bytes(index % 3 === 0 ? 300_001 : 5_003))
  return fixture
}

/** Bytes of shards on each drive, as rows say. */
async function heldIn({ store }: UpkeepFixture): Promise<Map<number, number>> {
  const held = new Map<number, number>()
  for (const { blob } of await allBlobs(store)) {
    const bytes = Math.ceil(blob.bytes / blob.code.dataCount)
    for (const id of blob.drives) held.set(id, (held.get(id) ?? 0) + bytes)
  }
  return held
}

/** A drive is drained: the balance is as it comes to be. */
async function drainAndCompare(
  t: Test,
  fixture: UpkeepFixture,
  driveId: number,
  options: DrainOptions = {},
): Promise<void> {
  const { coordinator } = fixture.store
  const change = drainDrive(driveId, options)
  const balance = new MoveBalance(change(coordinator.state)!.map)
  for (const { blob } of await allBlobs(fixture.store)) balance.add(blob)
  const before = await heldIn(fixture)
  t.ok(before.get(driveId)! > 0)
  t.equal(balance.netOf(driveId), -before.get(driveId)!, 'it gives all that it has')

  await coordinator.decide(change)
  const healer = new Healer({ ...TIMES, scrubPeriodMs: NEVER_MS }, fixture.healerParts)
  healer.start()
  for (let round = 0; round < 2000 && (await heldIn(fixture)).has(driveId); round += 1)
    await sleep(5)
  await healer.stop()
  const after = await heldIn(fixture)
  for (const { id } of coordinator.state.map.drives) {
    const change = (after.get(id) ?? 0) - (before.get(id) ?? 0)
    t.equal(balance.netOf(id), change, `drive ${id}`)
  }
}

t.test('what moves', async (t) => {
  const fixture = await filled(8)
  await drainAndCompare(t, fixture, 3)
})

t.test('what is made again of a drive that is gone', async (t) => {
  const fixture = await filled(7)
  await fixture.takeOut(4)
  await drainAndCompare(t, fixture, 4)
})

t.test('what is written anew in a code of fewer drives', async (t) => {
  const fixture = await filled(6)
  const { coordinator } = fixture.store
  const map = drainDrive(2, { reEncode: true })(coordinator.state)!.map
  const balance = new MoveBalance(map)
  const before = await heldIn(fixture)
  let after = 0
  for (const { blob } of await allBlobs(fixture.store)) {
    balance.add(blob)
    const { dataCount, parityCount } = blob.code
    const isWide = dataCount + parityCount > 5
    after += Math.ceil(blob.bytes / (isWide ? 3 : dataCount)) * (isWide ? 5 : blob.drives.length)
  }
  const nets = map.drives.map(({ id }) => balance.netOf(id))
  const now = [...before.values()].reduce((sum, bytes) => sum + bytes)
  t.equal(balance.netOf(2), -before.get(2)!)
  t.equal(
    nets.reduce((sum, net) => sum + net),
    after - now,
    '3+2 takes more than 4+2',
  )
})
