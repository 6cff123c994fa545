// What becomes of a code when drives leave and too few stay for it: the parity stays, and with it how many drives may be
// lost; there are fewer data shards. Pure.
import { type ErasureCode, shardCount } from '../kit/erasure-code.ts'
import type { Blob } from '../metadata/records.ts'
import type { ClusterMap } from './cluster-map.ts'

/** The code on so many drives: itself where it fits; undefined when not even one data shard has a drive. */
export function fitCode(code: ErasureCode, driveCount: number): ErasureCode | undefined {
  if (shardCount(code) <= driveCount) return code
  const dataCount = driveCount - code.parityCount
  return dataCount < 1 ? undefined : { ...code, dataCount }
}

/** Bytes on drives for each byte of an object. */
export function overheadOf(code: ErasureCode): number {
  return shardCount(code) / code.dataCount
}

/**
 * The code in which a blob has to be written anew because it has more shards than its partition has drives, so that it can
 * never be whole on those that stay; undefined when it can stay as it is.
 */
export function codeForAnew(
  { slots }: Pick<ClusterMap, 'slots'>,
  { code, partition }: Pick<Blob, 'code' | 'partition'>,
): ErasureCode | undefined {
  const fitting = fitCode(code, slots[partition]!.length)
  return fitting === code ? undefined : fitting
}

/** Shards of the widest code that any blob may have: of the rows of the table, or of those that were wider before. */
export function shardsOfWidest({
  slots,
  widestShards = 0,
}: Pick<ClusterMap, 'slots' | 'widestShards'>): number {
  return Math.max(widestShards, ...slots.slice(0, 1).map((row) => row.length))
}
