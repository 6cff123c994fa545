// Reads a shard back from its drive: only what is there is counted on.
import { xxh64 } from '../../digest/xxh64.ts'
import type { DriveId, ShardDescription, ShardReader, StorageNode } from '../contract.ts'
import { cellCountOf } from './check-blob.ts'

/** What reading back needs. */
export interface ReadBackParts {
  node: StorageNode
  countRead(bytes: number): void
  /** Called between cells: rests as the pace asks, throws when work is to end. */
  pace(): Promise<void>
}

/** The sum over the cells of a shard as cells were written; each goes on from the sum of those before. */
export function addToSum(cell: Uint8Array, sum: bigint): bigint {
  return xxh64(cell, sum)
}

/** The sum over all cells of a shard on its drive; undefined when it is not there or not whole. */
export async function sumOfShard(
  driveId: DriveId,
  description: ShardDescription,
  parts: ReadBackParts,
): Promise<bigint | undefined> {
  const opened = await parts.node.openShard(driveId, description.id)
  return opened.kind === 'found' ? await sumOf(opened.reader, description, parts) : undefined
}

async function sumOf(
  reader: ShardReader,
  description: ShardDescription,
  { countRead, pace }: ReadBackParts,
): Promise<bigint | undefined> {
  const target = Buffer.allocUnsafe(Math.min(description.cellBytes, description.shardBytes))
  let sum = 0n
  try {
    if ((await reader.describe()).kind !== 'found') return undefined
    for (let index = 0; index < cellCountOf(description); index += 1) {
      const read = await reader.readCell(index, target)
      if (read.kind !== 'found') return undefined
      countRead(read.bytes)
      await pace()
      sum = addToSum(target.subarray(0, read.bytes), sum)
    }
    return sum
  } finally {
    await reader.close()
  }
}
