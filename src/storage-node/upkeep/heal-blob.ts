// One blob on its way back to all of its shards: check, mend, write into its row where they lie now.
import type { Codec } from '../../erasure/codec.ts'
import type { Log } from '../../kit/log.ts'
import type { Uid } from '../../kit/uid.ts'
import type { World } from '../../kit/world.ts'
import type { BlobReference, MetadataPartition } from '../../metadata/contract.ts'
import type { Blob } from '../../metadata/records.ts'
import { whereaboutsOf } from '../../metadata/rows/blob-rows.ts'
import type { ClusterMap } from '../../placement/cluster-map.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import { chooseMoves } from '../../placement/moves.ts'
import type { DriveId, StorageNode } from '../contract.ts'
import { type BlobCheck, type CheckDepth, checkBlob, countWhole } from './check-blob.ts'
import { type CopyWay, copyShard } from './copy-shard.ts'
import type { LeftBehind } from './left-behind.ts'
import { isOwed, mendBlob } from './mend-blob.ts'
import { Moments } from './moments.ts'

/** What healing needs. */
export interface HealParts {
  world: Pick<World, 'clock'>
  log: Log
  node: StorageNode
  codec: Codec
  coordinator: Coordinator
  /** By the wall clock, whatever the one here is: it is compared with what other machines know. */
  newCommandId(): Uid
  countRead(bytes: number): void
  countWritten(bytes: number): void
  countMended(shards: number): void
  /** A shard went away from a drive. */
  countMoved(bytes: number, way: Pick<CopyWay, 'from' | 'to'>): void
  /** A shard that was to move stays for now because of a drive. `why` is for people. */
  movePostponed(driveId: DriveId, why: string): void
  /** Where copies are entered that no row names any more. */
  leftBehind: LeftBehind
  /** A shard turned out to be damaged that was only to be moved. */
  reportDamaged(blob: Blob): void
  /** Drives that are out and may come back: what is on them is not made again yet. */
  awaited(): ReadonlySet<DriveId>
  /** Called between cells: rests as the pace asks, throws when work is to end. */
  pace(): Promise<void>
}

/** How a blob was left. */
export type Healed =
  /** Every shard was there: looked at, or read whole, as was asked. */
  | { kind: 'whole' }
  /** Every shard is there again. */
  | { kind: 'mended'; shards: number }
  /**
   * Some shards are still owed. `waiting`: no drive is left for them, or those that have them may come back; else a
   * drive gave trouble and it is worth trying again. `unknown`: too few drives answer to say whether it can be mended.
   * `isRotten`: some of them lie there and are damaged, which a mere look does not see.
   */
  | { kind: 'owing'; shards: number; waiting: boolean; unknown?: true; isRotten?: true }
  /** `isRotten`: as above. */
  | { kind: 'unrepairable'; good: number; needed: number; isRotten?: true }
  /** The row does not name the blob any more. */
  | { kind: 'gone' }
  /** No row named it before anything was done. */
  | { kind: 'deleted' }

/** Where the row of a blob is. */
export interface HealRequest {
  /** Of one reign: it takes no change of a row whose shards were made in an earlier one. */
  partition: MetadataPartition
  reference: BlobReference
  depth: CheckDepth
  /** It has a repair row: that must go even if nothing is found to be owed. */
  hasRepairRow: boolean
  /** Its shards go where the table wants them, once all are there. */
  moves?: boolean
}

/** Checks a blob and mends what it lacks. Throws only what says nothing of the blob: metadata without an answer, our own faults. */
export async function healBlob(request: HealRequest, parts: HealParts): Promise<Healed> {
  const { map } = parts.coordinator.state
  const { blob } = request.reference
  const awaited = parts.awaited()
  let check = atOnceWithoutSpare(
    await checkBlob(blob, request.depth, { ...parts, map, awaited }),
    blob,
  )
  let shards = 0
  let failed = 0
  let unknown = false
  let trouble: Extract<Healed, { kind: 'unrepairable' }> | undefined
  // Mending may find that a shard which was only looked at is damaged: at most once for each of them.
  for (let round = 0; round < check.slots.length; round += 1) {
    if (!check.slots.some(isOwed)) break
    const mended = await mendBlob(blob, check, { ...parts, map })
    if (mended.kind === 'unrepairable') {
      trouble = mended
      break
    }
    if (mended.kind === 'unknown') {
      failed = mended.silent
      unknown = true
      break
    }
    shards += mended.mended.size
    failed = mended.failed
    check = atOnceWithoutSpare(afterMending(check, mended), blob)
    if (mended.damaged.length === 0) break
  }
  parts.countMended(shards)
  // A blob that was deleted meanwhile loses its shards as garbage, so before trouble is believed its row is asked.
  const asksRow = shards > 0 || request.hasRepairRow || trouble !== undefined
  if (asksRow && !(await enterDrives(request, check.drives, parts))) {
    await takeBack(request, check.drives, parts)
    return { kind: 'gone' }
  }
  if (trouble) return trouble
  const isThere = !request.moves || (await moveShards(request, check, parts))
  return isThere ? judge(check, { shards, failed, unknown }) : { kind: 'gone' }
}

/**
 * Shards that are whole go where the table wants them, a round for each that has to wait for another to make room.
 * One that turns out to be damaged stays, and is reported. False when the row does not name the blob any more.
 */
async function moveShards(
  { partition, reference }: HealRequest,
  { drives, slots }: BlobCheck,
  parts: HealParts,
): Promise<boolean> {
  const { map } = parts.coordinator.state
  let blob: Blob = { ...reference.blob, drives: [...drives] }
  for (let round = 0; round < slots.length; round += 1) {
    const after = await copyShards(blob, slots, map, parts)
    if (!after) break
    const request = { partition, reference: { ...reference, blob } }
    if (!(await enterDrives(request, after, parts))) {
      await takeBack(request, after, parts)
      return false
    }
    blob = { ...blob, drives: after }
  }
  return true
}

/** The drives of the blob with the copies that could be made; undefined when there are none. */
async function copyShards(
  blob: Blob,
  slots: BlobCheck['slots'],
  map: ClusterMap,
  parts: HealParts,
): Promise<DriveId[] | undefined> {
  const after = [...blob.drives]
  const shardBytes = Math.ceil(blob.bytes / blob.code.dataCount)
  let bytes = 0
  for (const [slot, to] of chooseMoves(map, blob)) {
    // Where there is no room it stays for now: the mover hears of it when there is some.
    if (slots[slot] !== 'whole' || !parts.node.hasRoom(to, shardBytes, 'move')) continue
    const why = parts.node.whyAside?.(to)
    if (why !== undefined) {
      parts.movePostponed(to, why)
      continue
    }
    const from = blob.drives[slot]!
    const copied = await copyShard(blob, { slot, from, to }, parts)
    if (copied.kind === 'damaged') parts.reportDamaged(blob)
    if (copied.kind === 'unavailable') parts.movePostponed(copied.driveId, copied.why)
    if (copied.kind !== 'done') continue
    after[slot] = to
    bytes += copied.bytes
    parts.countMoved(copied.bytes, { from, to })
  }
  return bytes > 0 ? after : undefined
}

/** What can not lose another shard waits for no drive. */
function atOnceWithoutSpare(check: BlobCheck, { code }: Blob): BlobCheck {
  if (countWhole(check) > code.dataCount) return check
  return { ...check, slots: check.slots.map((health) => (health === 'awaited' ? 'out' : health)) }
}

function afterMending(
  { drives, slots }: BlobCheck,
  { mended, damaged }: { mended: Map<number, DriveId>; damaged: readonly number[] },
): BlobCheck {
  return {
    drives: drives.map((driveId, slot) => mended.get(slot) ?? driveId),
    slots: slots.map((health, slot) => {
      if (mended.has(slot)) return 'whole'
      return damaged.includes(slot) ? 'corrupt' : health
    }),
  }
}

function judge(
  { slots }: BlobCheck,
  mended: { shards: number; failed: number; unknown: boolean },
): Healed {
  const owed = slots.filter((health) => health !== 'whole')
  if (owed.length > 0) {
    const waiting = mended.failed === 0 && !owed.includes('unreachable')
    const { unknown } = mended
    return {
      ...{ kind: 'owing', shards: owed.length, waiting },
      ...(unknown ? { unknown } : {}),
      ...(owed.includes('corrupt') ? { isRotten: true } : {}),
    }
  }
  return mended.shards > 0 ? { kind: 'mended', shards: mended.shards } : { kind: 'whole' }
}

/** False when the row does not name the blob any more. What the row named before is left behind. */
async function enterDrives(
  request: Pick<HealRequest, 'partition' | 'reference'>,
  drives: readonly DriveId[],
  { world, coordinator, leftBehind, newCommandId }: HealParts,
): Promise<boolean> {
  const { partition, reference } = request
  const { rowKey, blob } = reference
  const { uid, part } = blob
  // A commit that nobody waited for to its end may be done yet: what it names is never deleted as left behind.
  for (const [slot, driveId] of drives.entries())
    if (driveId !== blob.drives[slot]) leftBehind.cancel(driveId, { uid, part, slot })
  const answer = await partition.commit({
    kind: 'move-blob',
    commandId: newCommandId(),
    rowKey,
    uid,
    part,
    from: blob.drives,
    drives: [...drives],
  })
  if (answer.kind !== 'done') return false
  for (const [slot, driveId] of drives.entries()) {
    const before = blob.drives[slot]!
    if (driveId === before) continue
    const id = { uid, part, slot }
    // What lies on a drive that is away is found as an orphan when it is back.
    const isThere = coordinator.state.map.drives.some(
      (drive) => drive.id === before && drive.state !== 'out',
    )
    const copy = { driveId: before, id, partition: partition.id, reference }
    if (isThere) leftBehind.add(copy, world.clock.now())
  }
  return true
}

/**
 * Shards that were made here and that no row names after all. One may: an earlier move of which nobody heard the end is
 * done before the one that was refused. So the row is asked, and where it does not answer nothing is deleted.
 */
async function takeBack(
  { partition, reference }: Pick<HealRequest, 'partition' | 'reference'>,
  after: readonly DriveId[],
  { node, log }: HealParts,
): Promise<void> {
  const { rowKey, blob } = reference
  const { uid, part } = blob
  try {
    const moments = new Moments(node)
    const made = [...after.entries()].filter(([slot, driveId]) => driveId !== blob.drives[slot])
    for (const [, driveId] of made) await moments.on(driveId)
    const named = await partition.findBlob({ ...whereaboutsOf(rowKey), rowKey, blob })
    for (const [slot, driveId] of made) {
      if (driveId === named?.blob.drives[slot]) continue
      await node.deleteUntouched(driveId, { uid, part, slot }, await moments.on(driveId))
    }
  } catch (error) {
    log.debug({ uid, error: String(error) }, 'shards that were made again stay as orphans')
  }
}
