// The codes that are tested, and stripes of them filled the same on every run.
import { type ErasureCode, MatrixId } from '../../../src/kit/erasure-code.ts'

/** k+m as data. */
export function code(dataCount: number, parityCount: number): ErasureCode {
  return { dataCount, parityCount, matrix: MatrixId.CentredVandermonde }
}

/** Every code that the number of drives can choose, and copies. */
export const CHOSEN_CODES = [
  code(1, 0),
  code(1, 1),
  code(1, 2),
  code(1, 3),
  code(1, 4),
  code(2, 2),
  code(3, 2),
  code(4, 2),
  code(6, 3),
  code(8, 4),
]

/** Codes that only `--code` can choose. */
export const WIDE_CODES = [code(8, 3), code(10, 4), code(12, 4), code(16, 4)]

/** All subsets of 0 … count - 1 with 1 to `most` members. */
export function subsets(count: number, most: number): number[][] {
  const all: number[][] = [[]]
  for (let member = 0; member < count; member += 1) {
    for (const subset of [...all]) if (subset.length < most) all.push([...subset, member])
  }
  return all.slice(1)
}

/** 0 … count - 1 without `lost`. */
export function others(count: number, lost: readonly number[]): number[] {
  return Array.from({ length: count }, (_, index) => index).filter((index) => !lost.includes(index))
}

/** Fills `bytes` from a small linear generator; golden files hold its results, so it never changes. */
export function fill(bytes: Uint8Array, seed: number): Uint8Array {
  let state = (seed * 2654435761) >>> 0
  for (let index = 0; index < bytes.length; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[index] = state >>> 24
  }
  return bytes
}

/** k cells of `cellBytes` filled bytes and m empty ones. */
export function newCells({ dataCount, parityCount }: ErasureCode, cellBytes: number): Uint8Array[] {
  return Array.from({ length: dataCount + parityCount }, (_, index) => {
    const cell = new Uint8Array(cellBytes)
    return index < dataCount ? fill(cell, index + 1) : cell
  })
}
