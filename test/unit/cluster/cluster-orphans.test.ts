// Orphans of a cluster: a node deletes on its own drives what whoever leads the partition says for certain, and nothing else.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type ClusterSweep, startClusterSweep } from '../../../src/cluster/cluster-orphans.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { Registry } from '../../../src/kit/metrics.ts'
import { newUid, type Uid } from '../../../src/kit/uid.ts'
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts'
import { releaseOrphans, replaceReplicas } from '../../../src/placement/coordinator-changes.ts'
import { metaPartitionOf, partitionOfKey } from '../../../src/placement/place.ts'
import type { ShardDescription, ShardId } from '../../../src/storage-node/contract.ts'
import { BlobLatch } from '../../../src/storage-node/upkeep/blob-latch.ts'
import { type JudgedShard, judgeShards } from '../../../src/storage-node/upkeep/judge-shards.ts'
import { PATIENT_WORLD, PartitionNodes } from '../../support/partition-nodes.ts'
import { Seeded } from '../../support/seeded.ts'
import { allBlobs, UpkeepFixture } from '../storage-node/upkeep/upkeep-fixture.ts'

const random = new Seeded(47)
const HOUR_MS = 60 * 60_000
const AGE_MS = 12 * HOUR_MS

interface Swept {
  fixture: UpkeepFixture
  latch: BlobLatch
  nodes: PartitionNodes
  /** Partitions that the node leads itself. */
  led: Set<number>
  /** Called before the leader judges. */
  before: { judging: (shards: readonly JudgedShard[]) => Promise<void> }
  pass(): Promise<ReturnType<ClusterSweep['progress']>>
}

/** A node that has the drives 1 to 4 of 8, and leads every other partition; one called `far` leads the rest. */
async function openSwept(t: Test, youngMs = 0): Promise<Swept> {
  const fixture = await UpkeepFixture.open(8, { blobAgeMsMax: AGE_MS })
  const { coordinator, node, partitions, parts } = fixture.store
  const latch = new BlobLatch()
  const nodes = new PartitionNodes()
  const led = new Set(partitions.flatMap(({ id }) => (id % 2 === 0 ? id : [])))
  const before: Swept['before'] = { judging: async () => {} }
  const judging = { log: silentLog, coordinator, latch }
  const judge = async (id: number, shards: readonly JudgedShard[]) => {
    await before.judging(shards)
    return await judgeShards(partitions[id]!, shards, judging)
  }
  nodes.add(
    'far',
    (id) => (led.has(id) ? undefined : partitions[id]),
    () => undefined,
    { take: () => {}, judge, status: () => ({}) as never, healNow: () => 0 },
  )
  for (const { id } of partitions) nodes.setPrimary(id, 'far')
  const { world } = parts
  const clock = {
    ...PATIENT_WORLD.clock,
    sleep: (ms: number, signal?: AbortSignal) => PATIENT_WORLD.clock.sleep(Math.min(ms, 2), signal),
  }
  const sweep = startClusterSweep(
    { graceMs: 0, blobAgeMsMax: youngMs, periodMs: 0 },
    {
      ...{ world: { ...world, clock }, log: silentLog, registry: new Registry(), coordinator },
      ...{ node, lists: node, primaries: nodes, transport: nodes },
      isMine: (driveId) => driveId <= 4,
      findLed: (id) => (led.has(id) ? partitions[id] : undefined),
      judgeHere: ({ id }, shards) => judge(id, shards),
    },
  )
  t.teardown(() => sweep.stop())
  const pass = async () => {
    // The one under way may have begun before what the test did last.
    const { ended } = sweep.progress()
    while (sweep.progress().ended < ended + 2) await sleep(5)
    return sweep.progress()
  }
  return { fixture, latch, nodes, led, before, pass }
}

/** What a crash leaves of a write, a day old unless a uid says otherwise. */
async function putOrphan(
  { fixture: { store } }: Pick<Swept, 'fixture'>,
  driveId: number,
  { key = 'lost', uid = oldUid() }: { key?: string; uid?: Uid } = {},
): Promise<ShardId> {
  const { map } = store.coordinator.state
  const bucketId = store.bucket.id
  const id = { uid, part: 0, slot: 2 }
  const description: ShardDescription = {
    ...{ id, code: map.code, cellBytes: 131_072, shardBytes: 10, blobBytes: 40, bucketId, key },
    ...{ partition: partitionOfKey(map, bucketId, key), mapEpoch: 1, metadata: Buffer.alloc(0) },
  }
  const writer = await store.node.beginShard(driveId, description)
  await writer.write(random.bytes(10))
  await writer.commit()
  return id
}

function oldUid(): Uid {
  const time = (Date.now() - 24 * HOUR_MS).toString(16).padStart(12, '0')
  return (time + random.bytes(10).toString('hex')) as Uid
}

async function onDrives({ fixture }: Swept): Promise<string[]> {
  const { node } = fixture.store
  const found: string[] = []
  for (const driveId of node.drives.keys())
    for await (const ids of node.listShards(driveId))
      for (const { uid, part, slot } of ids) found.push(`${driveId}/${uid}.${part}.${slot}`)
  return found.sort()
}

async function inRows({ fixture }: Swept): Promise<string[]> {
  const named = (await allBlobs(fixture.store)).flatMap(({ blob: { uid, part, drives } }) =>
    drives.map((driveId, slot) => `${driveId}/${uid}.${part}.${slot}`),
  )
  return named.sort()
}

/** One key of a partition that is led here, and one of another. */
function keysOf({ fixture, led }: Swept): { near: string; far: string } {
  const { coordinator, bucket } = fixture.store
  const { map } = coordinator.state
  const keys = Array.from({ length: 200 }, (_, count) => `k${count}`)
  const isNear = (key: string): boolean =>
    led.has(metaPartitionOf(map, partitionOfKey(map, bucket.id, key)))
  return { near: keys.find(isNear)!, far: keys.find((key) => !isNear(key))! }
}

t.test('what no row names goes from the drives of the node, and nothing else', async (t) => {
  const swept = await openSwept(t)
  const { fixture, pass } = swept
  const { near, far } = keysOf(swept)
  const bytes = random.bytes(700_000)
  for (const key of [near, far]) await fixture.put(key, bytes)
  for (const driveId of [1, 2, 3, 4, 5]) {
    await putOrphan(swept, driveId, { key: near })
    await putOrphan(swept, driveId, { key: far })
  }
  t.match(await pass(), { deleted: 8, deletedBytes: 80 })
  const found = (await onDrives(swept)).length
  t.equal(found, (await inRows(swept)).length + 2, 'those on drives of other nodes are theirs')
  for (const key of [near, far]) t.ok(bytes.equals(await fixture.read(key)))
})

t.test('what may still be committed stays', async (t) => {
  const swept = await openSwept(t)
  const uid = newUid(swept.fixture.store.parts.world)
  await putOrphan(swept, 1, { uid })
  t.match(await swept.pass(), { deleted: 0, left: { undecided: 1 } })
  t.equal((await onDrives(swept)).length, 1)
})

t.test('garbage is the business of its collector', async (t) => {
  const swept = await openSwept(t)
  const { fixture } = swept
  const { objects, bucket, partitions } = fixture.store
  await fixture.put('k', random.bytes(5_000))
  const { blob } = await fixture.reference('k')
  await objects.delete(bucket, 'k', { conditions: {} })
  const before = await onDrives(swept)
  t.match(await swept.pass(), { deleted: 0 })
  t.same(await onDrives(swept), before)
  const id = metaPartitionOf(fixture.store.coordinator.state.map, blob.partition)
  // As if it had become garbage after the pass had looked for garbage, and were old.
  const led = Object.assign(Object.create(partitions[id]!), {
    judgeBlobs: async () => [{ kind: 'unnamed' }],
    dueGarbage: partitions[id]!.dueGarbage.bind(partitions[id]!),
    id,
  })
  const shard = { driveId: blob.drives[0]!, id: { uid: blob.uid, part: 0, slot: 0 }, key: 'k' }
  const asked = [{ ...shard, bucketId: bucket.id, shardBytes: 1 }]
  const parts = {
    ...{ log: silentLog, coordinator: fixture.store.coordinator, latch: new BlobLatch() },
  }
  t.same(await judgeShards(led, asked, parts), ['named'])
})

t.test('what is mended or moved, or written again, stays', async (t) => {
  const swept = await openSwept(t)
  const { fixture, latch, pass, before } = swept
  const { coordinator, node } = fixture.store
  const id = await putOrphan(swept, 1)
  const letGo = latch.tryHold(id.uid)
  t.match(await pass(), { deleted: 0, left: { undecided: 1 } })
  // Who moves it there began long ago: a leader that was deposed, and is slow.
  const { map } = coordinator.state
  const description: ShardDescription = {
    ...{ id, code: map.code, cellBytes: 131_072, shardBytes: 10, blobBytes: 40, partition: 1 },
    ...{ mapEpoch: 1, bucketId: 1, key: 'lost', metadata: Buffer.alloc(0) },
  }
  const moved = async () => {
    const writer = await node.beginShard(1, description, 'move')
    await writer.write(random.bytes(10))
    return writer
  }
  let begun = await moved()
  let committed = 0
  before.judging = async () => {
    await begun.commit()
    committed += 1
    begun = await moved()
  }
  letGo?.()
  t.match(await pass(), { deleted: 0, left: { undecided: 1 } })
  t.ok(committed > 0)
  before.judging = () => node.keepShard(1, id)
  t.match(await pass(), { deleted: 0, left: { undecided: 1 } })
  t.equal((await onDrives(swept)).length, 1)
  before.judging = async () => {}
  t.match(await pass(), { deleted: 1 })
})

t.test('nothing goes while somebody does not answer', async (t) => {
  const swept = await openSwept(t)
  const { nodes, before, pass } = swept
  const { near, far } = keysOf(swept)
  await putOrphan(swept, 1, { key: near })
  before.judging = async () => {
    throw new MetadataUnavailable('deposed')
  }
  t.match(await pass(), { deleted: 0, left: { undecided: 1 } })
  before.judging = async () => {}
  nodes.fault = async () => {
    throw new MetadataUnavailable('the test cut it off')
  }
  await putOrphan(swept, 2, { key: far })
  await sleep(300)
  t.equal((await onDrives(swept)).length, 2)
  nodes.fault = (_sent, deliver) => deliver()
  t.match(await pass(), { deleted: 2 })
})

t.test('a copy that was left behind goes when what the row names is whole', async (t) => {
  const swept = await openSwept(t)
  const { fixture, pass } = swept
  const { drives } = fixture.store.node
  const slot = 1
  let other: number | undefined
  let key = ''
  for (let count = 0; other === undefined; count += 1) {
    key = `k${count}`
    await fixture.put(key, random.bytes(700_000))
    const { blob } = await fixture.reference(key)
    other = [1, 2, 3, 4].find((id) => !blob.drives.includes(id))
  }
  const { blob } = await fixture.reference(key)
  const name = `${blob.uid}.${blob.part}.${slot}`
  const cells = drives.get(blob.drives[slot]!)!.get(name)!
  const copy = cells.map((cell) => Buffer.from(cell))
  drives.set(other, (drives.get(other) ?? new Map()).set(name, copy))
  fixture.rot(blob, slot)
  t.match(await pass(), { deleted: 0, adopted: 0, left: { useless: 1 } })
  t.match(await fixture.heal(key), { kind: 'mended' })
  t.match(await pass(), { deleted: 1, adopted: 0 })
  t.same(await onDrives(swept), await inRows(swept))
  t.same((await fixture.reference(key)).blob, blob)
})

t.test('who has not read what the row names gets no leave to delete', async (t) => {
  const { fixture } = await openSwept(t)
  const { bucket, coordinator, partitions } = fixture.store
  await fixture.put('k', random.bytes(5_000))
  const { blob } = await fixture.reference('k')
  const id = { uid: blob.uid, part: blob.part, slot: 0 }
  const shard = { id, bucketId: bucket.id, key: 'k', shardBytes: 1 }
  const [first, second] = blob.drives as [number, number]
  const parts = { log: silentLog, coordinator, latch: new BlobLatch() }
  const led = partitions[metaPartitionOf(coordinator.state.map, blob.partition)]!
  const judge = (one: JudgedShard) => judgeShards(led, [one], parts)
  t.same(await judge({ ...shard, driveId: first }), ['named'])
  t.same(await judge({ ...shard, driveId: 99 }), ['undecided'])
  t.same(await judge({ ...shard, driveId: 99, insteadOn: second }), ['undecided'])
  t.same(await judge({ ...shard, driveId: 99, insteadOn: first }), ['orphan'])
  const stranger = partitions[(led.id + 1) % partitions.length]!
  const lost = { ...shard, driveId: 1, id: { ...id, uid: oldUid() } }
  t.same(await judge(lost), ['orphan'])
  t.same(await judgeShards(stranger, [lost], parts), ['undecided'], 'its key is not of there')
})

t.test('of many keys of a partition one question is made, and garbage read once', async (t) => {
  const swept = await openSwept(t)
  const { fixture, before, pass } = swept
  const { coordinator, bucket, partitions } = fixture.store
  const { map } = coordinator.state
  const idOf = (key: string): number => metaPartitionOf(map, partitionOfKey(map, bucket.id, key))
  const keys = Array.from({ length: 4000 }, (_, count) => `lost${count}`)
  const ofOne = keys.filter((key) => idOf(key) === idOf(keys[0]!)).slice(0, 40)
  t.equal(ofOne.length, 40)
  let walks = 0
  for (const partition of partitions) {
    const ask = partition.dueGarbage.bind(partition)
    partition.dueGarbage = async (nowMs, limit, after) => {
      if (limit > 256) walks += 1
      return await ask(nowMs, limit, after)
    }
  }
  before.judging = async () => {
    throw new MetadataUnavailable('not before all of them are there')
  }
  for (const [at, key] of ofOne.entries()) await putOrphan(swept, 1 + (at % 4), { key })
  const questions: number[] = []
  before.judging = async (shards) => void questions.push(shards.length)
  t.match(await pass(), { deleted: 40 })
  const asked = questions.reduce((sum, shards) => sum + shards, 0)
  t.equal(asked, 40)
  // One for each drive, and another where a pass had gone through half of one by then.
  t.ok(questions.length <= 8, `${questions.length} questions`)
  t.equal(walks, questions.length)
})

t.test('while orphans are held nothing goes', async (t) => {
  const swept = await openSwept(t)
  const { coordinator } = swept.fixture.store
  await coordinator.decide(replaceReplicas(new Map(), 7))
  await putOrphan(swept, 2)
  t.match(await swept.pass(), { deleted: 0, left: { held: 1 } })
  await coordinator.decide(releaseOrphans())
  t.match(await swept.pass(), { deleted: 1 })
})
