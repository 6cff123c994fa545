// Orphans go, and nothing else does: every reason to leave a shard where it is, and what a random life leaves behind.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import { newUid, type Uid } from '../../../../src/kit/uid.ts'
import type { MetadataPartition } from '../../../../src/metadata/contract.ts'
import { MISSING_SLOT } from '../../../../src/metadata/records.ts'
import {
  markActive,
  markOut,
  releaseOrphans,
  replaceReplicas,
} from '../../../../src/placement/coordinator-changes.ts'
import { partitionOfKey } from '../../../../src/placement/place.ts'
import type { ShardDescription, ShardId } from '../../../../src/storage-node/contract.ts'
import { BlobLatch } from '../../../../src/storage-node/upkeep/blob-latch.ts'
import { collectGarbage } from '../../../../src/storage-node/upkeep/collect-garbage.ts'
import { GarbageAhead } from '../../../../src/storage-node/upkeep/garbage-ahead.ts'
import { localOrphanRule } from '../../../../src/storage-node/upkeep/orphan-rule.ts'
import { OrphanSweep } from '../../../../src/storage-node/upkeep/orphan-sweep.ts'
import { settleOrphans } from '../../../../src/storage-node/upkeep/settle-orphans.ts'
import { Seeded } from '../../../support/seeded.ts'
import { bodyOf } from '../../objects/memory-store.ts'
import { allBlobs, UpkeepFixture } from './upkeep-fixture.ts'

const random = new Seeded(31)
const DAY_MS = 24 * 60 * 60_000
const NEVER_MS = 1e12
const ATTRIBUTES = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }

interface Swept {
  fixture: UpkeepFixture
  latch: BlobLatch
  sweep: OrphanSweep
  /** Waits for a pass that begins now. */
  pass(): Promise<ReturnType<OrphanSweep['progress']>>
  /** Drives on which every copy is to be deleted by the healer. */
  leftOn: Set<number>
}

async function openSwept(
  t: Test,
  given: {
    ageMs?: number
    periodMs?: number
    graceMs?: number
    partitions?: (all: readonly MetadataPartition[]) => readonly MetadataPartition[]
  } = {},
): Promise<Swept> {
  const { ageMs = 0, periodMs = NEVER_MS, graceMs = 0, partitions = (all) => all } = given
  const fixture = await UpkeepFixture.open(8)
  const { store } = fixture
  const { node, coordinator } = store
  const { writes, pins, world } = store.parts
  const latch = new BlobLatch()
  const leftOn = new Set<number>()
  const asked = partitions(store.partitions)
  const rule = localOrphanRule(ageMs, {
    ...{ coordinator, partitions: asked, writes },
    isPinned: (uid) => pins.isPinned(uid),
  })
  const sweep = new OrphanSweep(
    { periodMs, graceMs, tranquility: 0 },
    {
      ...{ world, log: silentLog, lists: node, coordinator, partitions: asked, rule },
      settle: (found, run) =>
        settleOrphans(found, {
          ...{ world, log: silentLog, node, coordinator, rule, latch, ...run },
          isLeftBehind: (driveId) => leftOn.has(driveId),
        }),
    },
  )
  sweep.start()
  t.teardown(() => sweep.stop())
  const pass = async () => {
    const { ended } = sweep.progress()
    sweep.sweepNow()
    while (sweep.progress().ended === ended) await sleep(10)
    return sweep.progress()
  }
  return { fixture, latch, sweep, pass, leftOn }
}

/** What a crash leaves of a write: a shard that no row names. */
async function putOrphan(
  { store }: UpkeepFixture,
  driveId: number,
  more: Partial<ShardId> & { key?: string } = {},
): Promise<ShardId> {
  const { key = 'lost', ...name } = more
  const { map } = store.coordinator.state
  const bucketId = store.bucket.id
  const id = { uid: newUid(store.parts.world), part: 0, slot: 2, ...name }
  const description: ShardDescription = {
    ...{ id, code: map.code, cellBytes: 131_072, shardBytes: 10, blobBytes: 40, bucketId, key },
    ...{ partition: partitionOfKey(map, bucketId, key), mapEpoch: 1, metadata: Buffer.alloc(0) },
  }
  const writer = await store.node.beginShard(driveId, description)
  await writer.write(random.bytes(10))
  await writer.commit()
  return id
}

/** Every shard on every drive. */
async function onDrives({ store: { node } }: UpkeepFixture): Promise<string[]> {
  const found: string[] = []
  for (const driveId of node.drives.keys()) {
    for await (const ids of node.listShards(driveId)) {
      for (const { uid, part, slot } of ids) found.push(`${driveId}/${uid}.${part}.${slot}`)
    }
  }
  return found.sort()
}

async function inRows({ store }: UpkeepFixture): Promise<string[]> {
  const named = (await allBlobs(store)).flatMap(({ blob: { uid, part, drives } }) =>
    drives.flatMap((driveId, slot) =>
      driveId === MISSING_SLOT ? [] : [`${driveId}/${uid}.${part}.${slot}`],
    ),
  )
  return named.sort()
}

t.test('what no row names goes, and nothing else', async (t) => {
  const { fixture, pass } = await openSwept(t)
  const small = random.bytes(5_000)
  const large = random.bytes(700_000)
  await fixture.put('small', small)
  await fixture.put('large', large)
  for (const driveId of [1, 2, 3]) await putOrphan(fixture, driveId)
  await putOrphan(fixture, 4, { key: 'large' })
  await putOrphan(fixture, 4, { key: 'small', part: 3 })
  t.match(await pass(), { deleted: 5, deletedBytes: 50, adopted: 0 })
  t.same(await onDrives(fixture), await inRows(fixture))
  t.ok(small.equals(await fixture.read('small')))
  t.ok(large.equals(await fixture.read('large')))
  t.match(await pass(), { deleted: 5, ended: 2 }, 'and once')
})

t.test('what is young stays', async (t) => {
  const { fixture, pass } = await openSwept(t, { ageMs: DAY_MS })
  const young = await putOrphan(fixture, 1)
  const old = (Date.now() - DAY_MS - 60_000).toString(16).padStart(12, '0')
  await putOrphan(fixture, 2, { uid: `${old}${'1'.repeat(20)}` as Uid })
  const future = (Date.now() + DAY_MS).toString(16).padStart(12, '0')
  const ahead = await putOrphan(fixture, 3, { uid: `${future}${'2'.repeat(20)}` as Uid })
  t.match(await pass(), { deleted: 1 })
  t.same(await onDrives(fixture), [`1/${young.uid}.0.2`, `3/${ahead.uid}.0.2`])
})

t.test('what is being written stays, and is there once it is committed', async (t) => {
  const { fixture, pass } = await openSwept(t)
  const { objects, bucket, node } = fixture.store
  const bytes = random.bytes(700_000)
  let goOn = () => {}
  const stalled = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const { chunks, ...body } = bodyOf(bytes)
  const put = objects.put({
    ...{ bucket, key: 'k', attributes: ATTRIBUTES, conditions: {} },
    body: {
      ...body,
      chunks: (async function* () {
        yield* chunks
        await stalled
      })(),
    },
    signal: new AbortController().signal,
  })
  const stored = fixture.store.parts.writes.begin()
  await putOrphan(fixture, 1, { uid: stored })
  t.match(await pass(), { deleted: 0 })
  t.equal(node.shardCount, 1)
  goOn()
  t.match(await put, { kind: 'done' })
  t.match(await pass(), { deleted: 0 })
  fixture.store.parts.writes.end(stored)
  t.match(await pass(), { deleted: 1 })
  t.ok(bytes.equals(await fixture.read('k')))
})

t.test('what was stored and waits for its commit stays', async (t) => {
  const { fixture, pass } = await openSwept(t)
  const { objects, bucket, node, partitions } = fixture.store
  const bytes = random.bytes(5_000)
  let goOn = () => {}
  const gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  for (const partition of partitions) {
    const commit = partition.commit.bind(partition)
    partition.commit = async (command) => {
      if (command.kind === 'put-object') await gate
      return await commit(command)
    }
  }
  const put = objects.put({
    ...{ bucket, key: 'k', attributes: ATTRIBUTES, conditions: {}, body: bodyOf(bytes) },
    signal: new AbortController().signal,
  })
  while (node.shardCount < 3) await sleep(5)
  t.match(await pass(), { deleted: 0 })
  goOn()
  t.match(await put, { kind: 'done' })
  t.match(await pass(), { deleted: 0 })
  t.ok(bytes.equals(await fixture.read('k')))
})

t.test('where the outcome of a commit is open nothing goes', async (t) => {
  const { fixture, pass } = await openSwept(t)
  const { objects, bucket, logs } = fixture.store
  for (const log of logs) log.fail()
  const put = objects.put({
    ...{ bucket, key: 'k', attributes: ATTRIBUTES, conditions: {}, body: bodyOf(random.bytes(50)) },
    signal: new AbortController().signal,
  })
  await t.rejects(put)
  const before = await onDrives(fixture)
  t.ok(before.length > 0)
  t.match(await pass(), { deleted: 0 })
  t.same(await onDrives(fixture), before)
})

t.test('what is read, and what is worked on, stays', async (t) => {
  const { fixture, latch, pass } = await openSwept(t)
  const read = await putOrphan(fixture, 1)
  const held = await putOrphan(fixture, 2)
  const unpin = fixture.store.parts.pins.pin(read.uid)
  const letGo = latch.tryHold(held.uid)
  t.match(await pass(), { deleted: 0 })
  unpin()
  letGo?.()
  t.match(await pass(), { deleted: 2 })
})

t.test('one partition that can not be asked keeps everything', async (t) => {
  let isBroken = true
  const { fixture, sweep, pass } = await openSwept(t, {
    partitions: ([first, ...rest]) => [
      Object.assign(Object.create(first!) as MetadataPartition, {
        scanBlobs: async (after: Uint8Array | undefined, limit: number) => {
          if (isBroken) throw new Error('the test broke it')
          return await first!.scanBlobs(after, limit)
        },
        dueGarbage: (nowMs: number, limit: number) => first!.dueGarbage(nowMs, limit),
        findInOrder: (...asked: Parameters<MetadataPartition['findInOrder']>) =>
          first!.findInOrder(...asked),
      }),
      ...rest,
    ],
  })
  for (let count = 0; count < 20; count += 1) await putOrphan(fixture, 1, { key: `k${count}` })
  sweep.sweepNow()
  await sleep(600)
  t.match(sweep.progress(), { ended: 0, deleted: 0 })
  isBroken = false
  t.match(await pass(), { deleted: 20 })
})

t.test('what does not say what it is stays', async (t) => {
  const { fixture, pass } = await openSwept(t)
  const { uid, part, slot } = await putOrphan(fixture, 1)
  fixture.store.node.rottenHeaders.add(`${uid}.${part}.${slot}`)
  t.match(await pass(), { deleted: 0, left: { unreadable: 1 } })
  t.equal((await onDrives(fixture)).length, 1)
})

t.test('garbage is left to its collector for its grace', async (t) => {
  const { fixture, pass } = await openSwept(t)
  const { objects, bucket, node } = fixture.store
  await fixture.put('k', random.bytes(5_000))
  await objects.delete(bucket, 'k', { conditions: {} })
  const before = node.shardCount
  t.match(await pass(), { deleted: 0 })
  t.equal(node.shardCount, before)
})

/** An object of which another drive has a copy of slot 1 as well. */
async function openStray(t: Test) {
  const swept = await openSwept(t)
  const { fixture } = swept
  const bytes = random.bytes(700_000)
  await fixture.put('k', bytes)
  const { blob } = await fixture.reference('k')
  const { drives } = fixture.store.node
  const own = blob.drives[1]!
  const other = [1, 2, 3, 4, 5, 6, 7, 8].find((id) => !blob.drives.includes(id))!
  const name = `${blob.uid}.${blob.part}.1`
  const cells = drives
    .get(own)!
    .get(name)!
    .map((cell) => Buffer.from(cell))
  drives.set(other, (drives.get(other) ?? new Map()).set(name, cells))
  return { ...swept, bytes, blob, own, other, name, cells }
}

t.test('what was moved is deleted where it was, when it is whole where it is', async (t) => {
  const { fixture, pass, blob, bytes } = await openStray(t)
  t.match(await pass(), { deleted: 1, adopted: 0 })
  t.same(await onDrives(fixture), await inRows(fixture))
  t.same((await fixture.reference('k')).blob, blob)
  t.ok(bytes.equals(await fixture.read('k')))
})

for (const trouble of ['lost', 'rotten'] as const) {
  t.test(`what was left behind is used again when the row's own is ${trouble}`, async (t) => {
    const { fixture, pass, blob, other, bytes } = await openStray(t)
    if (trouble === 'lost') fixture.lose(blob, 1)
    else fixture.rot(blob, 1)
    t.match(await pass(), { deleted: 0, adopted: 1 })
    t.equal((await fixture.reference('k')).blob.drives[1], other)
    t.same(await fixture.check('k'), Array(6).fill('whole'))
    t.match(await pass(), { deleted: trouble === 'rotten' ? 1 : 0, adopted: 1 })
    t.same(await onDrives(fixture), await inRows(fixture))
    t.ok(bytes.equals(await fixture.read('k')))
  })
}

t.test('what is about to be deleted is not used again', async (t) => {
  const { fixture, pass, leftOn, blob, other } = await openStray(t)
  fixture.lose(blob, 1)
  leftOn.add(other)
  t.match(await pass(), { deleted: 0, adopted: 0, left: { useless: 1 } })
  t.same((await fixture.reference('k')).blob, blob)
})

t.test('what is left behind and no better stays until the row has a whole one', async (t) => {
  const { fixture, pass, blob, cells } = await openStray(t)
  fixture.rot(blob, 1)
  fixture.store.node.rottenCells.add(cells[0]!)
  t.match(await pass(), { deleted: 0, adopted: 0, left: { useless: 1 } })
  t.same((await fixture.reference('k')).blob, blob)
  t.match(await fixture.heal('k'), { kind: 'mended' })
  t.match(await pass(), { deleted: 1 })
  t.same(await onDrives(fixture), await inRows(fixture))
})

t.test('while orphans are held nothing is deleted and no row is changed', async (t) => {
  const { fixture, pass, blob, other } = await openStray(t)
  const { coordinator } = fixture.store
  await putOrphan(fixture, 2)
  await coordinator.decide(replaceReplicas(new Map(), 7))
  const before = await onDrives(fixture)
  t.match(await pass(), { deleted: 0, adopted: 0, left: { held: 2 } })
  t.same(await onDrives(fixture), before)
  fixture.lose(blob, 1)
  t.match(await pass(), { deleted: 0, adopted: 0, left: { held: 2 } })
  t.same((await fixture.reference('k')).blob, blob)
  await coordinator.decide(releaseOrphans())
  t.match(await pass(), { deleted: 1, adopted: 1, left: { held: 0 } })
  t.equal((await fixture.reference('k')).blob.drives[1], other)
})

t.test('what was deleted while its drive was away goes when it is back', async (t) => {
  const { fixture, sweep, latch } = await openSwept(t)
  const { store } = fixture
  const { objects, bucket, node, coordinator, partitions, parts } = store
  await fixture.put('k', random.bytes(700_000))
  await fixture.put('stays', random.bytes(700_000))
  const { blob } = await fixture.reference('k')
  const away = blob.drives[0]!
  node.failed.add(away)
  await coordinator.decide(markOut(away, 'a test'))
  await objects.delete(bucket, 'k', { conditions: {} })
  const collected = await collectGarbage(
    {
      ...{ world: parts.world, log: silentLog, node, coordinator, partitions },
      isPinned: () => false,
      latch,
      ahead: new GarbageAhead(0),
    },
    new AbortController().signal,
  )
  t.equal(collected, 1)
  node.failed.delete(away)
  await coordinator.decide(markActive(away))
  while (sweep.progress().ended === 0) await sleep(10)
  t.match(sweep.progress(), { deleted: 1 }, 'by itself')
  t.same(await onDrives(fixture), await inRows(fixture))
})

t.test('under a load of every kind, swept all the time, nothing that is named goes', async (t) => {
  const { fixture, sweep, latch, pass } = await openSwept(t, { periodMs: 0 })
  const { objects, bucket, node, coordinator, partitions, parts } = fixture.store
  const seeded = new Seeded(5)
  const { signal } = new AbortController()
  const known = new Map<string, Buffer>()
  const collector = {
    ...{ world: parts.world, log: silentLog, node, coordinator, partitions },
    isPinned: (uid: Uid) => parts.pins.isPinned(uid),
    latch,
    ahead: new GarbageAhead(0),
  }
  const work = async (worker: number): Promise<void> => {
    for (let count = 0; count < 40; count += 1) {
      const key = `w${worker}/k${seeded.below(3)}`
      const bytes = seeded.bytes(1 + seeded.below(200_000))
      const dice = seeded.below(10)
      if (dice < 5) {
        await fixture.put(key, bytes)
        known.set(key, bytes)
      } else if (dice < 7) {
        await objects.delete(bucket, key, { conditions: {} })
        known.delete(key)
      } else if (dice < 8) {
        const upload = await objects.createUpload(bucket, key, ATTRIBUTES)
        const put = { bucket, key, upload, number: 1, body: bodyOf(bytes), signal }
        const part = await objects.putPart({ ...put })
        if (part.kind !== 'done') throw new Error(part.kind)
        const { uploadId } = upload
        if (dice % 2) await objects.abortUpload(bucket, key, uploadId)
        const { etag } = part.part
        const complete = { bucket, key, uploadId, parts: [{ number: 1, etag }] }
        const done = await objects.completeUpload({ ...complete, conditions: {}, claimed: {} })
        if (done.kind === 'done') known.set(key, bytes)
      } else if (dice < 9) {
        await putOrphan(fixture, 1 + seeded.below(8), { key })
      } else await collectGarbage(collector, signal)
    }
  }
  // A machine may be so quick, or so slow, that one round of work ends before a sweep does.
  do await Promise.all([0, 1, 2, 3].map(work))
  while (sweep.progress().ended === 0)
  for (const [key, bytes] of known) t.ok(bytes.equals(await fixture.read(key)), key)
  await collectGarbage(collector, signal)
  await pass()
  await pass()
  t.same(await onDrives(fixture), await inRows(fixture))
  for (const [key, bytes] of known) t.ok(bytes.equals(await fixture.read(key)), key)
})
