// Builds the table of slots: weighted rendezvous, corrected so that no drive has more than its share
// of any slot (storage.md 1). Pure: the same drives and seed give the same table.
import { xxh64 } from '../digest/xxh64.ts'
import { type ErasureCode, MatrixId, shardCount } from '../kit/erasure-code.ts'
import type { ClusterMap, MapDrive } from './cluster-map.ts'

/** Slots behind those of the code, for drives that are out. */
const SPARE_SLOTS = 2

/** Into how many parts keys are cut, for data and for metadata: powers of two, the first not the smaller one. */
export type PartitionCounts = Pick<ClusterMap, 'partitionCount' | 'metaPartitionCount'>

/** Embedded: few drives, so few partitions (storage.md 12). */
const EMBEDDED_PARTITIONS: PartitionCounts = { partitionCount: 256, metaPartitionCount: 8 }

/** Code by number of drives (storage.md 1, "Code profile"). */
export function codeForDrives(driveCount: number): ErasureCode {
  const [dataCount, parityCount] = profile(driveCount)
  return { dataCount, parityCount, matrix: MatrixId.CentredVandermonde }
}

function profile(driveCount: number): readonly [number, number] {
  if (driveCount >= 12) return [8, 4]
  if (driveCount >= 9) return [6, 3]
  if (driveCount >= 6) return [4, 2]
  const few = [
    [1, 0],
    [1, 0],
    [1, 1],
    [1, 2],
    [2, 2],
    [3, 2],
  ] as const
  return few[driveCount]!
}

/** How many drives every partition of such a store has. */
export function slotCountFor(driveCount: number, code: ErasureCode): number {
  return Math.min(driveCount, shardCount(code) + SPARE_SLOTS)
}

/** The first map of an embedded store. */
export function buildMap(
  drives: MapDrive[],
  code: ErasureCode,
  seed: string,
  counts: PartitionCounts = EMBEDDED_PARTITIONS,
): ClusterMap {
  const width = slotCountFor(drives.length, code)
  const slots = Array.from({ length: counts.partitionCount }, (): number[] => [])
  for (let position = 0; position < width; position += 1) fillPosition(slots, drives, seed)
  return { drives, code, seed, ...counts, slots }
}

/** Gives every partition its next slot, so that each drive is near its weighted share of every position: the best-scored drive that has not had its share yet, else the least loaded. */
function fillPosition(slots: number[][], drives: readonly MapDrive[], seed: string): void {
  const left = sharesOf(drives, slots.length)
  const shareLeft = ({ id }: MapDrive): number => left.get(id)!
  slots.forEach((taken, partition) => {
    const free = drives.filter(({ id }) => !taken.includes(id))
    const open = free.filter((drive) => shareLeft(drive) > 0)
    const chosen =
      open.length > 0
        ? best(open, (drive) => score(drive, partition, seed))
        : best(free, (drive) => shareLeft(drive) / drive.weight)
    taken.push(chosen.id)
    left.set(chosen.id, shareLeft(chosen) - 1)
  })
}

/** How many of `total` slots each drive gets: by weight, rounded so that the sum is right. */
function sharesOf(drives: readonly MapDrive[], total: number): Map<number, number> {
  const totalWeight = drives.reduce((sum, { weight }) => sum + weight, 0)
  let weightSoFar = 0
  let given = 0
  return new Map(
    drives.map(({ id, weight }) => {
      weightSoFar += weight
      const share = Math.round((total * weightSoFar) / totalWeight) - given
      given += share
      return [id, share]
    }),
  )
}

/** Weighted rendezvous: -weight / ln(u), u uniform in (0, 1) from a hash of drive and partition. */
function score(drive: MapDrive, partition: number, seed: string): number {
  const hash = xxh64(Buffer.from(`${drive.uuid}/${partition}`), BigInt(seed))
  const uniform = (Number(hash >> 11n) + 0.5) / 2 ** 53
  return -drive.weight / Math.log(uniform)
}

function best<Item>(items: readonly Item[], value: (item: Item) => number): Item {
  return items.reduce((winner, item) => (value(item) > value(winner) ? item : winner))
}
