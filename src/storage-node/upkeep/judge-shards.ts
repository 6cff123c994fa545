// What whoever leads a partition says of shards that no row seems to name where they lie. Who asks deletes them by that word
// alone, so it is given only for what stays true, whoever leads afterwards (docs/decisions/0022-orphans-of-a-cluster.md).
import type { Log } from '../../kit/log.ts'
import type { BlobVerdict, MetadataPartition } from '../../metadata/contract.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import { metaPartitionOfKey } from '../../placement/place.ts'
import type { DriveId } from '../contract.ts'
import type { BlobLatch } from './blob-latch.ts'
import { nameOfBlob } from './blob-name.ts'
import { garbagePages } from './garbage-pages.ts'
import { groupByKey, type Suspect, uidOf } from './suspects.ts'

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

/** Shards of one question. */
export const JUDGED_MAX = 256

/** Keys of a question that are looked at side by side: the entries of their questions share the syncs of the log. */
const KEYS_AT_ONCE = 16

/** With more garbage than this nothing is said. */
const GARBAGE_MAX = 100_000

const GARBAGE_AT_ONCE = 1024

/** What was found of a shard of which something can be said. */
type Finding = readonly [JudgedShard, BlobVerdict]

/** Judges shards of a partition that is led here, in their order. */
export async function judgeShards(
  partition: MetadataPartition,
  shards: readonly JudgedShard[],
  parts: JudgeParts,
): Promise<ShardVerdict[]> {
  const { map } = parts.coordinator.state
  // Rows of a key are in one partition: no other says anything by having none.
  const own = shards.filter((shard) => metaPartitionOfKey(map, shard) === partition.id)
  const verdicts = await parts.latch.whileHeld(own, uidOf, (free) =>
    judgeFree(partition, free, parts),
  )
  return shards.map((shard) => verdicts.get(shard) ?? 'undecided')
}

/** First all entries are committed, then garbage is looked at, once: what lost its row before its entry is there. */
async function judgeFree(
  partition: MetadataPartition,
  shards: readonly JudgedShard[],
  parts: JudgeParts,
): Promise<Map<JudgedShard, ShardVerdict>> {
  const findings = await findEach(partition, shards, parts)
  const isDead = findings.some(([, { kind }]) => kind === 'unnamed')
  // It is there until nobody can be reading the blob any more.
  const garbage = isDead ? await garbageOf(partition, parts) : undefined
  const isHeld = parts.coordinator.state.orphanHold !== undefined
  return new Map(
    findings.map(([shard, found]) => {
      const verdict = verdictOf(shard, found, garbage)
      return [shard, verdict === 'orphan' && isHeld ? 'held' : verdict]
    }),
  )
}

/** What rows say, key by key; of a key that can not be asked about nothing is said. */
async function findEach(
  partition: MetadataPartition,
  shards: readonly JudgedShard[],
  { log }: JudgeParts,
): Promise<Finding[]> {
  const findings: Finding[] = []
  const left = [...groupByKey(shards)][Symbol.iterator]()
  const work = async (): Promise<void> => {
    for (const group of left) {
      try {
        const blobs = group.map(({ id }) => id)
        const found = await partition.judgeBlobs(group[0]!, blobs)
        for (const [at, shard] of group.entries()) findings.push([shard, found[at]!])
      } catch (error) {
        const data = { partition: partition.id, shards: group.length, error: String(error) }
        log.debug(data, 'shards could not be judged')
      }
    }
  }
  await Promise.all(Array.from({ length: KEYS_AT_ONCE }, work))
  return findings
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
      return garbage.has(nameOfBlob(id)) ? 'named' : 'orphan'
    case 'named': {
      const named = found.reference.blob.drives[id.slot]
      if (named === driveId) return 'named'
      return named !== undefined && named === insteadOn ? 'orphan' : 'undecided'
    }
  }
}

/** Blobs that are garbage; undefined where they can not be asked for, or are too many to look at. */
async function garbageOf(
  partition: MetadataPartition,
  { log }: JudgeParts,
): Promise<Set<string> | undefined> {
  try {
    return await listGarbage(partition)
  } catch (error) {
    log.debug({ partition: partition.id, error: String(error) }, 'garbage could not be asked for')
    return undefined
  }
}

async function listGarbage(partition: MetadataPartition): Promise<Set<string> | undefined> {
  const names = new Set<string>()
  for await (const page of garbagePages(partition, GARBAGE_AT_ONCE)) {
    for (const { blob } of page) names.add(nameOfBlob(blob))
    if (names.size > GARBAGE_MAX) return undefined
  }
  return names
}
