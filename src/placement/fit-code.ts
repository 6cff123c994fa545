// What becomes of a code when drives leave and too few stay for it: the parity stays, and with it how many drives may be
// lost; there are fewer data shards. Pure.
import { type ErasureCode, shardCount } from '../kit/erasure-code.ts'
import type { Blob } from '../metadata/records.ts'
import type { ClusterMap } from './cluster-map.ts'
import { FailureDomains } from './failure-domains.ts'

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
 * never be whole on those that stay; in a cluster also where it has more than the nodes and zones of those drives may have of
 * a blob. undefined when it can stay as it is.
 */
export function codeForAnew(
  map: Pick<ClusterMap, 'slots' | 'drives' | 'code'>,
  { code, partition }: Pick<Blob, 'code' | 'partition'>,
): ErasureCode | undefined {
  const row = map.slots[partition]!
  const fitting = fitCode(code, row.length)
  const width = shardCount(map.code)
  // Of the class REDUCED_REDUNDANCY no node is held to fewer shards than of others.
  const isWider = shardCount(code) > width && code.parityCount === map.code.parityCount
  const domains = isWider ? FailureDomains.of(map) : undefined
  if (domains === undefined) return fitting === code ? undefined : fitting
  if (fitting === code && domains.roomOn(row) >= shardCount(code)) return undefined
  return fitCode(code, width)
}

/** Shards of the widest code that any blob may have: of the rows of the table, or of those that were wider before. */
export function shardsOfWidest({
  slots,
  widestShards = 0,
}: Pick<ClusterMap, 'slots' | 'widestShards'>): number {
  return Math.max(widestShards, ...slots.slice(0, 1).map((row) => row.length))
}
