// The shards of one metadata partition on the drives of a node that goes on serving, for a recovery: in the order of their names, so that
// none is passed over because its record was moved meanwhile; and some at a time, so that nobody waits long for the next.
import type { World } from '../kit/world.ts'
import type { ClusterMap } from '../placement/cluster-map.ts'
import { metaPartitionOfKey } from '../placement/place.ts'
import type { ShardDescription, ShardId } from '../storage-node/contract.ts'
import type { WholeShard } from '../storage-node/recovery/recovery-messages.ts'
import type { ShardStore } from '../storage-node/shard-store.ts'

/** The stores that are read, by drive; `map` tells of which partition a shard is. `signal` ends the reading. */
export interface ShardPagesParts {
  stores: ReadonlyMap<number, Pick<ShardStore, 'list' | 'openShard'>>
  map: ClusterMap
  clock: World['clock']
  signal: AbortSignal
}

/** A page comes after so long at the latest, whatever is in it. */
const PAGE_MS = 5_000
const PAGE_SHARDS = 256
/** Read at once. */
const READS = 16

/** All of them of which header and tail are whole. A page may be empty. Throws when a drive can not be read to its end. */
export async function* shardPages(
  partition: number,
  { stores, map, clock, signal }: ShardPagesParts,
): AsyncGenerator<readonly WholeShard[]> {
  let page: WholeShard[] = []
  let sinceMs = clock.monotonicMs()
  for (const [driveId, store] of stores) {
    for await (const ids of store.list()) {
      for (let at = 0; at < ids.length; at += READS) {
        signal.throwIfAborted()
        const some = ids.slice(at, at + READS)
        const described = await Promise.all(some.map((id) => describe(store, id)))
        for (const description of described) {
          // Not the partition of its header: where the seed was lost, keys have another one now.
          if (description === undefined) continue
          if (metaPartitionOfKey(map, description) !== partition) continue
          page.push({ driveId, description })
        }
        if (page.length < PAGE_SHARDS && clock.monotonicMs() - sinceMs < PAGE_MS) continue
        yield page
        page = []
        sinceMs = clock.monotonicMs()
      }
    }
  }
  yield page
}

/** What a whole shard says of itself; undefined for one that is gone or not whole. */
async function describe(
  store: Pick<ShardStore, 'openShard'>,
  id: ShardId,
): Promise<ShardDescription | undefined> {
  const opened = await store.openShard(id)
  if (opened.kind !== 'found') return undefined
  const described = await opened.reader.describe().finally(() => opened.reader.close())
  return described.kind === 'found' ? described.description : undefined
}
