// What whoever leads a partition says of shards that no row seems to name where they lie. Who asks deletes them by that word
// alone, so it is given only for what stays true, whoever leads afterwards (docs/decisions/0022-orphans-of-a-cluster.md).
import type { Log } from '../../kit/log.ts'
import type { Uid } from '../../kit/uid.ts'
import type {
  BlobVerdict,
  Garbage,
  MetadataPartition,
  MetaPartitionId,
} from '../../metadata/contract.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import { metaPartitionOf, partitionOfKey } from '../../placement/place.ts'
import type { DriveId } from '../contract.ts'
import type { BlobLatch } from './blob-latch.ts'
import { groupByKey, type Suspect } from './suspects.ts'

/** A shard that is asked about. */
export interface JudgedShard extends Suspect {
  /** The drive that a row names for it, where it was read whole. */
  insteadOn?: DriveId | undefined
}

/**
 * `orphan`: whoever has it deletes it, unless it was made again or kept since before this was asked. `held`: it would be one, but
 * nothing is deleted since rows were made again.
 */
export type ShardVerdict = 'orphan' | 'named' | 'held' | 'undecided'

/** What judging needs. */
export interface JudgeParts {
  log: Log
  coordinator: Pick<Coordinator, 'state'>
  /** Of all upkeep of the partition: nothing is said of a blob that is being mended or moved. */
  latch: BlobLatch
}

/** With more garbage than this nothing is said. */
const GARBAGE_MAX = 100_000

const GARBAGE_AT_ONCE = 1024

/** Judges shards of a partition that is led here, in their order. */
export async function judgeShards(
  partition: MetadataPartition,
  shards: readonly JudgedShard[],
  parts: JudgeParts,
): Promise<ShardVerdict[]> {
  const verdicts = new Map<JudgedShard, ShardVerdict>()
  for (const group of groupByKey(shards)) {
    const held = new Map<Uid, () => void>()
    const free = group.filter(({ id: { uid } }) => {
      const letGo = held.get(uid) ?? parts.latch.tryHold(uid)
      if (letGo) held.set(uid, letGo)
      return letGo !== undefined
    })
    try {
      const said = isOfPartition(group[0]!, partition.id, parts)
        ? await judgeKey(partition, free, parts)
        : []
      for (const [at, verdict] of said.entries()) verdicts.set(free[at]!, verdict)
    } catch (error) {
      const data = { partition: partition.id, shards: free.length, error: String(error) }
      parts.log.debug(data, 'shards could not be judged')
    } finally {
      for (const letGo of held.values()) letGo()
    }
  }
  return shards.map((shard) => verdicts.get(shard) ?? 'undecided')
}

/** Rows of a key are in one partition: no other says anything by having none. */
function isOfPartition(
  { bucketId, key }: Suspect,
  partition: MetaPartitionId,
  { coordinator }: JudgeParts,
): boolean {
  const { map } = coordinator.state
  return metaPartitionOf(map, partitionOfKey(map, bucketId, key)) === partition
}

async function judgeKey(
  partition: MetadataPartition,
  shards: readonly JudgedShard[],
  { coordinator }: JudgeParts,
): Promise<ShardVerdict[]> {
  if (shards.length === 0) return []
  const blobs = shards.map(({ id }) => id)
  const found = await partition.judgeBlobs(shards[0]!, blobs)
  const isDead = found.some(({ kind }) => kind === 'unnamed')
  // What lost its row before it was asked for is there, until nobody can be reading it any more.
  const garbage = isDead ? await garbageOf(partition) : new Set<string>()
  return shards.map((shard, at) => {
    const verdict = verdictOf(shard, found[at]!, garbage)
    return verdict === 'orphan' && coordinator.state.orphanHold ? 'held' : verdict
  })
}

function verdictOf(
  { driveId, id, insteadOn }: JudgedShard,
  found: BlobVerdict,
  garbage: ReadonlySet<string> | undefined,
): ShardVerdict {
  switch (found.kind) {
    case 'young':
      return 'undecided'
    case 'unnamed':
      if (garbage === undefined) return 'undecided'
      return garbage.has(nameOf(id)) ? 'named' : 'orphan'
    case 'named': {
      const named = found.reference.blob.drives[id.slot]
      if (named === driveId) return 'named'
      return named !== undefined && named === insteadOn ? 'orphan' : 'undecided'
    }
  }
}

/** Blobs that are garbage; undefined where they are too many to look at. */
async function garbageOf(partition: MetadataPartition): Promise<Set<string> | undefined> {
  const names = new Set<string>()
  let last: Garbage | undefined
  do {
    const page = await partition.dueGarbage(Number.MAX_SAFE_INTEGER - 1, GARBAGE_AT_ONCE, last)
    for (const { blob } of page) names.add(nameOf(blob))
    if (names.size > GARBAGE_MAX) return undefined
    last = page.length === GARBAGE_AT_ONCE ? page.at(-1) : undefined
  } while (last)
  return names
}

function nameOf({ uid, part }: { uid: Uid; part: number }): string {
  return `${uid}.${part}`
}
