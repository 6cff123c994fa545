// Drives leave until too few stay for the code: every blob that has more shards than there are drives is written anew,
// and whatever comes between, its bytes are there.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { nameCode } from '../../../../src/kit/erasure-code.ts'
import { MetadataUnavailable } from '../../../../src/metadata/unavailable.ts'
import type { CustomerKey, EncryptionRequest } from '../../../../src/objects/object-store.ts'
import { type AnewParts, writeAnew } from '../../../../src/objects/write-anew.ts'
import {
  addDrive,
  drainDrive,
  markOut,
  removeDrive,
  reserveDriveId,
} from '../../../../src/placement/coordinator-changes.ts'
import type { Rewriter } from '../../../../src/storage-node/contract.ts'
import { collectGarbage } from '../../../../src/storage-node/upkeep/collect-garbage.ts'
import { GarbageAhead } from '../../../../src/storage-node/upkeep/garbage-ahead.ts'
import type { HealProgress } from '../../../../src/storage-node/upkeep/heal-progress.ts'
import { Healer } from '../../../../src/storage-node/upkeep/healer.ts'
import { Seeded } from '../../../support/seeded.ts'
import { bodyOf, collect } from '../../objects/memory-store.ts'
import { allBlobs, UpkeepFixture } from './upkeep-fixture.ts'

const random = new Seeded(47)
const NEVER_MS = 1e12
const TIMES = {
  ...{ scrubPeriodMs: NEVER_MS, outDelayMs: NEVER_MS, urgentDelayMs: 0 },
  againMs: 20,
}
const { signal } = new AbortController()
const CUSTOMER_KEY: CustomerKey = { key: Buffer.alloc(32, 9), keyMd5: 'md5' }
const BY_CUSTOMER: EncryptionRequest = { kind: 'SSE-C', customerKey: CUSTOMER_KEY }
const REENCODE = { reEncode: true }
const MIB = 1024 * 1024

function anewParts({ store }: UpkeepFixture): AnewParts {
  return { ...store.parts, pace: async () => {} }
}

function startHealer(t: Test, fixture: UpkeepFixture, rewriter?: Rewriter, graceMs = 0): Healer {
  const healer = new Healer({ ...TIMES, graceMs }, fixture.healerParts)
  const parts = anewParts(fixture)
  healer.writeAnewWith(
    rewriter ?? {
      writeAnew: (request, pace, stop) => writeAnew(request, { ...parts, pace }, stop),
    },
  )
  healer.start()
  t.teardown(() => healer.stop())
  return healer
}

/** Waits until it is as wanted; the bound only ends a test that would fail. */
async function until(healer: Healer, wanted: (now: HealProgress) => boolean): Promise<void> {
  for (let round = 0; round < 4000; round += 1) {
    if (wanted(healer.progress())) return
    await sleep(5)
  }
  throw new Error(`it did not come to that: ${JSON.stringify(healer.progress())}`)
}

function untilVacated(healer: Healer, { store }: UpkeepFixture, driveId: number): Promise<void> {
  const isVacated = () =>
    store.coordinator.state.map.drives.find(({ id }) => id === driveId)?.isVacated === true
  return until(healer, isVacated)
}

/** Objects of every kind that rows tell apart, and how each is read. */
class Bodies {
  readonly #fixture: UpkeepFixture
  readonly #bytes = new Map<string, Buffer>()

  constructor(fixture: UpkeepFixture) {
    this.#fixture = fixture
  }

  async put(key: string, bytes: number, more: object = {}): Promise<void> {
    const { objects, bucket } = this.#fixture.store
    const body = random.bytes(bytes)
    const attributes = { headers: {}, userMetadata: { a: 'b' }, storageClass: 'STANDARD', ...more }
    const asked = { bucket, key, attributes, conditions: {}, ...more }
    const { kind } = await objects.put({ ...asked, body: bodyOf(body), signal })
    if (kind !== 'done') throw new Error(kind)
    this.#bytes.set(key, body)
  }

  async upload(key: string, sizes: readonly number[], encryption?: EncryptionRequest) {
    const { objects, bucket } = this.#fixture.store
    const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
    const upload = await objects.createUpload(bucket, key, attributes, encryption)
    const customerKey = encryption?.kind === 'SSE-C' ? { customerKey: CUSTOMER_KEY } : {}
    const bodies = sizes.map((bytes) => random.bytes(bytes))
    const parts: { number: number; etag: string }[] = []
    for (const [index, bytes] of bodies.entries()) {
      const put = { bucket, key, upload, number: index + 1, body: bodyOf(bytes), signal }
      const outcome = await objects.putPart({ ...put, ...customerKey })
      if (outcome.kind !== 'done') throw new Error(outcome.kind)
      parts.push({ number: index + 1, etag: outcome.part.etag })
    }
    const { uploadId } = upload
    return async () => {
      const complete = { bucket, key, uploadId, parts, conditions: {}, claimed: {} }
      const { kind } = await objects.completeUpload(complete)
      if (kind !== 'done') throw new Error(kind)
      this.#bytes.set(key, Buffer.concat(bodies))
    }
  }

  async fill(): Promise<void> {
    await this.put('tiny', 900)
    await this.put('striped', 700_000)
    await this.put('odd', 131_073 * 3)
    await this.put('reduced', 300_000, { attributes: reducedAttributes() })
    await this.put('sealed', 400_000, { encryption: { kind: 'SSE-S3' } })
    await this.put('by-customer', 500_000, { encryption: BY_CUSTOMER })
    for (let number = 0; number < 12; number += 1) await this.put(`k${number}`, 150_000 + number)
    await (await this.upload('parts', [5 * MIB, 200_000]))()
    await (await this.upload('sealed-parts', [5 * MIB, 300_000], BY_CUSTOMER))()
  }

  async expectAll(t: Test): Promise<void> {
    const { objects, bucket } = this.#fixture.store
    for (const [key, bytes] of this.#bytes) {
      const found = await objects.find(bucket, key)
      if (found.kind !== 'found') throw new Error(`${key}: ${found.kind}`)
      const range = { first: 0, last: found.object.version.bytes - 1 }
      const isSealed = key === 'by-customer' || key === 'sealed-parts'
      const read = found.object.read(range, { signal }, isSealed ? CUSTOMER_KEY : undefined)
      t.ok(bytes.equals(await collect(read)), key)
    }
  }

  async etags(): Promise<string[]> {
    const { objects, bucket } = this.#fixture.store
    const found = await Promise.all([...this.#bytes.keys()].map((key) => objects.find(bucket, key)))
    return found.map((one) => {
      if (one.kind !== 'found') throw new Error(one.kind)
      const { blob: _, ...version } = one.object.version
      return JSON.stringify(version)
    })
  }
}

function reducedAttributes() {
  return { headers: {}, userMetadata: {}, storageClass: 'REDUCED_REDUNDANCY' }
}

/** Every blob fits on the drives that stay, and once garbage is gone nothing else lies on them. */
async function expectFitting(t: Test, fixture: UpkeepFixture): Promise<void> {
  const { store, latch } = fixture
  const isPinned = (): boolean => false
  const parts = {
    ...store.parts,
    partitions: store.partitions,
    isPinned,
    latch,
    ahead: new GarbageAhead(0),
  }
  await collectGarbage(parts, signal)
  const { map } = store.coordinator.state
  const staying = new Set(map.drives.filter(({ isLeaving }) => !isLeaving).map(({ id }) => id))
  let shards = 0
  for (const { blob } of await allBlobs(store)) {
    const { dataCount, parityCount } = blob.code
    t.equal(blob.drives.length, dataCount + parityCount)
    if (!blob.drives.every((id) => staying.has(id))) t.fail(`${blob.uid} is on ${blob.drives}`)
    shards += blob.drives.length
  }
  t.equal(store.node.shardCount, shards, 'nothing stays behind')
}

t.test('from six drives to three, one by one', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { coordinator, parts } = fixture.store
  const bodies = new Bodies(fixture)
  await bodies.fill()
  const complete = await bodies.upload('later', [5 * MIB, 100_000], { kind: 'SSE-S3' })
  const etags = await bodies.etags()
  const healer = startHealer(t, fixture)
  for (const [driveId, code] of [
    [6, '3+2'],
    [2, '2+2'],
    [3, '1+2'],
  ] as const) {
    await coordinator.decide(drainDrive(driveId, REENCODE))
    await untilVacated(healer, fixture, driveId)
    const { blob } = await fixture.reference('striped')
    t.equal(nameCode(blob.code), code)
    await bodies.expectAll(t)
    await expectFitting(t, fixture)
    await coordinator.decide(removeDrive(driveId))
  }
  t.same(await bodies.etags(), etags, 'clients see what they saw')
  t.equal(nameCode((await fixture.reference('reduced')).blob.code), '2+1')
  t.equal(nameCode((await fixture.reference('tiny')).blob.code), '1+2')
  t.ok(healer.progress().moves.anewBlobs > 40)
  t.equal(healer.progress().moves.remainingAnew, 0)
  await complete()
  await bodies.put('new', 300_000)
  await bodies.expectAll(t)
  t.same(parts.writes.underWay(), [])
  t.equal(fixture.store.node.openReaders, 0)
})

t.test('a dead drive: bytes are made from what is left', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const bodies = new Bodies(fixture)
  await bodies.fill()
  await fixture.takeOut(4)
  const healer = startHealer(t, fixture)
  await fixture.store.coordinator.decide(drainDrive(4, REENCODE))
  await untilVacated(healer, fixture, 4)
  await until(healer, ({ complete }) => complete)
  t.equal(healer.progress().waiting, 0)
  await fixture.store.coordinator.decide(removeDrive(4))
  await bodies.expectAll(t)
  await expectFitting(t, fixture)
})

t.test('what is overwritten or deleted meanwhile stays so, and leaves nothing', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { coordinator, node, objects, bucket } = fixture.store
  const bodies = new Bodies(fixture)
  for (const key of ['a', 'b', 'c']) await bodies.put(key, 400_000)
  const before = await allBlobs(fixture.store)
  const parts = anewParts(fixture)
  await coordinator.decide(drainDrive(6, REENCODE))
  const meanwhile: Record<string, () => Promise<unknown>> = {
    a: () => bodies.put('a', 300_000),
    b: () => objects.delete(bucket, 'b', { conditions: {} }),
  }
  for (const reference of before) {
    const { code } = coordinator.state.map
    const partition = partitionOf(fixture, reference.key!)
    let isFirst = true
    const pace = async () => {
      if (isFirst) await meanwhile[reference.key!]?.()
      isFirst = false
    }
    const request = { partition, reference, code }
    const { kind } = await writeAnew(request, { ...parts, pace }, signal)
    t.equal(kind, reference.key === 'c' ? 'replaced' : 'gone', reference.key!)
  }
  t.equal(node.aborted, 0)
  t.notOk((await allBlobs(fixture.store)).some(({ key }) => key === 'b'))
  await objects.put({
    ...{ bucket, key: 'b', conditions: {}, body: bodyOf(Buffer.from('b')), signal },
    attributes: reducedAttributes(),
  })
  await bodies.put('b', 10)
  await bodies.expectAll(t)
  await expectFitting(t, fixture)
})

t.test('nothing is named that is not read back as it was written', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { coordinator, node } = fixture.store
  const bodies = new Bodies(fixture)
  await bodies.put('k', 900_000)
  const reference = await fixture.reference('k')
  await coordinator.decide(drainDrive(6, REENCODE))
  const { code } = coordinator.state.map
  const shards = node.shardCount
  // A byte of data, a byte of parity, a cell that does not verify.
  const harms: ((cells: Buffer[], name: string) => unknown)[] = [
    (cells) => cells[1]!.writeUInt8(cells[1]![7]! ^ 1, 7),
    (cells, name) => name.endsWith('.4') && cells[0]!.writeUInt8(cells[0]![0]! ^ 128, 0),
    (cells) => node.rottenCells.add(cells[0]!),
  ]
  for (const harm of harms) {
    const before = new Set([...node.drives.values()].flatMap((drive) => [...drive.keys()]))
    const pace = async () => {
      for (const drive of node.drives.values())
        for (const [name, cells] of drive) if (!before.has(name)) harm(cells, name)
    }
    const request = { partition: partitionOf(fixture, 'k'), reference, code }
    const parts = { ...anewParts(fixture), pace: once(pace, node, before) }
    t.same(await writeAnew(request, parts, signal), { kind: 'waiting' })
    t.equal(node.shardCount, shards, 'what was written is gone')
    t.same((await fixture.reference('k')).blob, reference.blob)
  }
  await bodies.expectAll(t)
  t.same(fixture.store.parts.writes.underWay(), [])
})

/** Drive 6 is to leave, and waits for room on drive 1; `goOn` makes it and waits until drive 6 is vacated. */
async function drainWithoutRoom(t: Test): Promise<{
  fixture: UpkeepFixture
  bodies: Bodies
  goOn(): Promise<void>
}> {
  const fixture = await UpkeepFixture.open(6)
  const { coordinator, node } = fixture.store
  const bodies = new Bodies(fixture)
  await bodies.fill()
  node.full.add(1)
  const healer = startHealer(t, fixture)
  await coordinator.decide(drainDrive(6, REENCODE))
  await until(healer, ({ moves }) => moves.remainingAnew! > 0 && moves.phase === 'idle')
  const goOn = async (): Promise<void> => {
    node.full.delete(1)
    healer.roomChanged()
    await untilVacated(healer, fixture, 6)
  }
  return { fixture, bodies, goOn }
}

t.test('without room it waits, and goes on when there is some', async (t) => {
  const { fixture, bodies, goOn } = await drainWithoutRoom(t)
  t.equal(nameCode((await fixture.reference('striped')).blob.code), '4+2')
  await bodies.expectAll(t)
  await goOn()
  await bodies.expectAll(t)
  await expectFitting(t, fixture)
})

t.test('a drive comes instead: what is not written anew yet moves there', async (t) => {
  const { fixture, bodies, goOn } = await drainWithoutRoom(t)
  const { coordinator } = fixture.store
  await coordinator.decide(reserveDriveId())
  await coordinator.decide(addDrive({ id: 7, uuid: 'drive-7', weight: 1, path: '/7' }))
  await goOn()
  t.equal(nameCode((await fixture.reference('striped')).blob.code), '4+2')
  await bodies.expectAll(t)
})

t.test('a blob that can not be read keeps the drive, and people are told which', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { coordinator } = fixture.store
  const bodies = new Bodies(fixture)
  for (const key of ['k1', 'k2']) await bodies.put(key, 300_000)
  await fixture.put('rotten', random.bytes(300_000))
  await fixture.put('lost', random.bytes(300_000))
  const rotten = (await fixture.reference('rotten')).blob
  for (const slot of [0, 1, 2]) fixture.rot(rotten, slot)
  const lost = (await fixture.reference('lost')).blob
  for (const slot of [3, 4, 5]) fixture.lose(lost, slot)
  const healer = startHealer(t, fixture)
  await coordinator.decide(drainDrive(6, REENCODE))
  await until(healer, ({ moves, unrepairable }) => {
    const keys = unrepairable.map(({ key }) => key)
    return moves.anewBlobs === 2 && keys.includes('lost') && keys.includes('rotten')
  })
  t.notOk(coordinator.state.map.drives.find(({ id }) => id === 6)!.isVacated)
  await bodies.expectAll(t)
})

t.test('while somebody reads it there, the drive stays', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { coordinator, node, parts } = fixture.store
  const bodies = new Bodies(fixture)
  await bodies.put('k', 400_000)
  const { blob } = await fixture.reference('k')
  const unpin = parts.pins.pin(blob.uid)
  const healer = startHealer(t, fixture)
  await coordinator.decide(drainDrive(6, REENCODE))
  await until(healer, ({ moves }) => moves.anewBlobs === 1 && moves.remainingAnew === 0)
  await sleep(50)
  t.equal(node.drives.get(6)!.size, 1)
  t.notOk(coordinator.state.map.drives.find(({ id }) => id === 6)!.isVacated)
  unpin()
  await untilVacated(healer, fixture, 6)
  t.equal(node.drives.get(6)!.size, 0)
  await expectFitting(t, fixture)
})

t.test('where nobody knows whether it was done, nothing of it is deleted', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { coordinator, node, parts } = fixture.store
  const bodies = new Bodies(fixture)
  await bodies.put('k', 400_000)
  const reference = await fixture.reference('k')
  const partition = partitionOf(fixture, 'k')
  const commit = partition.commit.bind(partition)
  const late = Object.create(partition)
  late.commit = async (command: Parameters<typeof commit>[0]) => {
    await commit(command)
    throw new MetadataUnavailable('the answer was lost')
  }
  await coordinator.decide(drainDrive(6, REENCODE))
  const { code } = coordinator.state.map
  const request = { partition: late, reference, code }
  await t.rejects(writeAnew(request, anewParts(fixture), signal), MetadataUnavailable)
  const { blob } = await fixture.reference('k')
  t.equal(blob.origin, reference.blob.uid)
  t.same(parts.writes.underWay(), [blob.uid], 'no orphan as long as this process lives')
  await bodies.expectAll(t)
  t.equal(node.shardCount, 11)
})

t.test('it goes on beside clients', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  const { coordinator } = fixture.store
  const bodies = new Bodies(fixture)
  await bodies.fill()
  const healer = startHealer(t, fixture)
  await coordinator.decide(drainDrive(6, REENCODE))
  for (let round = 0; round < 60; round += 1) {
    await bodies.put(`k${random.below(20)}`, 140_000 + random.below(100_000))
    if (round % 10 === 0) await bodies.expectAll(t)
  }
  await coordinator.decide(markOut(5, 'a test'))
  await coordinator.decide(drainDrive(5, REENCODE))
  await untilVacated(healer, fixture, 6)
  await untilVacated(healer, fixture, 5)
  await bodies.expectAll(t)
  t.same(fixture.store.parts.writes.underWay(), [])
})

function partitionOf({ store }: UpkeepFixture, key: string) {
  const { metadata } = store.parts.router.route(store.bucket.id, key)
  return store.partitions.find(({ id }) => id === metadata.id)!
}

/** Calls once, as soon as shards are there that were not before. */
function once(
  work: () => Promise<void>,
  node: UpkeepFixture['store']['node'],
  before: ReadonlySet<string>,
): () => Promise<void> {
  let isDone = false
  return async () => {
    const isNew = [...node.drives.values()].some((drive) =>
      [...drive.keys()].some((name) => !before.has(name)),
    )
    if (!isNew || isDone) return
    isDone = true
    await work()
  }
}
