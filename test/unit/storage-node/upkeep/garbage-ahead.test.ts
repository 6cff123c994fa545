// Garbage that seems to be due too late because the wall clock was set: it goes after its time by the monotonic clock, never
// before, and what is remembered of it is bounded.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import type { Uid } from '../../../../src/kit/uid.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import type { Garbage } from '../../../../src/metadata/contract.ts'
import { MetadataUnavailable } from '../../../../src/metadata/unavailable.ts'
import type { Coordinator } from '../../../../src/placement/coordinator.ts'
import { BlobLatch } from '../../../../src/storage-node/upkeep/blob-latch.ts'
import { collectGarbage } from '../../../../src/storage-node/upkeep/collect-garbage.ts'
import { GarbageAhead } from '../../../../src/storage-node/upkeep/garbage-ahead.ts'
import { type Fixture, openFixture } from '../../metadata/partition-fixture.ts'
import { MemoryNode } from '../../objects/memory-store.ts'

const DAY_MS = 24 * 60 * 60_000
const GRACE_MS = 60_000
const FOREVER = Number.MAX_SAFE_INTEGER - 1

/** A partition and what collects its garbage, by clocks that a test moves. */
class Collected {
  readonly fixture: Fixture
  readonly pinned = new Set<Uid>()
  monotonicMs = 0
  readonly #ahead: GarbageAhead

  private constructor(fixture: Fixture, ahead: GarbageAhead) {
    this.fixture = fixture
    this.#ahead = ahead
  }

  static async open(ahead = new GarbageAhead(GRACE_MS)): Promise<Collected> {
    const garbage = { graceMs: GRACE_MS, bytesPerSecond: Number.POSITIVE_INFINITY }
    return new Collected(await openFixture({ garbage }), ahead)
  }

  /** The wall clock is set. */
  setClock(byMs: number): void {
    this.fixture.clock.ms += byMs
  }

  /** Time goes on, on both clocks. */
  wait(ms: number): void {
    this.fixture.clock.ms += ms
    this.monotonicMs += ms
  }

  /** Puts and deletes that many objects. */
  async deleteSome(count: number): Promise<void> {
    const { store } = this.fixture
    for (let made = 0; made < count; made += 1) {
      await store.put('k', 'etag')
      await store.delete('k')
    }
  }

  async collect(): Promise<number> {
    const { clock, partition } = this.fixture
    const world = realWorld()
    const clocks = { ...world.clock, now: () => clock.ms, monotonicMs: () => this.monotonicMs }
    return await collectGarbage(
      {
        ...{ world: { ...world, clock: clocks }, log: silentLog, node: new MemoryNode() },
        ...{ coordinator: {} as Coordinator, partitions: [partition], latch: new BlobLatch() },
        isPinned: (uid) => this.pinned.has(uid),
        ahead: this.#ahead,
      },
      new AbortController().signal,
    )
  }

  left(): Promise<Garbage[]> {
    return this.fixture.partition.dueGarbage(FOREVER, 10_000)
  }
}

t.test('what was deleted while the clock was ahead goes once its time is over', async (t) => {
  const collected = await Collected.open()
  collected.setClock(30 * DAY_MS)
  await collected.deleteSome(3)
  t.equal(await collected.collect(), 0)
  collected.setClock(-30 * DAY_MS)
  collected.pinned.add((await collected.left())[1]!.blob.uid)
  t.equal(await collected.collect(), 0, 'seen')
  collected.wait(GRACE_MS - 1)
  t.equal(await collected.collect(), 0)
  collected.wait(1)
  t.equal(await collected.collect(), 2, 'all but what somebody reads')
  t.equal((await collected.left()).length, 1)
  collected.pinned.clear()
  await collected.collect()
  collected.wait(GRACE_MS)
  t.equal(await collected.collect(), 1, 'the reader is done')
})

t.test('a clock that is behind takes nothing before its time', async (t) => {
  const collected = await Collected.open()
  await collected.deleteSome(2)
  collected.setClock(-30 * DAY_MS)
  collected.wait(GRACE_MS - 1)
  t.equal(await collected.collect(), 0, 'seen late: it is not known since when it is there')
  collected.wait(GRACE_MS - 1)
  t.equal(await collected.collect(), 0)
  collected.setClock(30 * DAY_MS)
  t.equal(await collected.collect(), 2, 'due by a clock that is right')
})

t.test('what came after the look waits from when it was seen itself', async (t) => {
  const collected = await Collected.open()
  collected.setClock(30 * DAY_MS)
  await collected.deleteSome(1)
  collected.setClock(-30 * DAY_MS)
  await collected.collect()
  collected.wait(GRACE_MS - 1)
  collected.setClock(30 * DAY_MS)
  await collected.deleteSome(2)
  collected.setClock(-30 * DAY_MS)
  collected.wait(1)
  t.equal(await collected.collect(), 1)
  await collected.collect()
  collected.wait(GRACE_MS - 1)
  t.equal(await collected.collect(), 0)
  collected.wait(1)
  t.equal(await collected.collect(), 2)
})

t.test('so many rows are remembered, and the others later', async (t) => {
  const collected = await Collected.open(new GarbageAhead(GRACE_MS, 700))
  collected.setClock(30 * DAY_MS)
  await collected.deleteSome(1200)
  collected.setClock(-30 * DAY_MS)
  for (const expected of [700, 500]) {
    t.equal(await collected.collect(), 0)
    collected.wait(GRACE_MS)
    t.equal(await collected.collect(), expected)
  }
  t.equal((await collected.left()).length, 0)
})

t.test('a partition that can not be asked is asked again', async (t) => {
  const collected = await Collected.open()
  const { partition } = collected.fixture
  const ask = partition.garbageAfter
  const fail = (): void => {
    partition.garbageAfter = async () => {
      throw new MetadataUnavailable('a test')
    }
  }
  collected.setClock(30 * DAY_MS)
  await collected.deleteSome(2)
  collected.setClock(-30 * DAY_MS)
  fail()
  await t.rejects(collected.collect(), MetadataUnavailable)
  partition.garbageAfter = ask
  await collected.collect()
  collected.wait(GRACE_MS)
  fail()
  await t.rejects(collected.collect(), MetadataUnavailable)
  partition.garbageAfter = ask
  t.equal(await collected.collect(), 2, 'and the wait does not begin anew')
})

t.test('partitions that nobody comes for any more keep no room', async (t) => {
  const ahead = new GarbageAhead(GRACE_MS, 1)
  const gone = { id: 1, garbageAfter: async () => [garbage('1')] }
  const here = { id: 2, garbageAfter: async () => [garbage('2')] }
  let nowMs = 0
  const clock = { now: () => 0, monotonicMs: () => nowMs }
  const ask = async (partition: typeof gone): Promise<number> => {
    let rows = 0
    for await (const page of ahead.outlived(partition, clock)) rows += page.length
    return rows
  }
  await ask(gone)
  await ask(here)
  nowMs += GRACE_MS
  t.equal(await ask(here), 0, 'there was no room to remember it')
  nowMs += 60 * 60_000 + 1
  await ask(here)
  nowMs += GRACE_MS
  t.equal(await ask(here), 1)
})

function garbage(uid: string): Garbage {
  return { dueMs: 10 * GRACE_MS, bucketId: 1, blob: { uid: uid as Uid } as Garbage['blob'] }
}
