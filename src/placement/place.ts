// Key and map → partition → drives. Pure and the same in every process.

import { xxh64 } from '../digest/xxh64.ts'
import { type ErasureCode, shardCount } from '../kit/erasure-code.ts'
import { type BucketId, MISSING_SLOT } from '../metadata/records.ts'
import type { ClusterMap, MapDrive } from './cluster-map.ts'
import { nodeOf } from './failure-domains.ts'
import { quorumOf } from './quorum.ts'

/** Data partition of a key: the upper bits of xxh64(bucketId, 0, key) under the cluster's secret seed. */
export function partitionOfKey(map: ClusterMap, bucketId: BucketId, key: string): number {
  const keyBytes = Buffer.byteLength(key)
  const name = Buffer.allocUnsafe(9 + keyBytes)
  // 64 bits in two halves: a BigInt is an object, and every request comes by here.
  name.writeUInt32BE(Math.floor(bucketId / 2 ** 32), 0)
  name.writeUInt32BE(bucketId % 2 ** 32, 4)
  name[8] = 0
  name.write(key, 9)
  if (map.seed !== latestSeed.text) latestSeed = { text: map.seed, value: BigInt(map.seed) }
  const hash = xxh64(name, latestSeed.value)
  return Number(hash >> BigInt(64 - Math.log2(map.partitionCount)))
}

// A process has one map at a time, and all maps of a cluster have one seed.
let latestSeed = { text: '0', value: 0n }

/** Metadata partition that remembers the keys of data partition `partition`: a prefix of its bits. */
export function metaPartitionOf(map: ClusterMap, partition: number): number {
  return Math.floor(partition / (map.partitionCount / map.metaPartitionCount))
}

/** Metadata partition that remembers a key. */
export function metaPartitionOfKey(
  map: ClusterMap,
  { bucketId, key }: { bucketId: BucketId; key: string },
): number {
  return metaPartitionOf(map, partitionOfKey(map, bucketId, key))
}

/** Where the shards of a new blob go. `drives[slot]` is MISSING_SLOT where nothing can be written. */
export interface Placement {
  code: ErasureCode
  drives: number[]
}

/**
 * Places a blob that wants `wanted`. Drives that are out are replaced by spares; where those do not suffice
 * the code keeps its parity and shrinks its data ("keep m, shrink k"); with m drives or fewer left there are
 * copies on all of them and empty slots that a repair row owes. undefined: no drive at all. In a cluster no node
 * gets more shards than the table gives one, and fewer copies than a write has to wait for are none.
 */
export function placeBlob(
  map: ClusterMap,
  partition: number,
  wanted: ErasureCode,
): Placement | undefined {
  const home = map.slots[partition]!
  const live = liveDrives(map, home, wanted)
  if (live.length === 0) return undefined
  const width = shardCount(wanted)
  if (live.length >= width) {
    return { code: wanted, drives: withSpares(home.slice(0, width), live) }
  }
  const dataCount = Math.max(1, live.length - wanted.parityCount)
  const code = { ...wanted, dataCount }
  const holes = Math.max(0, shardCount(code) - live.length)
  if (holes > 0 && isTooFew(map, live, code)) return undefined
  return {
    code,
    drives: [...live.slice(0, shardCount(code)), ...Array<number>(holes).fill(MISSING_SLOT)],
  }
}

/** Those of a row that may be written to: what has its slot here, then spares of nodes that have not too much already. */
function liveDrives(
  { drives }: ClusterMap,
  home: readonly number[],
  wanted: ErasureCode,
): number[] {
  const active = new Map<number, MapDrive>()
  for (const drive of drives) if (drive.state === 'active') active.set(drive.id, drive)
  const live = home.filter((id) => active.has(id))
  if (!live.some((id) => active.get(id)?.nodeId !== undefined)) return live
  const width = shardCount(wanted)
  const counts = new Map<string, number>()
  const isOfRow = (id: number): boolean => home.indexOf(id) < width
  // First who keeps its slot: a spare never takes the place of one.
  const roomy = [...live.filter(isOfRow), ...live.filter((id) => !isOfRow(id))].filter((id) => {
    const node = nodeOf(active.get(id)!)
    const count = (counts.get(node) ?? 0) + 1
    if (!isOfRow(id) && count > wanted.parityCount) return false
    counts.set(node, count)
    return true
  })
  return live.filter((id) => roomy.includes(id))
}

/** Copies of which one has to be enough, on one node or without the least that a write waits for (docs/decisions/0019-two-copies-of-three.md). */
function isTooFew({ drives }: ClusterMap, live: readonly number[], code: ErasureCode): boolean {
  const members = drives.filter(({ nodeId }) => nodeId !== undefined)
  if (members.length === 0) return false
  const all = new Set(members.map(nodeOf))
  const nodes = new Set(members.filter(({ id }) => live.includes(id)).map(nodeOf))
  return live.length < quorumOf(code) || (all.size > 1 && nodes.size < 2)
}

/** Slots stay where they are; a drive that is out is replaced by one that is live and not used yet. */
function withSpares(home: readonly number[], live: readonly number[]): number[] {
  const spares = live.filter((id) => !home.includes(id))
  return home.map((id) => (live.includes(id) ? id : spares.shift()!))
}
