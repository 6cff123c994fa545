// Key and map → partition → drives. Pure and the same in every process (storage.md 1).

import { xxh64 } from '../digest/xxh64.ts'
import { type ErasureCode, shardCount } from '../kit/erasure-code.ts'
import { type BucketId, MISSING_SLOT } from '../metadata/records.ts'
import type { ClusterMap } from './cluster-map.ts'

/** Data partition of a key: the upper bits of xxh64(bucketId, 0, key) under the cluster's secret seed. */
export function partitionOfKey(map: ClusterMap, bucketId: BucketId, key: string): number {
  const keyBytes = Buffer.byteLength(key)
  const name = Buffer.allocUnsafe(9 + keyBytes)
  name.writeBigUInt64BE(BigInt(bucketId), 0)
  name[8] = 0
  name.write(key, 9)
  const hash = xxh64(name, BigInt(map.seed))
  return Number(hash >> BigInt(64 - Math.log2(map.partitionCount)))
}

/** Metadata partition that remembers the keys of data partition `partition`: a prefix of its bits. */
export function metaPartitionOf(map: ClusterMap, partition: number): number {
  return Math.floor(partition / (map.partitionCount / map.metaPartitionCount))
}

/** Where the shards of a new blob go. `drives[slot]` is MISSING_SLOT where nothing can be written. */
export interface Placement {
  code: ErasureCode
  drives: number[]
}

/**
 * Places a blob that wants `wanted`. Drives that are out are replaced by spares; where those do not suffice
 * the code keeps its parity and shrinks its data ("keep m, shrink k"); with m drives or fewer left there are
 * copies on all of them and empty slots that a repair row owes. undefined: no drive at all.
 */
export function placeBlob(
  map: ClusterMap,
  partition: number,
  wanted: ErasureCode,
): Placement | undefined {
  const home = map.slots[partition]!
  const active = new Set(map.drives.filter((drive) => drive.state === 'active').map(({ id }) => id))
  const live = home.filter((id) => active.has(id))
  if (live.length === 0) return undefined
  if (live.length >= shardCount(wanted)) {
    return { code: wanted, drives: withSpares(home.slice(0, shardCount(wanted)), live) }
  }
  const dataCount = Math.max(1, live.length - wanted.parityCount)
  const code = { ...wanted, dataCount }
  const holes = Math.max(0, shardCount(code) - live.length)
  return {
    code,
    drives: [...live.slice(0, shardCount(code)), ...Array<number>(holes).fill(MISSING_SLOT)],
  }
}

/** Slots stay where they are; a drive that is out is replaced by one that is live and not used yet. */
function withSpares(home: readonly number[], live: readonly number[]): number[] {
  const spares = live.filter((id) => !home.includes(id))
  return home.map((id) => (live.includes(id) ? id : spares.shift()!))
}
