// Shards that no row seems to name: looked at twice, a grace time apart, before anything becomes of them. What that is
// depends on who knows of writers and readers: this process (settle-orphans.ts), or who leads the partition (settle-by-leader.ts).
import type { Log } from '../../kit/log.ts'
import type { Uid } from '../../kit/uid.ts'
import type { World } from '../../kit/world.ts'
import type { BlobReference } from '../../metadata/contract.ts'
import type { Blob } from '../../metadata/records.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import type { DriveId, ShardDescription, ShardId, StorageNode } from '../contract.ts'
import { checkSlot, type SlotHealth } from './check-blob.ts'
import type { Moments } from './moments.ts'
import type { BlobPlace, OrphanRule } from './orphan-rule.ts'

/** A shard where it lies. */
export interface FoundShard {
  driveId: DriveId
  id: ShardId
}

/** A shard, and what its header says. */
export interface Suspect extends FoundShard, BlobPlace {
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

/** What looking at them needs. */
export interface SuspectParts {
  world: Pick<World, 'clock'>
  log: Log
  /** Drives that shards lie on: all that rows may name. */
  node: StorageNode
  coordinator: Pick<Coordinator, 'state'>
  rule: Pick<OrphanRule, 'find'>
  counts: SettledCounts
  /** How long a reader may take from finding a row to saying what it reads. */
  graceMs: number
  /** Rests as the pace asks; throws when work is to end. */
  pace(): Promise<void>
  signal: AbortSignal
}

/** How those that no row named are decided on. */
export interface Settling {
  /** Which of them together, each group of one key. */
  join(groups: readonly Suspect[][]): Suspect[][]
  settle(together: readonly Suspect[]): Promise<void>
}

/** Looks at the shards, and after the grace time has those settled that no row named. */
export async function settleUnnamed(
  found: readonly FoundShard[],
  parts: SuspectParts,
  { join, settle }: Settling,
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
  // Who found a row before it went has said by then what he reads of it, or is done.
  await parts.world.clock.sleep(parts.graceMs, parts.signal)
  for (const together of join(unnamed)) {
    await settle(together)
    await parts.pace()
  }
}

/** At most so many at a time. */
export function slicesOf<One>(all: readonly One[], most: number): One[][] {
  return Array.from({ length: Math.ceil(all.length / most) }, (_, at) =>
    all.slice(at * most, (at + 1) * most),
  )
}

/** What the shard says of itself; undefined when it is gone, or can not be read. */
async function readSuspect(
  { driveId, id }: FoundShard,
  { node, counts }: SuspectParts,
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

/** Shards of one key after the other. */
export function groupByKey<One extends Suspect>(suspects: readonly One[]): Iterable<One[]> {
  const groups = new Map<string, One[]>()
  for (const suspect of suspects) {
    const name = `${suspect.bucketId}/${suspect.key}`
    const group = groups.get(name)
    if (group) group.push(suspect)
    else groups.set(name, [suspect])
  }
  return groups.values()
}

/** What a row says of a blob, if one does. */
export type Verdict = BlobReference | 'unnamed'

/** What rows say of shards of one key; undefined when nobody can say now: then nothing happens to them. */
export async function look(
  group: readonly Suspect[],
  { rule, counts, log, signal }: SuspectParts,
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

/** The blob that a shard is of. */
export function uidOf({ id }: FoundShard): Uid {
  return id.uid
}

/** Deletes it, unless it may have been made again or kept since `moments`: then false. Throws DriveUnavailable. */
export async function deleteOrphan(
  { driveId, id, shardBytes }: Suspect,
  { node, counts, log, moments }: SuspectParts & { moments: Moments },
): Promise<boolean> {
  if (!(await node.deleteUntouched(driveId, id, await moments.on(driveId)))) return false
  counts.deleted += 1
  counts.deletedBytes += shardBytes
  log.debug({ driveId, ...id, shardBytes }, 'an orphan was deleted')
  return true
}

/** Whether a row names the shard where it lies. */
export function isNamed({ driveId, id }: FoundShard, verdict: Verdict | undefined): boolean {
  return typeof verdict === 'object' && verdict.blob.drives[id.slot] === driveId
}

/** Reads whole what lies in a slot by the row. */
export function readSlot(blob: Blob, slot: number, parts: SuspectParts): Promise<SlotHealth> {
  const { node, coordinator, pace } = parts
  const { map } = coordinator.state
  return checkSlot(blob, slot, 'deep', {
    ...{ node, map, pace, awaited: new Set<DriveId>() },
    countRead: () => {},
  })
}
