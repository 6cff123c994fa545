// What is multiplied with what: the matrix of a code, and the plan that gives wanted shards from others.
// Matrix id 1, the centred Vandermonde matrix, is defined here and in docs/formats/codec.md; it never changes.
import { assert } from '../kit/assert.ts'
import { type ErasureCode, MatrixId, shardCount } from '../kit/erasure-code.ts'
import { inverse, multiply, powerOfTwo } from './galois.ts'

/** Widest code. The matrix is MDS up to k = 21; wider codes would only make larger kernels. */
export const MAX_DATA_COUNT = 16
/** Most parity shards of a code: parityMatrix() has no more rows. */
export const MAX_PARITY_COUNT = 4

/** Rows of coefficients in GF(2^8). */
export type Matrix = readonly (readonly number[])[]

/** Cells `targets[t]` = sum over s of `rows[t][s]` times cell `sources[s]`. */
export interface Plan {
  sources: readonly number[]
  targets: readonly number[]
  rows: Matrix
}

/** Whether the codec can work with this code. */
export function supportsCode({ dataCount, parityCount, matrix }: ErasureCode): boolean {
  return (
    matrix === MatrixId.CentredVandermonde &&
    Number.isInteger(dataCount) &&
    Number.isInteger(parityCount) &&
    dataCount >= 1 &&
    dataCount <= MAX_DATA_COUNT &&
    parityCount >= 0 &&
    parityCount <= MAX_PARITY_COUNT
  )
}

/**
 * Row r has 2^(power[r] * (j - floor(k/2))) in column j. The first row is all ones, plain XOR;
 * centring the exponents keeps the coefficients near 1 and the kernels short.
 */
export function parityMatrix({ dataCount, parityCount }: ErasureCode): Matrix {
  const centre = Math.floor(dataCount / 2)
  const power = [0, 1, -1, 2].slice(0, parityCount)
  return power.map((factor) =>
    Array.from({ length: dataCount }, (_, column) => powerOfTwo(factor * (column - centre))),
  )
}

/** The plan that makes all parity from all data. */
export function planEncode(code: ErasureCode): Plan {
  const { dataCount } = code
  return {
    sources: range(0, dataCount),
    targets: range(dataCount, shardCount(code)),
    rows: parityMatrix(code),
  }
}

/**
 * The k shards to reconstruct from, the lowest of those present: data first, which needs no
 * arithmetic, then the XOR parity, which makes one lost data shard a plain XOR.
 */
export function chooseSources(code: ErasureCode, present: readonly number[]): number[] {
  assert(present.length >= code.dataCount, 'at least k shards are present')
  return present.toSorted((left, right) => left - right).slice(0, code.dataCount)
}

/** The plan that makes `wanted` from k `sources`. */
export function planReconstruct(
  code: ErasureCode,
  sources: readonly number[],
  wanted: readonly number[],
): Plan {
  const shards = [...identityMatrix(code.dataCount), ...parityMatrix(code)]
  const dataFromSources = invert(sources.map((source) => shards[source]!))
  const rows = wanted.map((target) => multiplyRow(shards[target]!, dataFromSources))
  return { sources, targets: wanted, rows }
}

/** The inverse of a square matrix, by Gauss-Jordan elimination. It must have one. */
export function invert(matrix: Matrix): Matrix {
  const size = matrix.length
  const identity = identityMatrix(size)
  const work = matrix.map((row, index) => [...row, ...identity[index]!])
  for (let column = 0; column < size; column += 1) {
    const pivot = work.findIndex((row, index) => index >= column && row[column] !== 0)
    assert(pivot >= 0, 'the matrix has an inverse')
    swap(work, pivot, column)
    const pivotRow = scale(work[column]!, inverse(work[column]![column]!))
    work[column] = pivotRow
    for (let index = 0; index < size; index += 1) {
      if (index !== column) addMultiple(work[index]!, pivotRow, work[index]![column]!)
    }
  }
  return work.map((row) => row.slice(size))
}

/** A row times a matrix. */
function multiplyRow(row: readonly number[], matrix: Matrix): number[] {
  const product = new Array<number>(matrix[0]!.length).fill(0)
  for (const [index, factor] of row.entries()) addMultiple(product, matrix[index]!, factor)
  return product
}

/** target += factor * row. */
function addMultiple(target: number[], row: readonly number[], factor: number): void {
  for (const [column, value] of row.entries()) target[column]! ^= multiply(factor, value)
}

function scale(row: readonly number[], factor: number): number[] {
  return row.map((value) => multiply(factor, value))
}

function swap(rows: number[][], left: number, right: number): void {
  const row = rows[left]!
  rows[left] = rows[right]!
  rows[right] = row
}

function identityMatrix(size: number): Matrix {
  return range(0, size).map((row) => range(0, size).map((column) => (row === column ? 1 : 0)))
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, index) => start + index)
}
