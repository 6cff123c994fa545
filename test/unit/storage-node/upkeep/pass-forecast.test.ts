// How long a pass will take is told from what it saw, from what the last one saw, by its schedule, or not at all.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import type { World } from '../../../../src/kit/world.ts'
import type { BlobReference, MetadataPartition } from '../../../../src/metadata/contract.ts'
import type { ClusterMap } from '../../../../src/placement/cluster-map.ts'
import { BlobWalk, type PassForecast } from '../../../../src/storage-node/upkeep/blob-walk.ts'
import { Passes, type PassesParts } from '../../../../src/storage-node/upkeep/passes.ts'

const BLOB = { blob: { bytes: 10 } } as unknown as BlobReference

/** No version comes up behind the walk. */
const TALLY = { promoted: 0, promotedSince: () => [] }

/** Partitions of so many blobs each, page by page. */
function partitionsOf(count: number, countBlobs: number | (() => number)): MetadataPartition[] {
  const scanBlobs: MetadataPartition['scanBlobs'] = async (after, limit) => {
    const blobs = typeof countBlobs === 'number' ? countBlobs : countBlobs()
    const from = after === undefined ? 0 : Buffer.from(after).readUInt32BE(0)
    const to = Math.min(blobs, from + limit)
    const next = Buffer.alloc(4)
    next.writeUInt32BE(to)
    return { references: Array<BlobReference>(to - from).fill(BLOB), after: next, more: to < blobs }
  }
  return Array.from(
    { length: count },
    () => ({ scanBlobs, tally: TALLY }) as unknown as MetadataPartition,
  )
}

async function walkOn(walk: BlobWalk, blobs: number): Promise<void> {
  for (let seen = 0; seen < blobs; ) {
    const batch = await walk.next(Math.min(4, blobs - seen))
    for (const blob of batch) walk.note(blob, { kind: 'whole' })
    seen += batch.length
    if (batch.length === 0) return
  }
}

t.test('without a pass before nothing is told until a partition was walked', async (t) => {
  const walk = new BlobWalk('check', partitionsOf(4, 3_000), { startedMs: 0 })
  t.same(walk.foretell(undefined, 10_000), {})
  await walkOn(walk, 2_500)
  t.same(walk.foretell(undefined, 10_000), {})
  await walkOn(walk, 1_500)
  t.same(walk.foretell(undefined, 10_000), { blobsExpected: 12_000, leftMs: 20_000 })
  t.same(
    walk.foretell(7, 10_000),
    { blobsExpected: 12_000, leftMs: 20_000 },
    'the last was long ago',
  )
  await walkOn(walk, 8_000)
  t.same(walk.foretell(undefined, 30_000), { blobsExpected: 12_000, leftMs: 0 })
})

t.test('few blobs say nothing of the others: the last pass does', async (t) => {
  const walk = new BlobWalk('check', partitionsOf(4, 10), { startedMs: 0 })
  await walkOn(walk, 12)
  t.same(walk.foretell(undefined, 10_000), {})
  t.same(walk.foretell(40, 1_000), { blobsExpected: 40 }, 'at first nothing is told of its pace')
  t.same(walk.foretell(40, 12_000), { blobsExpected: 40, leftMs: 28_000 })
  t.same(walk.foretell(5, 12_000), { blobsExpected: 12, leftMs: 0 }, 'never fewer than were seen')
})

t.test('a pass that is gone on with has only the pace of this process', async (t) => {
  const walk = new BlobWalk('scrub', partitionsOf(2, 50), { startedMs: 0 })
  await walkOn(walk, 60)
  const resumed = new BlobWalk('scrub', partitionsOf(2, 50), walk.position)
  t.same(resumed.foretell(100, 10_000), { blobsExpected: 100 })
  await walkOn(resumed, 20)
  const { blobs } = resumed.counts
  t.same(resumed.foretell(100, 10_000), { blobsExpected: 100, leftMs: (100 - blobs) * 500 })
})

const MAP = { drives: [], slots: [], code: { dataCount: 4, parityCount: 2 } }
const PERIOD_MS = 14 * 24 * 3_600_000
const HOUR_MS = 3_600_000

/** Nobody waits to the end. */
function sleep(_ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((_, reject) => signal?.addEventListener('abort', reject))
}

/** Passes over 10,000 blobs and more, by a clock that a test turns. */
class TurnedPasses {
  nowMs = 1_000_000
  /** In each of four partitions. */
  blobs = 2_500
  readonly passes: Passes

  constructor(positions?: PassesParts['positions']) {
    const world = { clock: { now: () => this.nowMs, sleep } } as unknown as World
    const partitions = partitionsOf(4, () => this.blobs)
    const times = { outDelayMs: 0, urgentDelayMs: 0, againMs: 60_000 }
    this.passes = new Passes({ scrubPeriodMs: PERIOD_MS, ...times }, MAP as unknown as ClusterMap, {
      ...{ world, log: silentLog, partitions, isShared: false },
      ...{ positions, pace: async () => {}, isStopping: () => false, passEnded: () => {} },
    })
  }

  /** Goes on with what is under way until it is held back, for so many steps at most, each of which takes so long. */
  async goOn(steps: number, stepMs: number): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      if (!(await this.passes.walkOn(4, async () => ({ kind: 'whole' })))) return
      this.nowMs += stepMs
    }
  }

  /** The check after the start, and the beginning of the scrub. */
  async begin(): Promise<void> {
    for (let step = 0; this.passes.ended.check === 0; step += 1) {
      if (step > 5_000) throw new Error('the check does not end')
      await this.goOn(1, 10)
    }
    await this.goOn(1, 0)
  }

  get scrub(): PassForecast {
    const { blobsExpected, leftMs } = this.passes.progress().find(({ kind }) => kind === 'scrub')!
    return { ...(blobsExpected && { blobsExpected }), ...(leftMs !== undefined && { leftMs }) }
  }
}

t.test(
  'a scrub that is spread ends with its period, whatever its speed of the moment',
  async (t) => {
    const turned = new TurnedPasses()
    await turned.begin()
    const startedMs = turned.nowMs
    for (const afterMs of [0, 3_000, 60_000, HOUR_MS, 100 * HOUR_MS, PERIOD_MS - HOUR_MS]) {
      turned.nowMs = startedMs + afterMs
      await turned.goOn(5_000, 0)
      const forecast = { blobsExpected: 10_000, leftMs: PERIOD_MS - afterMs }
      t.same(turned.scrub, forecast, `after ${afterMs} ms`)
    }
  },
)

t.test('a scrub that somebody waits for is foretold by its speed', async (t) => {
  const turned = new TurnedPasses()
  await turned.begin()
  turned.passes.scrubNow()
  await turned.goOn(500, 1_000)
  t.same(turned.scrub, { blobsExpected: 10_000, leftMs: 2_000_000 })
})

t.test('a scrub that goes as fast as it can says when that is too slow', async (t) => {
  const turned = new TurnedPasses()
  await turned.begin()
  await turned.goOn(1_000, 0)
  turned.nowMs += HOUR_MS
  await turned.goOn(250, PERIOD_MS / 1_000)
  const { leftMs } = turned.scrub
  t.ok(leftMs! > 2.2 * PERIOD_MS && leftMs! < 2.3 * PERIOD_MS, `${leftMs}`)
})

t.test('a scrub that is late has more to read than was known: then its speed tells', async (t) => {
  const turned = new TurnedPasses()
  await turned.begin()
  turned.blobs = 5_000
  turned.nowMs += PERIOD_MS - 1_000
  await turned.goOn(5_000, 0)
  turned.nowMs += 1_001
  t.same(turned.scrub.leftMs, undefined, 'at first nobody knows')
  await turned.goOn(1_000, 1_000)
  const { blobsExpected, leftMs } = turned.scrub
  t.equal(blobsExpected, 20_000)
  t.ok(leftMs! > 1_450_000 && leftMs! < 1_600_000, `${leftMs}`)
})

t.test('a scrub that is gone on with behind its time has the rest of its period', async (t) => {
  const walk = new BlobWalk('scrub', partitionsOf(4, 2_500), { startedMs: 1_000_000 })
  await walkOn(walk, 100)
  const position = { ...walk.position, after: '00000064' }
  const load = async () => ({ savedMs: 1_000_000, walk: position })
  const turned = new TurnedPasses({ load, save: async () => {} } as PassesParts['positions'])
  turned.nowMs += PERIOD_MS / 2
  await turned.passes.load()
  await turned.begin()
  await turned.goOn(10, 1_000)
  t.same(turned.scrub, { blobsExpected: 10_000, leftMs: 1_000_000 + PERIOD_MS - turned.nowMs })
})
