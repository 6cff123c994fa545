// Shards that no row seems to name, on their way to be deleted: looked at twice, a grace time apart, the second time
// under the latch of their blob. Whatever is not known for certain stays (docs/decisions/0012-orphans.md).
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { Log } from '../../kit/log.ts'
import { newUid } from '../../kit/uid.ts'
import type { World } from '../../kit/world.ts'
import type { BlobReference } from '../../metadata/contract.ts'
import type { Blob } from '../../metadata/records.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import type { DriveId, ShardDescription, ShardId, StorageNode } from '../contract.ts'
import type { BlobLatch } from './blob-latch.ts'
import { checkSlot, type SlotHealth } from './check-blob.ts'
import type { BlobPlace, OrphanRule } from './orphan-rule.ts'

/** A shard where it lies. */
export interface FoundShard {
  driveId: DriveId
  id: ShardId
}

/** A shard, and what its header says. */
interface Suspect extends FoundShard, BlobPlace {
  shardBytes: number
}

/** What became of shards that no row names where they lie. */
export interface SettledCounts {
  /** No row named them, or one that names a whole one elsewhere. */
  deleted: number
  deletedBytes: number
  /** Better than what the row named in their place: the row names them now. */
  adopted: number
  left: LeftCounts
}

/** Shards that stay, and why. */
export interface LeftCounts {
  /** Their header can not be read. */
  unreadable: number
  /** The row's own shard is not whole, and neither are they, or they lie where they can not be used. */
  useless: number
  /** Nothing could be known of them now. */
  undecided: number
  /** They would go, or be named in another's place, but nothing does since rows were made again (docs/guides/recovery.md). */
  held: number
}

/** Nothing yet. */
export function noneSettled(): SettledCounts {
  const left = { unreadable: 0, useless: 0, undecided: 0, held: 0 }
  return { deleted: 0, deletedBytes: 0, adopted: 0, left }
}

/** What settling needs. */
export interface SettleParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  node: StorageNode
  coordinator: Pick<Coordinator, 'state'>
  rule: OrphanRule
  latch: BlobLatch
  /** Whether the healer is about to delete this copy: then it is not named anew, for that may be decided after it was asked. */
  isLeftBehind(driveId: DriveId, id: ShardId): boolean
  counts: SettledCounts
  /** How long a reader may take from finding a row to saying what it reads. */
  graceMs: number
  /** Rests as the pace asks; throws when work is to end. */
  pace(): Promise<void>
  signal: AbortSignal
}

/** Blobs of one key that are asked about at once: so long are their latches held. */
const LATCHED_AT_ONCE = 32

/** Deletes those of the shards that are orphans for certain. */
export async function settleOrphans(
  found: readonly FoundShard[],
  parts: SettleParts,
): Promise<void> {
  const suspects: Suspect[] = []
  for (const shard of found) {
    const suspect = await readSuspect(shard, parts)
    if (suspect) suspects.push(suspect)
    await parts.pace()
  }
  const unnamed: Suspect[][] = []
  for (const group of groupByKey(suspects)) {
    const verdicts = await look(group, parts)
    const left = group.filter((suspect, at) => !isNamed(suspect, verdicts?.[at]))
    if (verdicts && left.length > 0) unnamed.push(left)
    await parts.pace()
  }
  if (unnamed.length === 0) return
  // Who found a row before it went has said by then what he reads of it: he is seen by the rule.
  await parts.world.clock.sleep(parts.graceMs, parts.signal)
  for (const group of unnamed) {
    for (let from = 0; from < group.length; from += LATCHED_AT_ONCE) {
      await settleLatched(group.slice(from, from + LATCHED_AT_ONCE), parts)
      await parts.pace()
    }
  }
}

/** What the shard says of itself; undefined when it is gone, or can not be read. */
async function readSuspect(
  { driveId, id }: FoundShard,
  { node, counts }: SettleParts,
): Promise<Suspect | undefined> {
  const opened = await node.openShard(driveId, id)
  if (opened.kind === 'missing') return undefined
  if (opened.kind === 'found') {
    const described = await opened.reader.describe().finally(() => opened.reader.close())
    if (described.kind === 'missing') return undefined
    if (described.kind === 'found') return suspectOf(driveId, id, described.description)
  }
  counts.left.unreadable += 1
  return undefined
}

function suspectOf(
  driveId: DriveId,
  id: ShardId,
  { bucketId, key, shardBytes }: ShardDescription,
): Suspect {
  return { driveId, id, bucketId, key, shardBytes }
}

function groupByKey(suspects: readonly Suspect[]): Iterable<Suspect[]> {
  const groups = new Map<string, Suspect[]>()
  for (const suspect of suspects) {
    const name = `${suspect.bucketId}/${suspect.key}`
    const group = groups.get(name)
    if (group) group.push(suspect)
    else groups.set(name, [suspect])
  }
  return groups.values()
}

type Verdict = BlobReference | 'unnamed'

/** What rows say of shards of one key; undefined when nobody can say now: then nothing happens to them. */
async function look(
  group: readonly Suspect[],
  { rule, counts, log, signal }: SettleParts,
): Promise<Verdict[] | undefined> {
  try {
    const references = await rule.find(
      group[0]!,
      group.map(({ id }) => id),
    )
    return references.map((reference) => reference ?? 'unnamed')
  } catch (error) {
    signal.throwIfAborted()
    counts.left.undecided += group.length
    log.debug({ shards: group.length, error: String(error) }, 'shards could not be judged')
    return undefined
  }
}

function isNamed({ driveId, id }: FoundShard, verdict: Verdict | undefined): boolean {
  return typeof verdict === 'object' && verdict.blob.drives[id.slot] === driveId
}

/** Holds the latches of the blobs, asks again, and acts on the answer before it lets them go. */
async function settleLatched(group: readonly Suspect[], parts: SettleParts): Promise<void> {
  const held = new Map<string, () => void>()
  try {
    const free = group.filter(({ id: { uid } }) => {
      const letGo = held.get(uid) ?? parts.latch.tryHold(uid)
      if (letGo) held.set(uid, letGo)
      return letGo !== undefined && parts.rule.mayJudge(uid)
    })
    if (free.length === 0) return
    const verdicts = await look(free, parts)
    for (const [at, verdict] of verdicts?.entries() ?? [])
      await settleOne(free[at]!, verdict, parts)
  } finally {
    for (const letGo of held.values()) letGo()
  }
}

async function settleOne(suspect: Suspect, verdict: Verdict, parts: SettleParts): Promise<void> {
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

async function remove(
  { driveId, id, shardBytes }: Suspect,
  { node, counts, log }: SettleParts,
): Promise<void> {
  await node.deleteShard(driveId, id)
  counts.deleted += 1
  counts.deletedBytes += shardBytes
  log.debug({ driveId, ...id, shardBytes }, 'an orphan was deleted')
}

/** A row names the blob, with another drive for this slot: what lies there is read whole before this one goes. */
async function settleStray(
  stray: Suspect,
  reference: BlobReference,
  parts: SettleParts,
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

function readSlot(blob: Blob, slot: number, parts: SettleParts): Promise<SlotHealth> {
  const { node, coordinator, pace } = parts
  const { map } = coordinator.state
  return checkSlot(blob, slot, 'deep', {
    ...{ node, map, pace, awaited: new Set<DriveId>() },
    countRead: () => {},
  })
}
