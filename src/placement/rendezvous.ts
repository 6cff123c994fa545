// Weighted rendezvous: which drive a partition would choose, were it alone. Pure, and the same in every process.
import { xxh64 } from '../digest/xxh64.ts'
import type { MapDrive } from './cluster-map.ts'

/** -weight / ln(u), u uniform in (0, 1) from a hash of drive and partition: the highest wins. */
export function score(
  drive: Pick<MapDrive, 'uuid' | 'weight'>,
  partition: number,
  seed: string,
): number {
  const hash = xxh64(Buffer.from(`${drive.uuid}/${partition}`), BigInt(seed))
  const uniform = (Number(hash >> 11n) + 0.5) / 2 ** 53
  return -drive.weight / Math.log(uniform)
}

/** The first item of the highest value; there must be one. */
export function best<Item>(items: readonly Item[], value: (item: Item) => number): Item {
  const values = items.map(value)
  return items[values.indexOf(Math.max(...values))]!
}
