// How long a pass will take is told from what it saw, from what the last one saw, or not at all.
import t from 'tap'
import type { BlobReference, MetadataPartition } from '../../../../src/metadata/contract.ts'
import { BlobWalk } from '../../../../src/storage-node/upkeep/blob-walk.ts'

const BLOB = { blob: { bytes: 10 } } as unknown as BlobReference

/** No version comes up behind the walk. */
const TALLY = { promoted: 0, promotedSince: () => [] }

/** Partitions of so many blobs each, page by page. */
function partitionsOf(count: number, blobs: number): MetadataPartition[] {
  const scanBlobs: MetadataPartition['scanBlobs'] = async (after, limit) => {
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
