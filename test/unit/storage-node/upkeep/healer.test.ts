// The worker: reports, owed rows and passes, each to its end; what can not be mended is seen and keeps nobody waiting.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { DriveUnavailable } from '../../../../src/kit/drive-unavailable.ts'
import { silentLog } from '../../../../src/kit/log.ts'
import { Registry } from '../../../../src/kit/metrics.ts'
import { MISSING_SLOT } from '../../../../src/metadata/records.ts'
import { markActive, markOut } from '../../../../src/placement/coordinator-changes.ts'
import { FileScrub } from '../../../../src/storage-node/upkeep/file-scrub.ts'
import {
  type HealProgress,
  listHealMetrics,
} from '../../../../src/storage-node/upkeep/heal-progress.ts'
import { Healer, type HealerOptions } from '../../../../src/storage-node/upkeep/healer.ts'
import type { ScrubPosition } from '../../../../src/storage-node/upkeep/scrub-position.ts'
import { Seeded } from '../../../support/seeded.ts'
import { allBlobs, UpkeepFixture } from './upkeep-fixture.ts'

const random = new Seeded(29)
const NEVER_MS = 1e12
const TIMES = {
  scrubPeriodMs: NEVER_MS,
  outDelayMs: NEVER_MS,
  urgentDelayMs: 0,
  againMs: 50,
  graceMs: 0,
}

function startHealer(
  t: Test,
  { healerParts }: UpkeepFixture,
  options: Partial<HealerOptions> = {},
): Healer {
  const healer = new Healer({ ...TIMES, ...options }, healerParts)
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
  throw new Error(`it never came to that: ${JSON.stringify(healer.progress())}`)
}

async function fill(fixture: UpkeepFixture, count: number): Promise<Map<string, Buffer>> {
  const objects = new Map<string, Buffer>()
  for (let number = 0; number < count; number += 1) {
    const bytes = random.bytes(1 + random.below(number % 4 === 0 ? 900_000 : 5000))
    objects.set(`k${number}`, bytes)
    await fixture.put(`k${number}`, bytes)
  }
  return objects
}

t.test(
  'a check finds all that is missing and says so only when another found nothing',
  async (t) => {
    const fixture = await UpkeepFixture.open(6)
    await fill(fixture, 40)
    let lost = 0
    for (const { blob } of await allBlobs(fixture.store)) {
      if (random.below(2) === 0) continue
      fixture.lose(blob, random.below(3))
      lost += 1
    }
    const healer = startHealer(t, fixture)
    t.notOk(healer.progress().complete, 'nothing is known at first')
    const now = await until(healer, ({ complete }) => complete)
    t.equal(now.mendedShards, lost)
    t.ok(now.ended.check >= 2)
    t.equal(now.lastVerifiedMs, undefined, 'nothing was read whole yet')
    for (const { blob } of await allBlobs(fixture.store))
      t.notOk(fixture.shardsOf(blob).includes(undefined))
  },
)

t.test('a scrub finds what rots, and starts anew after its period', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fill(fixture, 12)
  const healer = startHealer(t, fixture, { scrubPeriodMs: 20 })
  await until(healer, ({ lastVerifiedMs }) => lastVerifiedMs !== undefined)
  const blobs = await allBlobs(fixture.store)
  for (const { blob } of blobs) fixture.rot(blob, random.below(3))
  const before = healer.progress()
  const now = await until(
    healer,
    ({ mendedShards, lastVerifiedMs }) =>
      mendedShards === blobs.length && lastVerifiedMs! > before.lastVerifiedMs!,
  )
  t.equal(now.unrepairableCount, 0)
  t.ok(now.bytesRead > 0 && now.bytesWritten > 0)
})

t.test('a scrub that is asked for does not take its period', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fill(fixture, 12)
  const healer = startHealer(t, fixture)
  await until(healer, ({ passes }) => passes.some(({ kind }) => kind === 'scrub'))
  const blobs = await allBlobs(fixture.store)
  for (const { blob } of blobs) fixture.rot(blob, random.below(3))
  healer.scrubNow()
  const now = await until(healer, ({ ended }) => ended.scrub === 1)
  t.match(now, { mendedShards: blobs.length, complete: true })
  t.ok(now.lastVerifiedMs! > 0, 'all was read or made again and read back')
  healer.scrubNow()
  await until(healer, ({ ended }) => ended.scrub === 2)
})

t.test('what a reader reports is mended without a pass', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', random.bytes(1_000_000))
  const { blob } = await fixture.reference('k')
  const healer = startHealer(t, fixture)
  await until(healer, ({ complete }) => complete)
  fixture.rot(blob, 2, 1)
  healer.report({ blob, kind: 'failed' })
  t.ok(healer.progress().complete, 'a drive that fails is not its concern')
  healer.report({ blob, kind: 'corrupt' })
  healer.report({ blob, kind: 'corrupt' })
  t.match(healer.progress(), { queued: 1, complete: false }, 'once')
  const now = await until(healer, ({ complete }) => complete)
  t.match(now, { queued: 0, mendedShards: 1, ended: { scrub: 0 } })
  t.same(await fixture.heal('k'), { kind: 'whole' })
})

t.test('a report is not forgotten while no shard can say whose it is', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', random.bytes(1_000_000))
  const { blob } = await fixture.reference('k')
  const healer = startHealer(t, fixture)
  await until(healer, ({ complete }) => complete)
  fixture.rot(blob, 2, 1)
  const { failed } = fixture.store.node
  for (const drive of blob.drives) failed.add(drive)
  healer.report({ blob, kind: 'corrupt' })
  await sleep(600)
  t.match(healer.progress(), { queued: 1, complete: false }, 'it is tried again')
  failed.clear()
  await until(healer, ({ mendedShards }) => mendedShards === 1)
  t.same(await fixture.heal('k'), { kind: 'whole' })
})

t.test('what can not be mended is on the list until it can', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const objects = await fill(fixture, 10)
  const { blob } = await fixture.reference('k4')
  const cells = [0, 1, 2, 3].map((slot) => fixture.shardsOf(blob)[slot])
  t.ok(cells[0])
  const drives = fixture.store.node.drives
  const saved = new Map([...drives].map(([id, shards]) => [id, new Map(shards)]))
  for (const slot of [0, 1, 2]) fixture.lose(blob, slot)
  for (const { blob: other } of await allBlobs(fixture.store))
    if (other.uid !== blob.uid) fixture.lose(other, 1)
  const healer = startHealer(t, fixture)
  const now = await until(healer, ({ ended }) => ended.check >= 2)
  t.equal(now.mendedShards, 9, 'the others are mended')
  t.match(now.unrepairable, [{ uid: blob.uid, key: 'k4' }])
  t.match(now, { unrepairableCount: 1, complete: false })

  for (const [id, shards] of saved)
    for (const [name, kept] of shards) drives.get(id)!.set(name, kept)
  await fixture.store.coordinator.decide(markOut(1, 'a test'))
  await fixture.store.coordinator.decide(markActive(1))
  t.match(await until(healer, ({ complete }) => complete), { unrepairable: [] })
  for (const [key, bytes] of objects) t.ok(bytes.equals(await fixture.read(key)))
})

t.test('a drive that goes out is replaced at once when little redundancy is left', async (t) => {
  const fixture = await UpkeepFixture.open(8)
  const objects = await fill(fixture, 30)
  const healer = startHealer(t, fixture)
  await until(healer, ({ complete }) => complete)
  for (const lost of [2, 5]) {
    await fixture.takeOut(lost)
    t.notOk(healer.progress().complete, 'at once nothing is known any more')
    await until(healer, ({ complete }) => complete)
  }
  for (const lost of [1, 8]) await fixture.takeOut(lost)
  for (const [key, bytes] of objects) t.ok(bytes.equals(await fixture.read(key)), key)
  const now = await until(healer, ({ ended }) => ended.check >= 6)
  t.ok(now.waiting > 0, 'of four drives less than six shards are made')
  t.notOk(now.complete)
})

t.test('a write that lacks a shard is never called complete', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  for (const lost of [1, 2, 3, 4]) await fixture.takeOut(lost)
  const healer = startHealer(t, fixture)
  await until(healer, ({ complete }) => complete)
  await fixture.put('k', random.bytes(3000))
  t.ok((await fixture.reference('k')).blob.drives.includes(MISSING_SLOT))
  t.notOk(healer.progress().complete, 'not even until it is counted')
  await until(healer, ({ queued }) => queued === 1)
})

t.test('a drive that is out for a moment comes back to all of its shards', async (t) => {
  const fixture = await UpkeepFixture.open(8)
  const objects = await fill(fixture, 20)
  const healer = startHealer(t, fixture, { urgentDelayMs: NEVER_MS })
  await until(healer, ({ complete }) => complete)
  const { coordinator } = fixture.store
  const { check } = healer.progress().ended
  await coordinator.decide(markOut(3, 'a test'))
  await until(healer, ({ ended }) => ended.check > check)
  t.match(healer.progress(), { complete: false, mendedShards: 0 })
  await coordinator.decide(markActive(3))
  const now = await until(healer, ({ complete }) => complete)
  t.match(now, { mendedShards: 0, moves: { movedShards: 0 } })
  for (const [key, bytes] of objects) t.ok(bytes.equals(await fixture.read(key)), key)
})

t.test('what has nothing left to lose is mended at once, the rest waits', async (t) => {
  const fixture = await UpkeepFixture.open(8)
  const { coordinator, node } = fixture.store
  await fill(fixture, 20)
  const healer = startHealer(t, fixture, { urgentDelayMs: NEVER_MS })
  await until(healer, ({ complete }) => complete)
  const poor = (await allBlobs(fixture.store)).find(({ blob }) => blob.drives.includes(3))!
  const slot = poor.blob.drives.findIndex((id) => id !== 3)
  const others = poor.blob.drives.flatMap((id, at) => (id === 3 || at === slot ? [] : [at]))
  const spare = poor.blob.code.dataCount === 1 ? others.slice(1) : []
  for (const lost of [slot, ...spare]) fixture.lose(poor.blob, lost)
  node.failed.add(3)
  await coordinator.decide(markOut(3, 'a test'))
  await until(healer, ({ mendedShards }) => mendedShards > 0)
  await until(healer, ({ passes }) => !passes.some(({ kind }) => kind === 'check'))
  const { blob } = await fixture.reference(poor.key!)
  t.notOk(blob.drives.includes(3), 'also what was on the drive that is out')
  t.equal(healer.progress().mendedShards, 2 + spare.length, 'nothing else is made again')
})

t.test('with more redundancy it waits whether the drive comes back', async (t) => {
  const fixture = await UpkeepFixture.open(12)
  await fill(fixture, 5)
  const healer = startHealer(t, fixture)
  await until(healer, ({ complete }) => complete)
  const { check } = healer.progress().ended
  await fixture.store.coordinator.decide(markOut(3, 'a test'))
  await sleep(300)
  t.match(healer.progress(), { ended: { check }, mendedShards: 0, complete: false })
  await fixture.store.coordinator.decide(markActive(3))
  t.match(await until(healer, ({ complete }) => complete), { mendedShards: 0 })
})

t.test('a page of a pass that is older than a move does not undo it', async (t) => {
  const fixture = await UpkeepFixture.open(12)
  const { store } = fixture
  const bytes = random.bytes(3000)
  await fixture.put('k', bytes)
  const { blob } = await fixture.reference('k')
  const pages = await Promise.all(store.partitions.map((one) => one.scanBlobs(undefined, 10)))
  for (const driveId of blob.drives) {
    await fixture.takeOut(driveId)
    t.match(await fixture.heal('k'), { kind: 'mended', shards: 1 })
  }
  const moved = await fixture.reference('k')
  const partitions = store.partitions.map((one, at) =>
    Object.assign(Object.create(one) as typeof one, {
      // Twice, as when a row moves while it is looked for: two at once do not mend one blob.
      scanBlobs: async () => ({
        ...pages[at]!,
        references: pages[at]!.references.flatMap((reference) => [reference, reference]),
      }),
      findBlob: (owed: Parameters<typeof one.findBlob>[0]) => one.findBlob(owed),
      owedBlobs: (limit: number) => one.owedBlobs(limit),
      commit: (command: Parameters<typeof one.commit>[0]) => one.commit(command),
    }),
  )
  const healer = new Healer(TIMES, { ...fixture.healerParts, partitions })
  t.teardown(() => healer.stop())
  healer.start()
  const now = await until(healer, ({ ended }) => ended.check >= 2)
  t.match(now, { unrepairableCount: 0, mendedShards: 0 })
  t.same(await fixture.reference('k'), moved, 'the row names the drives that it was moved to')
  t.ok(bytes.equals(await fixture.read('k')))
})

t.test('told to stop in the middle it leaves what it mends as it was', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { node } = fixture.store
  const bytes = random.bytes(5_000_000)
  await fixture.put('k', bytes)
  const { blob } = await fixture.reference('k')
  fixture.rot(blob, 1, 3)
  fixture.lose(blob, 4)
  const healer = startHealer(t, fixture)
  let stopped: Promise<void> | undefined
  node.beforeWrite = (_driveId, cell) => {
    if (cell === 2) stopped ??= healer.stop()
  }
  await until(healer, () => stopped !== undefined)
  await stopped
  t.match(healer.progress(), { mendedShards: 0, queued: 0, unrepairable: [] })
  t.equal(node.openReaders, 0)
  t.equal(node.aborted, 1, 'the draft is thrown away')
  t.equal((await fixture.check('k')).join(), 'whole,corrupt,whole,whole,missing,whole')
  t.ok(bytes.equals(await fixture.read('k')))
})

t.test('metrics say what the progress says', async (t) => {
  const fixture = await UpkeepFixture.open(3)
  await fixture.put('k', random.bytes(10))
  const { blob } = await fixture.reference('k')
  fixture.lose(blob, 2)
  const healer = startHealer(t, fixture)
  await until(healer, ({ complete }) => complete)
  const registry = new Registry()
  listHealMetrics(() => healer.progress(), registry)
  const text = await registry.metrics()
  t.match(text, /^kintsugi_heal_complete 1$/m)
  t.match(text, /^kintsugi_heal_mended_shards_total 1$/m)
  t.match(text, /^kintsugi_heal_written_bytes_total 10$/m)
  t.match(text, /^kintsugi_heal_passes_total\{kind="check"\} \d$/m)
  t.match(await registry.metrics(), /^kintsugi_heal_mended_shards_total 1$/m, 'asked twice')
})

t.test('what is overwritten while it is mended leaves a pass nothing to settle', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { store } = fixture
  await fill(fixture, 8)
  for (const { blob } of await allBlobs(store)) fixture.lose(blob, 0)
  const overwritten = new Set<string>()
  const names = new Map((await allBlobs(store)).map(({ blob, key }) => [blob.uid, key!]))
  const { node } = store
  const beginShard = node.beginShard.bind(node)
  node.beginShard = async (driveId, description) => {
    const key = names.get(description.id.uid)
    if (key !== undefined && !overwritten.has(key)) {
      overwritten.add(key)
      await fixture.put(key, random.bytes(100))
    }
    return beginShard(driveId, description)
  }
  const healer = startHealer(t, fixture, { againMs: NEVER_MS })
  const now = await until(healer, ({ complete }) => complete)
  t.equal(overwritten.size, 8)
  t.equal(now.waiting, 0)
})

/** Keeps positions in memory. */
class Positions {
  saved: ScrubPosition | undefined
  constructor(saved?: ScrubPosition) {
    this.saved = saved
  }

  async load(): Promise<ScrubPosition | undefined> {
    return this.saved
  }

  async save(position: ScrubPosition): Promise<void> {
    this.saved = position
  }
}

t.test('a scrub goes on where another process was', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { store } = fixture
  await fill(fixture, 30)
  const counts = {
    blobs: 7,
    bytes: 7000,
    mendedShards: 0,
    waiting: 0,
    unsettled: 0,
    unrepairable: 0,
  }
  const startedMs = Date.now() - 60_000
  const at = store.partitions.length - 1
  const inLast = (await store.partitions[at]!.scanBlobs(undefined, 100)).references.length
  const positions = new Positions({ savedMs: startedMs + 1, walk: { startedMs, counts, at } })
  const times = { ...TIMES, scrubPeriodMs: 1, againMs: NEVER_MS }
  const healer = new Healer(times, { ...fixture.healerParts, positions })
  healer.start()
  const now = await until(healer, ({ ended }) => ended.scrub === 1)
  await healer.stop()
  t.equal(now.lastVerifiedMs, startedMs)
  t.ok(now.checkedBlobs < 30 + 30, 'it did not begin anew')
  t.ok(now.checkedBlobs >= inLast)
  t.equal(positions.saved?.endedStartedMs, startedMs)
  t.equal(positions.saved?.lastVerifiedMs, startedMs)
})

t.test(
  'where partitions come and go a scrub goes on once they are here, and vouches for nothing',
  async (t) => {
    const fixture = await UpkeepFixture.open(6)
    const { partitions } = fixture.store
    await fill(fixture, 30)
    const startedMs = Date.now() - 60_000
    const at = partitions.length - 1
    const counts = { blobs: 7, bytes: 7000 }
    const trouble = { mendedShards: 0, waiting: 0, unsettled: 0, unrepairable: 0 }
    const walk = { startedMs, counts: { ...counts, ...trouble }, at }
    const positions = new Positions({ savedMs: startedMs + 1, walk, lastVerifiedMs: startedMs - 5 })
    const times = { ...TIMES, scrubPeriodMs: 1, againMs: NEVER_MS }
    const healer = new Healer(times, { ...fixture.healerParts, positions, isMine: () => true })
    t.teardown(() => healer.stop())
    healer.start()
    const before = await until(healer, ({ complete }) => complete)
    t.same(before.ended.scrub, 0, 'no scrub before a partition is here')
    healer.partitionsChanged()
    const now = await until(healer, ({ ended }) => ended.scrub === 1)
    t.equal(now.lastVerifiedMs, undefined, 'others may have led what it passed over')
    t.equal(positions.saved?.endedStartedMs, startedMs, 'it was gone on with')
    await until(healer, ({ lastVerifiedMs }) => lastVerifiedMs !== undefined)
  },
)

t.test(
  'a scrub that had nothing to read does not put that of partitions off that come',
  async (t) => {
    const fixture = await UpkeepFixture.open(6)
    const times = { ...TIMES, againMs: NEVER_MS }
    const healer = new Healer(times, { ...fixture.healerParts, isMine: () => true })
    t.teardown(() => healer.stop())
    healer.start()
    for (const scrubs of [1, 2]) {
      healer.partitionsChanged()
      const now = await until(healer, ({ ended }) => ended.scrub === scrubs)
      t.not(now.lastVerifiedMs, undefined)
    }
  },
)

t.test('a scrub that ended lately is not begun again by a start', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fill(fixture, 3)
  const nowMs = Date.now()
  const positions = new Positions({ savedMs: nowMs, endedStartedMs: nowMs, lastVerifiedMs: nowMs })
  const healer = new Healer({ ...TIMES, againMs: NEVER_MS }, { ...fixture.healerParts, positions })
  healer.start()
  t.teardown(() => healer.stop())
  const now = await until(healer, ({ complete }) => complete)
  t.same([now.ended.scrub, now.passes.length, now.lastVerifiedMs], [0, 0, nowMs])
  healer.scrubNow()
  await until(healer, ({ ended }) => ended.scrub === 1)
})

t.test('files that the last scrub found clean are clean after a restart', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fill(fixture, 3)
  const nowMs = Date.now()
  const look = async () => ({ files: 1, damaged: 0 })
  const completeAfter = async (position: ScrubPosition): Promise<HealProgress> => {
    const files = new FileScrub([{ what: 'files', look }], { log: silentLog })
    const parts = { ...fixture.healerParts, files, positions: new Positions(position) }
    const healer = new Healer({ ...TIMES, againMs: NEVER_MS }, parts)
    healer.start()
    const now = await until(healer, ({ complete, ended }) => complete || ended.check > 0)
    await healer.stop()
    return now
  }
  const ended = { savedMs: nowMs, endedStartedMs: nowMs }
  t.match(await completeAfter({ ...ended, lastVerifiedMs: nowMs }), { complete: true })
  t.match(await completeAfter({ ...ended, lastVerifiedMs: 1 }), { complete: false })
})

t.test('what another process looked at says nothing of what was lost since', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', random.bytes(900_000))
  await fixture.takeOut(1)
  const counts = { blobs: 1, bytes: 1, mendedShards: 0, waiting: 0, unsettled: 0, unrepairable: 0 }
  const startedMs = Date.now() - 60_000
  const at = fixture.store.partitions.length
  const positions = new Positions({ savedMs: startedMs + 1, walk: { startedMs, counts, at } })
  const times = { ...TIMES, againMs: NEVER_MS, scrubPeriodMs: 30_000 }
  const healer = new Healer(times, { ...fixture.healerParts, positions })
  healer.start()
  t.teardown(() => healer.stop())
  const now = await until(healer, ({ ended }) => ended.scrub === 1)
  t.equal(now.ended.check, 1, 'it was looked for what is missing before')
  t.match(now, { complete: false, waiting: 1 })
})

t.test('trouble that another process had is not that of this one', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fill(fixture, 3)
  const counts = { blobs: 1, bytes: 1, mendedShards: 0, waiting: 1, unsettled: 0, unrepairable: 0 }
  const startedMs = Date.now() - 60_000
  const at = fixture.store.partitions.length
  const positions = new Positions({ savedMs: startedMs + 1, walk: { startedMs, counts, at } })
  const times = { ...TIMES, againMs: NEVER_MS, scrubPeriodMs: 30_000 }
  const healer = new Healer(times, { ...fixture.healerParts, positions })
  healer.start()
  t.teardown(() => healer.stop())
  const now = await until(healer, ({ ended }) => ended.scrub === 1)
  t.match(now, { complete: true, waiting: 0, lastVerifiedMs: undefined })
})

t.test('rot that a scrub could not mend is not forgotten by the check after it', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { node } = fixture.store
  await fixture.put('k', random.bytes(1_000_000))
  const { blob } = await fixture.reference('k')
  fixture.rot(blob, 2, 1)
  node.beforeWrite = (driveId) => {
    throw new DriveUnavailable(driveId, 'full')
  }
  const healer = startHealer(t, fixture)
  healer.scrubNow()
  const now = await until(healer, ({ ended }) => ended.scrub === 1 && ended.check >= 2)
  t.match(now, { complete: false, mendedShards: 0 })
  node.beforeWrite = () => {}
  await until(healer, ({ complete }) => complete)
  t.same(await fixture.heal('k'), { kind: 'whole' })
})

t.test('a report is not settled when the row has changed while it was mended', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', random.bytes(100))
  const { blob } = await fixture.reference('k')
  await fixture.takeOut(blob.drives[0]!)
  let healer: Healer | undefined
  const queued: (number | undefined)[] = []
  for (const partition of fixture.store.partitions) {
    const commit = partition.commit.bind(partition)
    Object.assign(partition, {
      commit: async (command: Parameters<typeof commit>[0]) => {
        if (command.kind !== 'move-blob') return await commit(command)
        queued.push(healer?.progress().queued)
        return queued.length === 1 ? { kind: 'elsewhere' } : await commit(command)
      },
    })
  }
  healer = new Healer(TIMES, fixture.healerParts)
  healer.report({ blob, kind: 'missing' })
  healer.start()
  t.teardown(() => healer?.stop())
  await until(healer, ({ ended }) => ended.check >= 1)
  t.same(queued.slice(0, 2), [1, 1])
})
