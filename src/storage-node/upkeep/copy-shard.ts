// Copies one shard from a drive to another: every cell is checked when it is read, and the copy is read back before
// anybody counts on it. What it was copied from is not touched.
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { Log } from '../../kit/log.ts'
import type { Blob } from '../../metadata/records.ts'
import type { DriveId, ShardDescription, ShardReader, ShardWriter } from '../contract.ts'
import { belongsTo, cellCountOf } from './check-blob.ts'
import { addToSum, type ReadBackParts, sumOfShard } from './read-back.ts'

/** What copying needs. */
export interface CopyParts extends ReadBackParts {
  log: Log
  countWritten(bytes: number): void
}

/** Which shard goes where. */
export interface CopyWay {
  slot: number
  from: DriveId
  to: DriveId
}

/**
 * `damaged`: it is not whole where it lies. `unavailable`: a drive can not be used, which says nothing of the shard; it is not said
 * here. `failed`: what was written is not what is read there.
 */
export type Copied =
  | { kind: 'done'; bytes: number }
  | { kind: 'damaged' }
  | { kind: 'unavailable'; driveId: DriveId; why: string }
  | { kind: 'failed' }

/** Copies a shard of a blob; it is durable and was read back when the answer is `done`. */
export async function copyShard(blob: Blob, way: CopyWay, parts: CopyParts): Promise<Copied> {
  try {
    const { uid, part } = blob
    const opened = await parts.node.openShard(way.from, { uid, part, slot: way.slot })
    if (opened.kind !== 'found') return { kind: 'damaged' }
    try {
      return await copyFrom(opened.reader, blob, way, parts)
    } finally {
      await opened.reader.close()
    }
  } catch (error) {
    if (!(error instanceof DriveUnavailable)) throw error
    const { driveId, message, cause } = error
    return { kind: 'unavailable', driveId, why: cause === undefined ? message : String(cause) }
  }
}

async function copyFrom(
  reader: ShardReader,
  blob: Blob,
  { to }: CopyWay,
  parts: CopyParts,
): Promise<Copied> {
  const described = await reader.describe()
  if (described.kind !== 'found' || !belongsTo(described.description, blob))
    return { kind: 'damaged' }
  const { description } = described
  const writer = await parts.node.beginShard(to, description, 'move')
  let isCommitted = false
  try {
    const sum = await copyCells(reader, writer, description, parts)
    if (sum === undefined) return { kind: 'damaged' }
    await writer.commit()
    isCommitted = true
    if ((await sumOfShard(to, description, parts)) === sum)
      return { kind: 'done', bytes: description.shardBytes }
    const data = { driveId: to, id: description.id }
    parts.log.warn(data, 'a shard that was moved is not read back as it was written')
    return { kind: 'failed' }
  } finally {
    if (!isCommitted) await writer.abort().catch(() => undefined) // What the drive has of it is a draft.
  }
}

/** The sum over all cells; undefined when one of them is damaged. */
async function copyCells(
  reader: ShardReader,
  writer: ShardWriter,
  description: ShardDescription,
  { pace, countRead, countWritten }: CopyParts,
): Promise<bigint | undefined> {
  const cell = Buffer.allocUnsafe(Math.min(description.cellBytes, description.shardBytes))
  let sum = 0n
  for (let index = 0; index < cellCountOf(description); index += 1) {
    await pace()
    const read = await reader.readCell(index, cell)
    if (read.kind !== 'found') return undefined
    countRead(read.bytes)
    const bytes = cell.subarray(0, read.bytes)
    sum = addToSum(bytes, sum)
    await writer.write(bytes)
    countWritten(read.bytes)
  }
  return sum
}
