// Upkeep by nodes: each works on the partitions that it leads, and goes on with those that come to it.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { NodeUpkeep } from '../../../src/cluster/node-upkeep.ts'
import { UpkeepPartition } from '../../../src/cluster/upkeep-partition.ts'
import { ClosingStack } from '../../../src/kit/closing-stack.ts'
import { DriveUnavailable } from '../../../src/kit/drive-unavailable.ts'
import { nameCode } from '../../../src/kit/erasure-code.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { Registry } from '../../../src/kit/metrics.ts'
import { uidTimeMs } from '../../../src/kit/uid.ts'
import type { Clock } from '../../../src/kit/world.ts'
import type { BlobReference, Command, MetadataPartition } from '../../../src/metadata/contract.ts'
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts'
import { drainDrive } from '../../../src/placement/coordinator-changes.ts'
import { metaPartitionOf } from '../../../src/placement/place.ts'
import type { FindLed } from '../../../src/storage-node/rpc/partition-seams.ts'
import type { HealProgress } from '../../../src/storage-node/upkeep/heal-progress.ts'
import { Seeded } from '../../support/seeded.ts'
import { allBlobs, UpkeepFixture } from '../storage-node/upkeep/upkeep-fixture.ts'

const random = new Seeded(83)
const NEVER_MS = 1e12
const HOUR_MS = 3_600_000

/** A node that leads the partitions in `led`. */
function startNode(t: Test, fixture: UpkeepFixture, led: Set<number>, aheadMs = 0): NodeUpkeep {
  const findLed: FindLed = (id) => (led.has(id) ? fixture.store.partitions[id] : undefined)
  return startLeading(t, fixture, findLed, { aheadMs: () => aheadMs })
}

function startLeading(
  t: Test,
  { store }: UpkeepFixture,
  findLed: FindLed,
  { aheadMs = () => 0, mendDelayMs = 0 }: { aheadMs?: () => number; mendDelayMs?: number } = {},
): NodeUpkeep {
  const { world } = store.parts
  const clock: Clock = {
    now: () => world.clock.now() + aheadMs(),
    monotonicMs: () => world.clock.monotonicMs(),
    sleep: (ms, signal) => world.clock.sleep(Math.min(ms, 20), signal),
  }
  const opened = new ClosingStack()
  t.teardown(() => opened.close())
  const healing = { againMs: 50 }
  const upkeep = new NodeUpkeep()
  upkeep.start(
    { scrubPeriodMs: NEVER_MS, mendDelayMs, garbageGraceMs: 0, healing },
    {
      ...{ world: { ...world, clock }, log: silentLog, registry: new Registry() },
      ...{ coordinator: store.coordinator, node: store.node, findLed },
    },
    opened,
  )
  return upkeep
}

/** Waits until the progress is as wanted; the bound only ends a test that would fail. */
async function until(node: NodeUpkeep, wanted: (now: HealProgress) => boolean): Promise<void> {
  for (let round = 0; round < 4000; round += 1) {
    const now = node.progress()
    if (now && wanted(now)) return
    await sleep(5)
  }
  throw new Error(`it never came to that: ${JSON.stringify(node.progress())}`)
}

t.test('nodes mend what they lead, and what comes to them', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const ids = fixture.store.partitions.map(({ id }) => id)
  for (let number = 0; number < 40; number += 1)
    await fixture.put(`k${number}`, random.bytes(1 + random.below(20_000)))
  const { map } = fixture.store.coordinator.state
  const blobs = await allBlobs(fixture.store)
  const partitionOf = (at: number): number => metaPartitionOf(map, blobs[at]!.blob.partition)
  for (const { blob } of blobs) fixture.lose(blob, 1)
  const half = ids.filter((id) => id % 2 === 0)
  const led = [new Set(half), new Set<number>()]
  const [one, other] = [startNode(t, fixture, led[0]!), startNode(t, fixture, led[1]!)]
  await until(one, ({ complete }) => complete)
  await until(other, ({ complete }) => complete)
  t.equal(other.progress()?.checkedBlobs, 0, 'who leads nothing does nothing')
  const isWhole = (at: number): boolean => !fixture.shardsOf(blobs[at]!.blob).includes(undefined)
  for (const at of blobs.keys()) t.equal(isWhole(at), half.includes(partitionOf(at)), `blob ${at}`)
  for (const id of ids) led[1]!.add(id)
  led[0]!.clear()
  await until(other, ({ complete, mendedShards }) => complete && mendedShards > 0)
  for (const at of blobs.keys()) t.ok(isWhole(at), `blob ${at}`)
  // A spread scrub that is given up counts for nothing, a hurried one that is under way ends first: both come to be.
  const wanted = other.healNow()
  t.ok(other.healNow() >= wanted)
  const last = other.healNow()
  await until(other, ({ ended }) => ended.scrub >= last)
})

t.test('damage that others found is mended by who leads its partition', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', random.bytes(20_000))
  const { blob } = await fixture.reference('k')
  const { map } = fixture.store.coordinator.state
  const id = metaPartitionOf(map, blob.partition)
  const led = new Set([id])
  const node = startNode(t, fixture, led)
  await until(node, ({ complete }) => complete)
  t.match(node.status(), { partitions: [id], complete: true, queued: 0 })
  fixture.rot(blob, 1)
  const report = { kind: 'damage' as const, blobs: [blob] }
  node.take(id + 1, report)
  t.equal(node.status().queued, 0, 'it is of another partition by the map')
  node.take(id, report)
  t.match(node.status(), { complete: false, queued: 1 })
  await until(node, ({ complete, mendedShards }) => complete && mendedShards === 1)
  // A scrub that is under way would find the next damage by itself.
  const scrubs = node.healNow()
  await until(node, ({ ended }) => ended.scrub >= scrubs)
  t.notOk((await fixture.check('k')).some((health) => health !== 'whole'))
  led.clear()
  fixture.rot(blob, 2)
  node.take(id, report)
  await until(node, ({ queued }) => queued === 0)
  t.equal(node.status().mendedShards, 1, 'another one leads it by now')
})

t.test('a shard that was made in one reign is not named in a later one', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { node, partitions, coordinator } = fixture.store
  await fixture.put('k', random.bytes(20_000))
  const { blob } = await fixture.reference('k')
  const id = metaPartitionOf(coordinator.state.map, blob.partition)
  const done: string[] = []
  let reign = 1
  const reignOf = (number: number): MetadataPartition =>
    committingBy(partitions[id]!, () => {
      if (number !== reign) throw new MetadataUnavailable('it is not served here any more')
      done.push(`row in reign ${number}`)
    })
  const reigns = new Map([1, 2].map((number) => [number, reignOf(number)]))
  // Another node leads while the shard is written, and this one again by the time it is there.
  node.beforeWrite = () => {
    done.push(`shard in reign ${reign}`)
    reign = 2
  }
  await fixture.takeOut(blob.drives[1]!)
  const upkeep = startLeading(t, fixture, (asked) => (asked === id ? reigns.get(reign) : undefined))
  await until(upkeep, () => true)
  const scrubs = upkeep.healNow()
  await until(upkeep, () => done.some((what) => what.startsWith('row')))
  // The next one has a period that never ends.
  await until(upkeep, ({ ended }) => ended.scrub >= scrubs)
  t.same(done, ['shard in reign 1', 'shard in reign 2', 'row in reign 2'])
  t.notOk((await fixture.check('k')).some((health) => health !== 'whole'))
})

t.test(
  'what has too many shards for the drives that stay is written anew by who leads it',
  async (t) => {
    const fixture = await UpkeepFixture.open(6)
    const { store } = fixture
    const { coordinator } = store
    const bodies = new Map<string, Buffer>()
    for (let number = 0; number < 12; number += 1)
      bodies.set(`k${number}`, random.bytes(200_000 + random.below(1_500_000)))
    for (const [key, bytes] of bodies) await fixture.put(key, bytes)
    const before = await allBlobs(store)
    t.ok(before.every(({ blob }) => nameCode(blob.code) === '4+2'))
    const ids = store.partitions.map(({ id }) => id)
    const half = new Set(ids.filter((id) => id % 2 === 0))
    const isHalf = ({ blob }: BlobReference): boolean =>
      half.has(metaPartitionOf(coordinator.state.map, blob.partition))
    t.ok(before.some(isHalf) && !before.every(isHalf), 'both have some')
    const node = startNode(t, fixture, half)
    await coordinator.decide(drainDrive(6, { reEncode: true }))
    t.equal(nameCode(coordinator.state.map.code), '3+2')
    const codes = async (): Promise<string[]> =>
      (await allBlobs(store)).filter(isHalf).map(({ blob }) => nameCode(blob.code))
    await until(node, ({ moves }) => moves.anewBlobs === before.filter(isHalf).length)
    t.same(new Set(await codes()), new Set(['3+2']))
    const others = (await allBlobs(store)).filter((reference) => !isHalf(reference))
    t.same(
      new Set(others.map(({ blob }) => nameCode(blob.code))),
      new Set(['4+2']),
      'of others: not',
    )
    for (const id of ids) half.add(id)
    await until(node, ({ moves }) => moves.anewBlobs === before.length)
    const now = await allBlobs(store)
    t.notOk(now.some(({ blob }) => blob.drives.includes(6) || blob.drives.length !== 5))
    for (const [key, bytes] of bodies) t.ok((await fixture.read(key)).equals(bytes), key)
    const isLeft = ({ moves }: HealProgress): boolean =>
      moves.leaving.every(({ blobs, leftBehind }) => blobs === 0 && leftBehind === 0)
    await until(node, isLeft)
  },
)

t.test('a blob is not written anew while not every shard finds a drive', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { store } = fixture
  const bytes = random.bytes(300_000)
  await fixture.put('k', bytes)
  const led = new Set(store.partitions.map(({ id }) => id))
  const node = startNode(t, fixture, led)
  const { beginShard } = store.node
  let refused = 0
  store.node.beginShard = async (driveId, ...more) => {
    if (driveId !== 3 || refused === 3) return await beginShard.call(store.node, driveId, ...more)
    refused += 1
    throw new DriveUnavailable(driveId, 'failed')
  }
  await store.coordinator.decide(drainDrive(6, { reEncode: true }))
  await until(node, ({ moves }) => moves.anewBlobs === 1)
  t.equal(refused, 3, 'it came again until all did')
  const { blob } = await fixture.reference('k')
  t.equal(nameCode(blob.code), '3+2')
  t.notOk((await fixture.check('k')).some((health) => health !== 'whole'))
  t.ok((await fixture.read('k')).equals(bytes))
})

/** A partition that asks before it takes a command. */
function committingBy(
  partition: MetadataPartition,
  ask: (command: Command) => void,
): MetadataPartition {
  return new Proxy(partition, {
    get: (target, name) => {
      const found: unknown = Reflect.get(target, name, target)
      if (typeof found !== 'function') return found
      return (...asked: unknown[]): unknown => {
        if (name === 'commit') ask(asked[0] as Command)
        return found.apply(target, asked)
      }
    },
  })
}

t.test(
  'a drive that is out is awaited as long as is said, whatever the clock is set to',
  async (t) => {
    for (const setMs of [-6 * HOUR_MS, 6 * HOUR_MS]) {
      const fixture = await UpkeepFixture.open(7)
      const { coordinator, partitions, parts } = fixture.store
      await fixture.put('k', random.bytes(20_000))
      const { blob } = await fixture.reference('k')
      const id = metaPartitionOf(coordinator.state.map, blob.partition)
      let aheadMs = 0
      const commandsAheadMs: number[] = []
      const led = committingBy(partitions[id]!, ({ commandId }) =>
        commandsAheadMs.push(uidTimeMs(commandId) - parts.world.clock.now()),
      )
      const findLed: FindLed = (asked) => (asked === id ? led : undefined)
      const node = startLeading(t, fixture, findLed, { aheadMs: () => aheadMs, mendDelayMs: 500 })
      await until(node, ({ complete }) => complete)
      await fixture.takeOut(blob.drives[1]!)
      aheadMs = setMs
      await sleep(100)
      t.equal(node.progress()?.mendedShards, 0, 'it may come back')
      await until(node, ({ mendedShards }) => mendedShards > 0)
      t.ok(commandsAheadMs.length > 0)
      for (const ms of commandsAheadMs)
        t.ok(Math.abs(ms - setMs) < 60_000, 'partitions are told the time of the wall clock')
    }
  },
)

t.test('garbage goes with the node that leads its partition', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { objects, bucket, partitions } = fixture.store
  await fixture.put('k', random.bytes(5_000))
  const { blob } = await fixture.reference('k')
  await objects.delete(bucket, 'k', { conditions: {} })
  const led = new Set<number>()
  startNode(t, fixture, led, 3_600_000)
  await sleep(100)
  t.notOk(fixture.shardsOf(blob).includes(undefined), 'nobody leads it')
  for (const { id } of partitions) led.add(id)
  for (let round = 0; round < 4000 && fixture.shardsOf(blob).some(Boolean); round += 1)
    await sleep(5)
  t.ok(fixture.shardsOf(blob).every((shard) => shard === undefined))
})

t.test('what is not led here is not there to walk, and not missing either', async (t) => {
  const fixture = await UpkeepFixture.open(4)
  await fixture.put('k', random.bytes(500))
  const reference = await fixture.reference('k')
  const { map } = fixture.store.coordinator.state
  const id = metaPartitionOf(map, reference.blob.partition)
  let led: MetadataPartition | undefined
  const partition = new UpkeepPartition(id, () => led)
  t.same(await partition.scanBlobs(undefined, 10), {
    references: [],
    after: undefined,
    more: false,
  })
  t.same(await partition.owedBlobs(10), [])
  const owed = { bucketId: 1, key: 'k', blob: reference.blob }
  t.same(await partition.owedAfter(owed, 10), [])
  t.equal(await partition.countOwed(), 0)
  t.throws(() => partition.ofReign(), { code: 'METADATA_UNAVAILABLE' })
  t.same(await partition.dueGarbage(NEVER_MS, 10), [])
  t.same(await partition.garbageAfter({ dueMs: 0, uid: reference.blob.uid }, 10), [])
  t.equal(await partition.forgetExpired(), 0)
  await t.rejects(partition.findBlob(owed), { code: 'METADATA_UNAVAILABLE' })
  await t.rejects(partition.settle(), { code: 'METADATA_UNAVAILABLE' })
  await t.rejects(partition.countUploads(), { code: 'METADATA_UNAVAILABLE' })
  const { promoted, owed: owedBefore } = partition.tally
  led = fixture.store.partitions[id]
  t.equal((await partition.scanBlobs(undefined, 10)).references.length, 1)
  t.equal(partition.ofReign(), led)
  t.equal(partition.tally.promotedSince(promoted), undefined, 'what it missed nobody knows')
  t.same(partition.tally.promotedSince(partition.tally.promoted), [])
  t.not(partition.tally.owed, owedBefore)
  const now = partition.tally.promoted
  led = undefined
  t.equal(partition.tally.promotedSince(now), undefined)
})
