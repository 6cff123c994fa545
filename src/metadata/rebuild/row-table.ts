// All rows of a partition in memory, in order of key: what a rebuild reads and writes instead of a log.
import { compareBytes } from '../../kit/bytes.ts'
import type { Row } from '../commands/decision.ts'
import type { RowRange } from '../log/contract.ts'

/** A run of rows is cut in two when it is longer: a change moves no more than that. */
const RUN_ROWS_MAX = 512

/** Rows by key. Reads and changes take logarithmic time, a scan that and what it gives. */
export class RowTable {
  /** None is empty; every key of a run is below those of the next. */
  readonly #runs: Row[][] = []

  get(key: Uint8Array): Uint8Array | undefined {
    const run = this.#runs[this.#runOf(key)]
    const row = run?.[placeIn(run, key)]
    return row && compareBytes(row.key, key) === 0 ? row.value : undefined
  }

  put(key: Uint8Array, value: Uint8Array): void {
    const index = this.#runOf(key)
    const run = this.#runs[index]
    if (run === undefined) {
      this.#runs.push([{ key, value }])
      return
    }
    const at = placeIn(run, key)
    const isThere = run[at] !== undefined && compareBytes(run[at].key, key) === 0
    run.splice(at, isThere ? 1 : 0, { key, value })
    if (run.length > RUN_ROWS_MAX) this.#runs.splice(index + 1, 0, run.splice(RUN_ROWS_MAX >> 1))
  }

  delete(key: Uint8Array): void {
    const index = this.#runOf(key)
    const run = this.#runs[index]
    if (run === undefined) return
    const at = placeIn(run, key)
    if (run[at] === undefined || compareBytes(run[at].key, key) !== 0) return
    run.splice(at, 1)
    if (run.length === 0) this.#runs.splice(index, 1)
  }

  /** The first `limit` rows of the range. */
  scan({ from, to }: RowRange, limit = Number.POSITIVE_INFINITY): Row[] {
    const found: Row[] = []
    const first = this.#runOf(from)
    for (let index = first; index < this.#runs.length; index += 1) {
      const run = this.#runs[index]!
      for (let at = index === first ? placeIn(run, from) : 0; at < run.length; at += 1) {
        const row = run[at]!
        if (found.length >= limit || compareBytes(row.key, to) >= 0) return found
        found.push(row)
      }
    }
    return found
  }

  /** All of them. Nothing may be changed meanwhile. */
  *[Symbol.iterator](): Generator<Row> {
    for (const run of this.#runs) yield* run
  }

  /** The run that has the key, or that it belongs in: the last one that does not begin above it. */
  #runOf(key: Uint8Array): number {
    let low = 0
    let high = this.#runs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareBytes(this.#runs[middle]![0]!.key, key) <= 0) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }
}

/** Where the key is in a run, or would be. */
function placeIn(run: readonly Row[], key: Uint8Array): number {
  let low = 0
  let high = run.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareBytes(run[middle]!.key, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
