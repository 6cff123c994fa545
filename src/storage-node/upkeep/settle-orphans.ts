// Orphans of one process, on their way to be deleted: the second look is taken under the latch of their blob. Whatever is
// not known for certain stays (docs/decisions/0012-orphans.md).
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import { newUid } from '../../kit/uid.ts'
import type { World } from '../../kit/world.ts'
import type { BlobReference } from '../../metadata/contract.ts'
import type { DriveId, ShardId } from '../contract.ts'
import type { BlobLatch } from './blob-latch.ts'
import { Moments } from './moments.ts'
import type { OrphanRule } from './orphan-rule.ts'
import {
  deleteOrphan,
  type FoundShard,
  isNamed,
  look,
  readSlot,
  type Suspect,
  type SuspectParts,
  settleUnnamed,
  slicesOf,
  uidOf,
  type Verdict,
} from './suspects.ts'

/** What settling needs. */
export interface SettleParts extends SuspectParts {
  world: Pick<World, 'clock' | 'random'>
  rule: OrphanRule
  latch: BlobLatch
  /** Whether the healer is about to delete this copy: then it is not named anew, for that may be decided after it was asked. */
  isLeftBehind(driveId: DriveId, id: ShardId): boolean
}

/** While the latches of a group are held: moments from before its rows were asked. */
interface LatchedParts extends SettleParts {
  moments: Moments
}

/** Shards of one key that are settled together. */
const SETTLED_AT_ONCE = 32

/** Deletes those of the shards that are orphans for certain. */
export async function settleOrphans(
  found: readonly FoundShard[],
  parts: SettleParts,
): Promise<void> {
  await settleUnnamed(found, parts, {
    join: (groups) => groups.flatMap((group) => slicesOf(group, SETTLED_AT_ONCE)),
    settle: (group) => settleLatched(group, parts),
  })
}

/** Holds the latches of the blobs, asks again, and acts on the answer before it lets them go. */
async function settleLatched(group: readonly Suspect[], parts: SettleParts): Promise<void> {
  await parts.latch.whileHeld(group, uidOf, async (held) => {
    const free = held.filter(({ id }) => parts.rule.mayJudge(id.uid))
    if (free.length === 0) return
    const driveIds = free.map(({ driveId }) => driveId)
    const moments = await Moments.of(driveIds, parts.node)
    const verdicts = await look(free, parts)
    for (const [at, verdict] of verdicts?.entries() ?? [])
      await settleOne(free[at]!, verdict, { ...parts, moments })
  })
}

async function settleOne(suspect: Suspect, verdict: Verdict, parts: LatchedParts): Promise<void> {
  try {
    if (isNamed(suspect, verdict)) return
    if (parts.coordinator.state.orphanHold) parts.counts.left.held += 1
    else if (verdict === 'unnamed') await remove(suspect, parts)
    else await settleStray(suspect, verdict, parts)
  } catch (error) {
    if (!(error instanceof DriveUnavailable)) throw error
    parts.counts.left.undecided += 1
  }
}

async function remove(suspect: Suspect, parts: LatchedParts): Promise<void> {
  if (!(await deleteOrphan(suspect, parts))) parts.counts.left.undecided += 1
}

/** A row names the blob, with another drive for this slot: what lies there is read whole before this one goes. */
async function settleStray(
  stray: Suspect,
  reference: BlobReference,
  parts: LatchedParts,
): Promise<void> {
  const { blob } = reference
  const { slot } = stray.id
  if (slot >= blob.drives.length) {
    parts.counts.left.useless += 1
    return
  }
  const own = await readSlot(blob, slot, parts)
  if (own === 'whole') await remove(stray, parts)
  else if (own === 'unreachable') parts.counts.left.undecided += 1
  else if (!(await adopt(stray, reference, parts))) parts.counts.left.useless += 1
}

/** Names the stray in the row: it need not be made again. False when it is of no use there. */
async function adopt(
  { driveId, id, bucketId, key }: Suspect,
  { rowKey, blob }: BlobReference,
  parts: SettleParts,
): Promise<boolean> {
  const { uid, part, slot } = id
  if (blob.drives.includes(driveId) || parts.isLeftBehind(driveId, id)) return false
  // A drive that is to be emptied must not be named anew: it may be on its way out.
  const drive = parts.coordinator.state.map.drives.find(({ id }) => id === driveId)
  if (drive?.state !== 'active') return false
  const drives = blob.drives.map((before, at) => (at === slot ? driveId : before))
  // What others decided before does not delete it any more: then it is read.
  await parts.node.keepShard(driveId, id)
  if ((await readSlot({ ...blob, drives }, slot, parts)) !== 'whole') return false
  const answer = await parts.rule.partitionOf({ bucketId, key }).commit({
    kind: 'move-blob',
    commandId: newUid(parts.world),
    rowKey,
    uid,
    part,
    from: blob.drives,
    drives,
  })
  if (answer.kind !== 'done') return false
  parts.counts.adopted += 1
  parts.log.info({ driveId, uid, part, slot }, 'a shard that was left behind is in use again')
  return true
}
