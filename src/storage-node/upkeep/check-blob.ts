// How the shards of one blob are: a look at each slot, or every byte of it. Unknown is never taken for lost.
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import { type Blob, MISSING_SLOT } from '../../metadata/records.ts'
import type { ClusterMap } from '../../placement/cluster-map.ts'
import type { DriveId, ShardDescription, ShardReader, StorageNode } from '../contract.ts'

/** `shallow`: there is such a shard. `deep`: header, every cell and tail were read and verified. */
export type CheckDepth = 'shallow' | 'deep'

/**
 * What a slot turned out to be. `out`: its drive is recorded as out. `awaited`: so it is, but it may come back, and
 * there is time. `unwritten`: it never got a shard.
 * `unreachable`: the drive does not answer though it is not recorded as out; nothing follows from that.
 */
export type SlotHealth =
  | 'whole'
  | 'missing'
  | 'corrupt'
  | 'out'
  | 'awaited'
  | 'unwritten'
  | 'unreachable'

/** The health of a blob, slot by slot. */
export interface BlobCheck {
  drives: readonly DriveId[]
  slots: readonly SlotHealth[]
}

/** How many shards are whole, as far as was looked. */
export function countWhole({ slots }: BlobCheck): number {
  return slots.filter((health) => health === 'whole').length
}

/** What a check needs, and who wants to know how much was read. */
export interface CheckParts {
  node: StorageNode
  map: ClusterMap
  /** Drives that are out and may come back. */
  awaited: ReadonlySet<DriveId>
  countRead(bytes: number): void
  /** Called between cells: rests as the pace asks, throws when work is to end. */
  pace(): Promise<void>
}

/** Checks one slot after the other, with one cell of memory at most. */
export async function checkBlob(
  blob: Blob,
  depth: CheckDepth,
  parts: CheckParts,
): Promise<BlobCheck> {
  const { drives } = blob
  const slots: SlotHealth[] = []
  for (const slot of drives.keys()) slots.push(await checkSlot(blob, slot, depth, parts))
  return { drives, slots }
}

/** Cells of a shard. */
export function cellCountOf({ shardBytes, cellBytes }: ShardDescription): number {
  return Math.ceil(shardBytes / cellBytes)
}

/** Length of cell `index`: all are full but the last. */
export function cellLengthOf({ shardBytes, cellBytes }: ShardDescription, index: number): number {
  return Math.min(cellBytes, shardBytes - index * cellBytes)
}

/** Whether a shard says that it is one of this blob. */
export function belongsTo(description: ShardDescription, blob: Blob): boolean {
  const { id, code, blobBytes, cellBytes } = description
  return (
    id.uid === blob.uid &&
    id.part === blob.part &&
    code.dataCount === blob.code.dataCount &&
    code.parityCount === blob.code.parityCount &&
    code.matrix === blob.code.matrix &&
    blobBytes === blob.bytes &&
    cellBytes === blob.cellBytes
  )
}

/** Checks one slot of a blob. */
export async function checkSlot(
  blob: Blob,
  slot: number,
  depth: CheckDepth,
  parts: CheckParts,
): Promise<SlotHealth> {
  const { node, map, awaited } = parts
  const driveId = blob.drives[slot]!
  if (driveId === MISSING_SLOT) return 'unwritten'
  const state = map.drives.find(({ id }) => id === driveId)?.state ?? 'out'
  if (state === 'out') return awaited.has(driveId) ? 'awaited' : 'out'
  try {
    const opened = await node.openShard(driveId, { uid: blob.uid, part: blob.part, slot })
    if (opened.kind !== 'found') return opened.kind
    try {
      return depth === 'deep' ? await readWhole(opened.reader, blob, parts) : 'whole'
    } finally {
      await opened.reader.close()
    }
  } catch (error) {
    if (error instanceof DriveUnavailable) return 'unreachable'
    throw error
  }
}

async function readWhole(
  reader: ShardReader,
  blob: Blob,
  { countRead, pace }: CheckParts,
): Promise<SlotHealth> {
  const described = await reader.describe()
  if (described.kind !== 'found') return described.kind
  const { description } = described
  if (!belongsTo(description, blob)) return 'corrupt'
  const target = Buffer.allocUnsafe(Math.min(description.cellBytes, description.shardBytes))
  for (let index = 0; index < cellCountOf(description); index += 1) {
    const read = await reader.readCell(index, target)
    if (read.kind !== 'found') return read.kind
    countRead(read.bytes)
    await pace()
  }
  return 'whole'
}
