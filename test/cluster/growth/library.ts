// Objects of all sizes: rows alone, shards in segments, shards that are files of their own, and parts.

/** How many of which size, in bytes. */
const SHELVES: readonly (readonly [count: number, bytes: number])[] = [
  [30, 700],
  [80, 60_000],
  [60, 250_000],
  [6, 3_000_000],
  [2, 9_000_000],
]

/** Sizes, `times` as many of each. */
export function libraryOf(times: number): number[] {
  return SHELVES.flatMap(([count, bytes]) => Array<number>(count * times).fill(bytes))
}
