// Orphans of a cluster, on their way to be deleted by the node that has them: whoever leads the partition of their key
// says which are. Nobody is asked, or nobody answers: they stay (docs/decisions/0022-orphans-of-a-cluster.md).
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { MetaPartitionId } from '../../metadata/contract.ts'
import { metaPartitionOfKey } from '../../placement/place.ts'
import { JUDGED_MAX, type JudgedShard, type ShardVerdict } from './judge-shards.ts'
import { Moments } from './moments.ts'
import type { BlobPlace } from './orphan-rule.ts'
import {
  deleteOrphan,
  type FoundShard,
  groupByKey,
  isNamed,
  look,
  readSlot,
  type Suspect,
  type SuspectParts,
  settleUnnamed,
  slicesOf,
  type Verdict,
} from './suspects.ts'

/** What settling needs. */
export interface LeaderSettleParts extends SuspectParts {
  /** Asks whoever leads the partition of the place, which is that of all of them. Rejects when nobody answers. */
  judge(place: BlobPlace, shards: readonly JudgedShard[]): Promise<ShardVerdict[]>
}

/** While a group is settled: moments from before anybody was asked about it. */
interface GroupParts extends LeaderSettleParts {
  moments: Moments
}

/** Deletes those of the shards, all on drives of this node, that are orphans for certain. */
export async function settleByLeader(
  found: readonly FoundShard[],
  parts: LeaderSettleParts,
): Promise<void> {
  await settleUnnamed(found, parts, {
    join: (groups) => joinByPartition(groups, parts),
    settle: (group) => settleGroup(group, parts),
  })
}

/** Of one partition as many as one question takes. */
function joinByPartition(
  groups: readonly Suspect[][],
  { coordinator }: LeaderSettleParts,
): Suspect[][] {
  const { map } = coordinator.state
  const byPartition = new Map<MetaPartitionId, Suspect[]>()
  for (const group of groups) {
    const id = metaPartitionOfKey(map, group[0]!)
    const known = byPartition.get(id)
    if (known) known.push(...group)
    else byPartition.set(id, [...group])
  }
  return [...byPartition.values()].flatMap((suspects) => slicesOf(suspects, JUDGED_MAX))
}

/** First the moments of the drives, then the questions: what is said then is said of no shard that is made there later. */
async function settleGroup(group: readonly Suspect[], parts: LeaderSettleParts): Promise<void> {
  const driveIds = group.map(({ driveId }) => driveId)
  const moments = await Moments.of(driveIds, parts.node)
  const prepared: JudgedShard[] = []
  for (const ofKey of groupByKey(group)) {
    const verdicts = await look(ofKey, parts)
    for (const [at, verdict] of verdicts?.entries() ?? []) {
      const shard = await prepare(ofKey[at]!, verdict, parts)
      if (shard !== undefined) prepared.push(shard)
    }
    await parts.pace()
  }
  if (prepared.length > 0) await deleteJudged(prepared, { ...parts, moments })
}

/** A shard to ask for; undefined where nothing can come of that. What the row names in its place is read whole before. */
async function prepare(
  suspect: Suspect,
  verdict: Verdict,
  parts: LeaderSettleParts,
): Promise<JudgedShard | undefined> {
  if (verdict === 'unnamed') return suspect
  if (isNamed(suspect, verdict)) return undefined
  const { left } = parts.counts
  const { slot } = suspect.id
  const insteadOn = verdict.blob.drives[slot]
  const own = insteadOn === undefined ? 'missing' : await readSlot(verdict.blob, slot, parts)
  if (own === 'whole') return { ...suspect, insteadOn }
  // Its slot is mended from others: then it goes.
  if (own === 'unreachable') left.undecided += 1
  else left.useless += 1
  return undefined
}

async function deleteJudged(shards: readonly JudgedShard[], parts: GroupParts): Promise<void> {
  const { counts, coordinator, judge, log, signal } = parts
  let verdicts: ShardVerdict[]
  try {
    verdicts = await judge(shards[0]!, shards)
  } catch (error) {
    signal.throwIfAborted()
    counts.left.undecided += shards.length
    log.debug({ shards: shards.length, error: String(error) }, 'shards could not be judged')
    return
  }
  for (const [at, shard] of shards.entries()) {
    const verdict = verdicts[at]
    if (verdict === 'named') continue
    if (verdict === 'held' || coordinator.state.orphanHold) counts.left.held += 1
    else if (verdict !== 'orphan' || !(await remove(shard, parts))) counts.left.undecided += 1
  }
}

/** False when it is not what was asked about any more, or its drive gives trouble. */
async function remove(shard: JudgedShard, parts: GroupParts): Promise<boolean> {
  try {
    return await deleteOrphan(shard, parts)
  } catch (error) {
    if (!(error instanceof DriveUnavailable)) throw error
    return false
  }
}
