// Blobs that rows say to be owed: all are counted, those that can not be mended now hide none of those behind them, and they
// are not tried all the time.
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { MetadataPartition, OwedBlob } from '../../../../src/metadata/contract.ts'
import { OwedBlobs, type OwedOf } from '../../../../src/storage-node/upkeep/owed-blobs.ts'

const START_MS = 1_000_000
const ASK_MS = 5_000
const AGAIN_MS = 60_000

/** Rows in order, some of which are mended when they are tried. */
class Rows {
  rows: OwedBlob[]
  counts = 0
  readonly partition: MetadataPartition

  constructor(count: number, name = 'p') {
    this.rows = Array.from({ length: count }, (_, at) => row(`${name}${at}`))
    this.partition = {
      tally: { owed: count, promoted: 0, promotedSince: () => [] },
      owedBlobs: async (limit: number) => this.rows.slice(0, limit),
      owedAfter: async ({ blob }: OwedBlob, limit: number) => {
        const from = this.rows.findIndex((one) => numberOf(one.blob.uid) > numberOf(blob.uid))
        return from < 0 ? [] : this.rows.slice(from, from + limit)
      },
      countOwed: async () => {
        this.counts += 1
        return this.rows.length
      },
    } as unknown as MetadataPartition
  }

  mend(owed: OwedBlob): void {
    this.rows = this.rows.filter(({ blob }) => blob.uid !== owed.blob.uid)
  }
}

function row(uid: string): OwedBlob {
  return { bucketId: 1, key: uid, blob: { uid: uid as Uid, part: 0 } } as OwedBlob
}

function numberOf(uid: string): number {
  return Number(uid.replace(/\D/g, ''))
}

/** Everything that is to be tried now. */
async function tryAll(owed: OwedBlobs, nowMs: number): Promise<OwedOf[]> {
  const tried: OwedOf[] = []
  for (;;) {
    const some = await owed.next(100, nowMs)
    if (some.length === 0) return tried
    tried.push(...some)
  }
}

t.test('all rows of all partitions are counted', async (t) => {
  const all = [...'abcdefgh'].map((name) => new Rows(5000, name))
  const few = new Rows(3, 'few')
  const owed = new OwedBlobs([...all, few].map(({ partition }) => partition))
  await owed.next(4, START_MS)
  t.equal(owed.size, 40_003)
  const [first] = await owed.next(1, START_MS)
  owed.done(first!.owed)
  owed.done(first!.owed)
  t.equal(owed.size, 40_002, 'done is done once')
})

t.test('rows are counted again one partition after the other, not each time', async (t) => {
  const all = [new Rows(300, 'a'), new Rows(300, 'b')]
  const owed = new OwedBlobs(all.map(({ partition }) => partition))
  for (let atMs = 0; atMs < AGAIN_MS; atMs += ASK_MS) await owed.next(1, START_MS + atMs)
  t.same(
    all.map(({ counts }) => counts),
    [1, 1],
  )
  for (const one of all) one.rows = one.rows.slice(0, 290)
  await owed.next(1, START_MS + AGAIN_MS)
  t.equal(owed.size, 590)
  await owed.next(1, START_MS + AGAIN_MS + ASK_MS)
  t.equal(owed.size, 580)
  for (const one of all) one.rows = one.rows.slice(0, 10)
  await owed.next(1, START_MS + AGAIN_MS + 2 * ASK_MS)
  t.equal(owed.size, 20, 'few are known one by one')
})

t.test('those that can not be mended now hide none behind them', async (t) => {
  const rows = new Rows(1000)
  const owed = new OwedBlobs([rows.partition])
  const isMendable = ({ blob }: OwedBlob): boolean => numberOf(blob.uid) >= 600
  for (let atMs = 0; atMs < 4 * AGAIN_MS; atMs += ASK_MS) {
    for (const item of await tryAll(owed, START_MS + atMs)) {
      if (!isMendable(item.owed)) continue
      rows.mend(item.owed)
      owed.done(item.owed)
    }
  }
  t.equal(rows.rows.length, 600)
  t.equal(owed.size, 600)
})

t.test('of those that can not be mended so many are tried in a minute', async (t) => {
  const rows = new Rows(10_000)
  const owed = new OwedBlobs([rows.partition])
  const tried: number[] = []
  const seen = new Set<string>()
  for (let minute = 0; minute < 40; minute += 1) {
    let count = 0
    for (let atMs = 0; atMs < AGAIN_MS; atMs += ASK_MS) {
      const items = await tryAll(owed, START_MS + minute * AGAIN_MS + atMs)
      count += items.length
      for (const { owed: one } of items) seen.add(one.blob.uid)
    }
    tried.push(count)
  }
  t.equal(Math.max(...tried), 512)
  t.equal(seen.size, 10_000, 'each has its turn')
})

t.test('when something changed all are tried again, those that lack most first', async (t) => {
  const rows = new Rows(2000)
  const owed = new OwedBlobs([rows.partition])
  for (let minute = 0; minute < 3; minute += 1) await tryAll(owed, START_MS + minute * AGAIN_MS)
  owed.tryAllAgain()
  const tried = await tryAll(owed, START_MS + 2 * AGAIN_MS + 1)
  t.same(
    tried.map((one) => numberOf(one.owed.blob.uid)),
    Array.from({ length: 512 }, (_, at) => at),
  )
})
