// Builds the first map of a store: its code by the number of drives, and its table of slots.
// Pure: the same drives and seed give the same map.
import { type ErasureCode, MatrixId } from '../kit/erasure-code.ts'
import type { ClusterMap, MapDrive } from './cluster-map.ts'
import { rebalance } from './rebalance.ts'

/** Into how many parts keys are cut, for data and for metadata: powers of two, the first not the smaller one. */
export type PartitionCounts = Pick<ClusterMap, 'partitionCount' | 'metaPartitionCount'>

/** Embedded: few drives, so few partitions. */
export const EMBEDDED_PARTITIONS: PartitionCounts = { partitionCount: 256, metaPartitionCount: 8 }

/** Code by number of drives. */
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

/** The first map of an embedded store: its table is what an edit of an empty one gives. */
export function buildMap(
  drives: MapDrive[],
  code: ErasureCode,
  seed: string,
  counts: PartitionCounts = EMBEDDED_PARTITIONS,
): ClusterMap {
  const empty = Array.from({ length: counts.partitionCount }, (): number[] => [])
  return { drives, code, seed, ...counts, slots: rebalance({ drives, code, seed, slots: empty }) }
}
