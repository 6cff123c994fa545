// Drives come and leave: shards follow the table, readers never miss one, old copies go, and a drive is vacated only
// when nothing can name it any more.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Log, silentLog } from '../../../../src/kit/log.ts'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { Clock } from '../../../../src/kit/world.ts'
import type { ClusterMap, DriveState, MapDrive } from '../../../../src/placement/cluster-map.ts'
import type { Coordinator } from '../../../../src/placement/coordinator.ts'
import {
  addDrive,
  drainDrive,
  markActive,
  markOut,
  removeDrive,
  replaceDrive,
  reserveDriveId,
  undrainDrive,
} from '../../../../src/placement/coordinator-changes.ts'
import { type HealParts, healBlob } from '../../../../src/storage-node/upkeep/heal-blob.ts'
import type { HealProgress } from '../../../../src/storage-node/upkeep/heal-progress.ts'
import { Healer } from '../../../../src/storage-node/upkeep/healer.ts'
import { LeftBehind } from '../../../../src/storage-node/upkeep/left-behind.ts'
import { Mover } from '../../../../src/storage-node/upkeep/mover.ts'
import { Seeded } from '../../../support/seeded.ts'
import { HOME, openFixture } from '../../metadata/partition-fixture.ts'
import { allBlobs, UpkeepFixture } from './upkeep-fixture.ts'

const random = new Seeded(31)
const NEVER_MS = 1e12
const TIMES = {
  scrubPeriodMs: NEVER_MS,
  outDelayMs: NEVER_MS,
  urgentDelayMs: 0,
  againMs: 20,
  graceMs: 0,
}

function startHealer(t: Test, { healerParts }: UpkeepFixture, graceMs = 0): Healer {
  const healer = new Healer({ ...TIMES, graceMs }, healerParts)
  healer.start()
  t.teardown(() => healer.stop())
  return healer
}

/** Waits until the progress is as wanted; the bound only ends a test that would fail. */
async function until(
  healer: Healer,
  wanted: (now: HealProgress) => boolean,
): Promise<HealProgress> {
  for (let round = 0; round < 2000; round += 1) {
    const now = healer.progress()
    if (wanted(now)) return now
    await sleep(5)
  }
  throw new Error(`it did not come to that: ${JSON.stringify(healer.progress())}`)
}

async function fill(fixture: UpkeepFixture, count: number): Promise<Map<string, Buffer>> {
  const bodies = new Map<string, Buffer>()
  for (let index = 0; index < count; index += 1) {
    const bytes = random.bytes(index % 3 === 0 ? 300_000 : 5000)
    bodies.set(`k${index}`, bytes)
    await fixture.put(`k${index}`, bytes)
  }
  return bodies
}

async function expectAll(t: Test, fixture: UpkeepFixture, bodies: Map<string, Buffer>) {
  for (const [key, bytes] of bodies) t.ok(bytes.equals(await fixture.read(key)), key)
  t.same(fixture.store.reports, [], 'no reader found anything missing')
}

/** Every blob lies as the table says, and nothing else lies on the drives. */
async function expectPlaced(t: Test, { store }: UpkeepFixture): Promise<void> {
  const { map } = store.coordinator.state
  let shards = 0
  for (const { blob } of await allBlobs(store)) {
    t.same(blob.drives, map.slots[blob.partition]!.slice(0, blob.drives.length))
    shards += blob.drives.length
  }
  t.equal(store.node.shardCount, shards, 'no copy stays behind')
}

function driveOf({ drives }: ClusterMap, id: number) {
  return drives.find((drive) => drive.id === id)
}

function isSettled({ moves }: HealProgress): boolean {
  return moves.phase === 'idle' && moves.remainingShards === 0 && moves.leftBehind === 0
}

async function addOne({ store: { coordinator } }: UpkeepFixture, id: number): Promise<void> {
  await coordinator.decide(reserveDriveId())
  await coordinator.decide(addDrive({ id, uuid: `drive-${id}`, weight: 1, path: `/${id}` }))
}

t.test('a new drive gets its share, and each shard moves once', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const bodies = await fill(fixture, 60)
  const healer = startHealer(t, fixture)
  await until(healer, isSettled)
  t.equal(healer.progress().moves.movedShards, 0, 'nothing moves before')
  const before = await allBlobs(fixture.store)
  await addOne(fixture, 7)
  const { moves, complete } = await until(
    healer,
    (now) => isSettled(now) && now.moves.movedShards > 0,
  )
  const { map } = fixture.store.coordinator.state
  const wanted = before.flatMap(({ blob }) =>
    blob.drives.filter((id, slot) => map.slots[blob.partition]![slot] !== id),
  )
  t.equal(moves.movedShards, wanted.length)
  t.ok(complete)
  await expectPlaced(t, fixture)
  await expectAll(t, fixture, bodies)
})

t.test('nothing moves to a full drive, until it has room', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { node } = fixture.store
  const bodies = await fill(fixture, 20)
  const healer = new Healer({ ...TIMES, againMs: NEVER_MS }, fixture.healerParts)
  healer.start()
  t.teardown(() => healer.stop())
  await until(healer, isSettled)
  node.full.add(7)
  await addOne(fixture, 7)
  const { moves } = await until(healer, ({ moves: { phase, remainingShards } }) => {
    return phase === 'idle' && remainingShards !== 0
  })
  t.equal(moves.movedShards, 0)
  t.equal(node.drives.get(7)?.size ?? 0, 0, 'not one was begun there')
  node.full.delete(7)
  healer.roomChanged()
  await until(healer, (now) => isSettled(now) && now.moves.movedShards > 0)
  await expectPlaced(t, fixture)
  await expectAll(t, fixture, bodies)
})

t.test('a drive is drained, vacated and removed', async (t) => {
  const fixture = await UpkeepFixture.open(7)
  const { coordinator } = fixture.store
  const bodies = await fill(fixture, 40)
  const healer = startHealer(t, fixture)
  await coordinator.decide(drainDrive(3))
  await until(healer, () => driveOf(coordinator.state.map, 3)!.isVacated === true)
  t.notOk((await allBlobs(fixture.store)).some(({ blob }) => blob.drives.includes(3)))
  t.same(healer.progress().moves.leaving, [{ driveId: 3, blobs: 0, leftBehind: 0 }])
  await coordinator.decide(removeDrive(3))
  t.equal(driveOf(coordinator.state.map, 3), undefined)
  await until(healer, isSettled)
  await expectPlaced(t, fixture)
  await expectAll(t, fixture, bodies)
})

t.test('what is left on a drive shrinks with every shard that leaves it', async (t) => {
  const fixture = await UpkeepFixture.open(7)
  const { parts, healerParts, leftBehind } = fixture
  await fill(fixture, 40)
  const mover: Mover = new Mover(20, {
    ...{ ...healerParts, leftBehind },
    passEnded: () => {},
    move: async ({ partition, reference }) => {
      const request = { partition, reference, depth: 'shallow', hasRepairRow: false } as const
      const countMoved: HealParts['countMoved'] = (bytes, way) => mover.countMoved(bytes, way)
      return await healBlob({ ...request, moves: true }, { ...parts, countMoved })
    },
  })
  await fixture.store.coordinator.decide(drainDrive(3))
  mover.mapChanged(fixture.store.coordinator.state.map)
  const seen: { blobs?: number | undefined; leftBehind: number }[] = []
  while (await mover.step()) {
    const [left] = mover.progress().leaving
    t.equal(left!.driveId, 3)
    if (mover.progress().phase === 'moving') seen.push(left!)
  }
  const [first, ...others] = seen
  t.ok(first!.blobs! > 4)
  for (const { blobs, leftBehind: copies } of others) t.equal(blobs! + copies, first!.blobs)
  t.ok(others.some(({ blobs }) => blobs! > 0 && blobs! < first!.blobs!))
  t.equal(mover.progress().leaving[0]!.blobs, 0)
})

t.test('what comes while it is counted is counted next', async (t) => {
  const fixture = await UpkeepFixture.open(7)
  const { parts, healerParts, store } = fixture
  await fill(fixture, 40)
  // Led by others until the first count has come to the last of them.
  let isLed = false
  const partitions = store.partitions.map((partition, at) => {
    const scanBlobs: typeof partition.scanBlobs = async (after, limit) => {
      if (isLed) return await partition.scanBlobs(after, limit)
      if (at === store.partitions.length - 1) {
        isLed = true
        mover.lookAgain()
      }
      return { references: [], after: undefined, more: false }
    }
    return new Proxy(partition, {
      get: (target, name) => {
        if (name === 'scanBlobs') return scanBlobs
        const found: unknown = Reflect.get(target, name, target)
        return typeof found === 'function' ? found.bind(target) : found
      },
    })
  })
  const mover: Mover = new Mover(20, {
    ...{ ...healerParts, partitions, leftBehind: fixture.leftBehind, passEnded: () => {} },
    // As in a cluster: nobody knows here that nothing is under way.
    writes: { underWay: () => ['?' as Uid], has: () => true },
    move: async ({ partition, reference }) => {
      const request = { partition, reference, depth: 'shallow', hasRepairRow: false } as const
      const countMoved: HealParts['countMoved'] = (bytes, way) => mover.countMoved(bytes, way)
      return await healBlob({ ...request, moves: true }, { ...parts, countMoved })
    },
  })
  await store.coordinator.decide(drainDrive(3))
  mover.mapChanged(store.coordinator.state.map)
  const names = async (): Promise<boolean> =>
    (await allBlobs(store)).some(({ blob }) => blob.drives.includes(3))
  t.ok(await names())
  for (let steps = 0; steps < 200 && (await names()); steps += 1) {
    if (!(await mover.step())) await sleep(5)
  }
  t.ok(isLed)
  t.notOk(await names())
})

t.test('a version that becomes the latest behind every count keeps its drive', async (t) => {
  const { partition, store, clock } = await openFixture()
  store.setVersioning('enabled')
  // Drive 6 is out, so nothing can move off drive 9.
  const states = { 6: 'out', 9: 'draining' } as Record<number, DriveState>
  const drives = [...HOME, 9].map((id): MapDrive => {
    return { id, uuid: `${id}`, weight: 1, state: states[id] ?? 'active' }
  })
  const slots = Array.from({ length: 16 }, () => HOME)
  const map = { drives, slots, code: { dataCount: 4, parityCount: 2 } } as unknown as ClusterMap
  const vacated: string[] = []
  const mover = new Mover(20, {
    world: { clock: { now: () => clock.ms } as Clock },
    log: { ...silentLog, info: (_: object, what: string) => vacated.push(what) } as Log,
    node: {},
    coordinator: {
      state: { map, metaPartitions: [] },
      decide: async () => ({ map: { ...map, drives: drives.map(vacate) } }),
    } as unknown as Coordinator,
    partitions: [partition],
    leftBehind: new LeftBehind(0),
    writes: { underWay: () => [], has: () => false },
    move: async () => 'failed',
    passEnded: () => {},
  })
  const onNine = store.blob(1000, [1, 2, 3, 4, 5, 9])
  await store.put('a', 'older', { version: { ...store.version('older'), blob: onNine } })
  // More than a page of them.
  for (let index = 0; index < 300; index += 1) await store.put(`k${index}`, 'other')
  for (let count = 0; count < 3; count += 1) {
    const put = await store.put('a', 'newer')
    clock.ms += 10_000
    await mover.step()
    if (put.kind === 'done') await store.remove('a', put.version.versionId)
    while (mover.progress().phase === 'counting') await mover.step()
    t.equal(mover.progress().leaving.find(({ driveId }) => driveId === 9)!.blobs, 1)
  }
  t.same(
    vacated.filter((what) => what.includes('vacated')),
    [],
  )
})

function vacate(drive: MapDrive): MapDrive {
  return drive.state === 'active' ? drive : { ...drive, isVacated: true }
}

t.test('a drive is not vacated while a write that began before may still name it', async (t) => {
  const fixture = await UpkeepFixture.open(7)
  const { coordinator, parts } = fixture.store
  const uid = parts.writes.begin()
  const healer = startHealer(t, fixture)
  await coordinator.decide(drainDrive(3))
  const later = parts.writes.begin()
  await until(healer, isSettled)
  await sleep(1500)
  t.notOk(driveOf(coordinator.state.map, 3)!.isVacated)
  parts.writes.end(uid)
  await until(healer, () => driveOf(coordinator.state.map, 3)!.isVacated === true)
  t.ok(parts.writes.has(later), 'one that began later knows the new table')
})

t.test('a drive is not vacated while a move that was given up may still name it', async (t) => {
  const fixture = await UpkeepFixture.open(7)
  const { coordinator } = fixture.store
  let settled = (): void => {}
  const lateMove = new Promise<void>((resolve) => {
    settled = resolve
  })
  for (const partition of fixture.store.partitions) partition.settle = () => lateMove
  const healer = startHealer(t, fixture)
  await until(healer, isSettled)
  await coordinator.decide(drainDrive(3))
  await sleep(1500)
  t.notOk(driveOf(coordinator.state.map, 3)!.isVacated)
  settled()
  await until(healer, () => driveOf(coordinator.state.map, 3)!.isVacated === true)
})

t.test('a drive is not vacated while it holds a replica of metadata', async (t) => {
  const fixture = await UpkeepFixture.open(7)
  const { coordinator } = fixture.store
  const replica = { driveId: 3, incarnation: 'i' }
  const other = { driveId: 4, incarnation: 'j' }
  await coordinator.decide((state) => ({
    ...state,
    metaPartitions: [{ epoch: 1, inSync: [replica, other] }],
  }))
  const healer = startHealer(t, fixture)
  await coordinator.decide(drainDrive(3))
  await until(healer, isSettled)
  await sleep(1500)
  t.notOk(driveOf(coordinator.state.map, 3)!.isVacated)
  await coordinator.decide((state) => ({
    ...state,
    metaPartitions: [{ epoch: 2, inSync: [other] }],
  }))
  await until(healer, () => driveOf(coordinator.state.map, 3)!.isVacated === true)
})

t.test('a reader who knows where a blob was still finds it there', async (t) => {
  const fixture = await UpkeepFixture.open(7)
  const { store } = fixture
  const bodies = await fill(fixture, 20)
  const pinned = (await allBlobs(store)).filter(({ blob }) => blob.drives.includes(3))
  const unpin = pinned.map(({ blob }) => store.parts.pins.pin(blob.uid))
  const healer = startHealer(t, fixture)
  await store.coordinator.decide(drainDrive(3))
  await until(
    healer,
    ({ moves }) => moves.remainingShards === 0 && moves.leftBehind === pinned.length,
  )
  await sleep(50)
  t.equal(store.node.drives.get(3)!.size, pinned.length, 'the old copies stay')
  t.notOk(driveOf(store.coordinator.state.map, 3)!.isVacated)
  for (const done of unpin) done()
  await until(healer, () => driveOf(store.coordinator.state.map, 3)!.isVacated === true)
  t.equal(store.node.drives.get(3)!.size, 0)
  await expectAll(t, fixture, bodies)
})

t.test('draining is called off: what moves back is not deleted as an old copy', async (t) => {
  const fixture = await UpkeepFixture.open(7)
  const { coordinator } = fixture.store
  const bodies = await fill(fixture, 30)
  const healer = startHealer(t, fixture, 300)
  await coordinator.decide(drainDrive(3))
  await until(healer, ({ moves }) => moves.movedShards > 5)
  await coordinator.decide(undrainDrive(3))
  await until(healer, isSettled)
  await expectPlaced(t, fixture)
  await expectAll(t, fixture, bodies)
})

t.test('a damaged shard is made again where it should be', async (t) => {
  const fixture = await UpkeepFixture.open(7)
  const { store } = fixture
  const bodies = await fill(fixture, 12)
  for (const { blob } of await allBlobs(store)) {
    const slot = blob.drives.indexOf(3)
    if (slot >= 0) fixture.rot(blob, slot)
  }
  const healer = startHealer(t, fixture)
  await store.coordinator.decide(drainDrive(3))
  await until(healer, () => driveOf(store.coordinator.state.map, 3)!.isVacated === true)
  t.ok(healer.progress().mendedShards > 0)
  for (const [key, bytes] of bodies) t.ok(bytes.equals(await fixture.read(key)), key)
  await until(healer, isSettled)
  await expectPlaced(t, fixture)
})

t.test(
  'a lost drive is replaced: all is made again on the new one, and the old one is vacated',
  async (t) => {
    const fixture = await UpkeepFixture.open(7)
    const { coordinator } = fixture.store
    const bodies = await fill(fixture, 30)
    await fixture.takeOut(2)
    await coordinator.decide(reserveDriveId())
    await coordinator.decide(replaceDrive(2, { id: 8, uuid: 'drive-8', weight: 1, path: '/8' }))
    const healer = startHealer(t, fixture)
    await until(healer, () => driveOf(coordinator.state.map, 2)!.isVacated === true)
    t.match(driveOf(coordinator.state.map, 2), { state: 'out' })
    t.equal(healer.progress().moves.movedShards, 0, 'nothing had to move')
    await expectPlaced(t, fixture)
    for (const [key, bytes] of bodies) t.ok(bytes.equals(await fixture.read(key)), key)
  },
)

t.test('a drive that was out and returns gets back what went to spares', async (t) => {
  const fixture = await UpkeepFixture.open(8)
  const { coordinator, node } = fixture.store
  await fixture.takeOut(2)
  const bodies = await fill(fixture, 30)
  const healer = startHealer(t, fixture)
  await until(healer, () => driveOf(coordinator.state.map, 2)!.isVacated === true)
  node.failed.delete(2)
  await coordinator.decide(markActive(2))
  await until(healer, (now) => isSettled(now) && now.moves.movedShards > 0)
  await expectPlaced(t, fixture)
  await expectAll(t, fixture, bodies)
})

t.test('a drive that gives trouble: its shards wait, and no redundancy is lost', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { coordinator, node } = fixture.store
  const bodies = await fill(fixture, 30)
  const healer = startHealer(t, fixture)
  node.failed.add(7)
  await addOne(fixture, 7)
  await until(healer, ({ moves }) => moves.phase === 'idle' && (moves.remainingShards ?? 0) > 0)
  t.notOk((await allBlobs(fixture.store)).some(({ blob }) => blob.drives.includes(7)))
  node.failed.delete(7)
  await until(healer, isSettled)
  t.ok(healer.progress().moves.movedShards > 0)
  await coordinator.decide(markOut(7, 'a test'))
  for (const [key, bytes] of bodies) t.ok(bytes.equals(await fixture.read(key)), key)
})

t.test('objects come, change and go while shards move', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { store } = fixture
  const bodies = await fill(fixture, 30)
  const healer = startHealer(t, fixture)
  for (const id of [7, 8, 9]) await addOne(fixture, id)
  for (let round = 0; round < 150; round += 1) {
    const key = `k${random.below(40)}`
    if (random.below(3) > 0) {
      const bytes = random.bytes(1 + random.below(200_000))
      await fixture.put(key, bytes)
      bodies.set(key, bytes)
    } else {
      await store.objects.delete(store.bucket, key, { conditions: {} })
      bodies.delete(key)
    }
    for (const one of [...bodies.keys()].slice(0, 2))
      t.ok(bodies.get(one)!.equals(await fixture.read(one)), `${round}: ${one}`)
    await sleep(2)
  }
  await until(healer, isSettled)
  for (const [key, bytes] of bodies) t.ok(bytes.equals(await fixture.read(key)), key)
  const { map } = store.coordinator.state
  for (const { blob } of await allBlobs(store))
    t.same(blob.drives, map.slots[blob.partition]!.slice(0, blob.drives.length))
})
