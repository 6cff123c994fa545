// The shards of a partition, page by page: all that are whole and of the partition, and a page soon, also where there is hardly any.
import t from 'tap'
import { shardPages } from '../../../src/cluster/shard-pages.ts'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { emptyClusterMap } from '../../../src/placement/first-map.ts'
import { metaPartitionOfKey } from '../../../src/placement/place.ts'
import type { ShardDescribed, ShardId, ShardOpened } from '../../../src/storage-node/contract.ts'
import type { ShardStore } from '../../../src/storage-node/shard-store.ts'

await prepareDigests()

const MAP = emptyClusterMap('42', { partitionCount: 16, metaPartitionCount: 4 })
const DRIVES = [1, 2]
const SHARDS = 1_000

function idOf(driveId: number, at: number): ShardId {
  return { uid: `${driveId}-${at}`, part: 0, slot: 0 } as unknown as ShardId
}

function keyOf({ uid }: ShardId): { bucketId: number; key: string } {
  return { bucketId: 7, key: `key-${uid}` }
}

interface Watched {
  clock: { now(): number; monotonicMs(): number; sleep(): Promise<void> }
  stores: Map<number, Pick<ShardStore, 'list' | 'openShard'>>
  closed: { count: number }
}

/** Looking at a shard takes `eachMs`; every tenth one is not whole, and every hundredth is deleted meanwhile. */
function storesOf(eachMs: number): Watched {
  let nowMs = 0
  const closed = { count: 0 }
  const clock = { now: () => nowMs, monotonicMs: () => nowMs, sleep: async () => {} }
  const openShard = async (id: ShardId): Promise<ShardOpened> => {
    nowMs += eachMs
    const at = Number(id.uid.split('-')[1])
    if (at % 100 === 0) return { kind: 'missing' }
    const described: ShardDescribed =
      at % 10 === 0
        ? { kind: 'corrupt', detail: 'its tail' }
        : { kind: 'found', description: { id, ...keyOf(id) } as never }
    const close = async (): Promise<void> => {
      closed.count += 1
    }
    return { kind: 'found', reader: { describe: async () => described, close } as never }
  }
  const stores = DRIVES.map((driveId) => {
    const list = async function* (): AsyncGenerator<ShardId[]> {
      for (let from = 0; from < SHARDS; from += 400) {
        const count = Math.min(400, SHARDS - from)
        yield Array.from({ length: count }, (_, at) => idOf(driveId, from + at))
      }
    }
    return [driveId, { list, openShard }] as const
  })
  return { clock, stores: new Map(stores), closed }
}

function expected(partition: number): string[] {
  return DRIVES.flatMap((driveId) => {
    const ids = Array.from({ length: SHARDS }, (_, at) => [at, idOf(driveId, at)] as const)
    return ids
      .filter(([at, id]) => at % 10 !== 0 && metaPartitionOfKey(MAP, keyOf(id)) === partition)
      .map(([, { uid }]) => `${driveId} ${uid}`)
  })
}

for (const eachMs of [0, 1, 500]) {
  t.test(`each takes ${eachMs} ms`, async (t) => {
    const { clock, stores, closed } = storesOf(eachMs)
    const found: string[] = []
    let lastMs = 0
    let longestMs = 0
    const { signal } = new AbortController()
    for await (const page of shardPages(2, { stores, map: MAP, clock, signal })) {
      t.ok(page.length < 300)
      longestMs = Math.max(longestMs, clock.monotonicMs() - lastMs)
      lastMs = clock.monotonicMs()
      for (const { driveId, description } of page) found.push(`${driveId} ${description.id.uid}`)
    }
    t.same(found, expected(2))
    t.ok(longestMs <= 5_000 + 16 * eachMs, `${longestMs}`)
    t.equal(closed.count, DRIVES.length * SHARDS * 0.99)
  })
}

t.test('who is not asked any more ends', async (t) => {
  const { clock, stores } = storesOf(500)
  const ending = new AbortController()
  const pages = shardPages(2, { stores, map: MAP, clock, signal: ending.signal })
  await pages.next()
  ending.abort(new Error('enough'))
  await t.rejects(pages.next(), /enough/)
})
