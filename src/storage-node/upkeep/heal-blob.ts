// One blob on its way back to all of its shards: check, mend, write into its row where they lie now.
import type { Codec } from '../../erasure/codec.ts'
import type { Log } from '../../kit/log.ts'
import { newUid } from '../../kit/uid.ts'
import type { World } from '../../kit/world.ts'
import type { BlobReference, MetadataPartition } from '../../metadata/contract.ts'
import type { Blob } from '../../metadata/records.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import type { DriveId, StorageNode } from '../contract.ts'
import { type BlobCheck, type CheckDepth, checkBlob } from './check-blob.ts'
import { isOwed, mendBlob } from './mend-blob.ts'

/** What healing needs. */
export interface HealParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  node: StorageNode
  codec: Codec
  coordinator: Coordinator
  countRead(bytes: number): void
  countWritten(bytes: number): void
  countMended(shards: number): void
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
  /** Some shards are still owed. `waiting`: no drive is left for them; else a drive gave trouble and it is worth trying again. */
  | { kind: 'owing'; shards: number; waiting: boolean }
  | { kind: 'unrepairable'; good: number; needed: number }
  /** The row does not name the blob any more. */
  | { kind: 'gone' }
  /** No row named it before anything was done. */
  | { kind: 'deleted' }

/** Where the row of a blob is. */
export interface HealRequest {
  partition: MetadataPartition
  reference: BlobReference
  depth: CheckDepth
  /** It has a repair row: that must go even if nothing is found to be owed. */
  hasRepairRow: boolean
}

/** Checks a blob and mends what it lacks. Throws only what says nothing of the blob: metadata without an answer, our own faults. */
export async function healBlob(request: HealRequest, parts: HealParts): Promise<Healed> {
  const { map } = parts.coordinator.state
  const { blob } = request.reference
  const awaited = parts.awaited()
  const before = await checkBlob(blob, request.depth, { ...parts, map, awaited })
  let check = before
  let shards = 0
  let failed = 0
  let trouble: Extract<Healed, { kind: 'unrepairable' }> | undefined
  // Mending may find that a shard which was only looked at is damaged: at most once for each of them.
  for (let round = 0; round < check.slots.length; round += 1) {
    if (!check.slots.some(isOwed)) break
    const mended = await mendBlob(blob, check, { ...parts, map })
    if (mended.kind === 'unrepairable') {
      trouble = mended
      break
    }
    shards += mended.mended.size
    failed = mended.failed
    check = afterMending(check, mended)
    if (mended.damaged.length === 0) break
  }
  parts.countMended(shards)
  // A blob that was deleted meanwhile loses its shards as garbage, so before trouble is believed its row is asked.
  const asksRow = shards > 0 || request.hasRepairRow || trouble !== undefined
  if (asksRow && !(await enterDrives(request, check.drives, parts))) {
    await takeBack(blob, before.drives, check.drives, parts)
    return { kind: 'gone' }
  }
  return trouble ?? judge(check, { shards, failed })
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

function judge({ slots }: BlobCheck, mended: { shards: number; failed: number }): Healed {
  const owed = slots.filter((health) => health !== 'whole')
  if (owed.length > 0) {
    const waiting = mended.failed === 0 && !owed.includes('unreachable')
    return { kind: 'owing', shards: owed.length, waiting }
  }
  return mended.shards > 0 ? { kind: 'mended', shards: mended.shards } : { kind: 'whole' }
}

/** False when the row does not name the blob any more. */
async function enterDrives(
  { partition, reference }: HealRequest,
  drives: readonly DriveId[],
  { world }: HealParts,
): Promise<boolean> {
  const { rowKey, blob } = reference
  const answer = await partition.commit({
    kind: 'move-blob',
    commandId: newUid(world),
    rowKey,
    uid: blob.uid,
    part: blob.part,
    from: blob.drives,
    drives: [...drives],
  })
  return answer.kind === 'done'
}

/** Only shards that were made here, on drives that no row ever named for them. */
async function takeBack(
  { uid, part }: Blob,
  before: readonly DriveId[],
  after: readonly DriveId[],
  { node, log }: HealParts,
): Promise<void> {
  for (const [slot, driveId] of after.entries()) {
    if (driveId === before[slot]) continue
    try {
      await node.deleteShard(driveId, { uid, part, slot })
    } catch (error) {
      log.debug({ uid, driveId, error: String(error) }, 'a shard stays as an orphan')
    }
  }
}
