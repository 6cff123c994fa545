// The matrix: any k rows of it can be inverted, for every code that the codec accepts.
import t from 'tap'
import { inverse, multiply } from '../../../src/erasure/galois.ts'
import {
  chooseSources,
  invert,
  MAX_DATA_COUNT,
  MAX_PARITY_COUNT,
  type Matrix,
  parityMatrix,
  planReconstruct,
  supportsCode,
} from '../../../src/erasure/reed-solomon.ts'
import { code, subsets } from './codes.ts'

// A systematic code is MDS exactly if every square part of its parity rows has an inverse.
t.test('every code to 16+4 is MDS', async (t) => {
  for (let k = 1; k <= MAX_DATA_COUNT; k += 1) {
    const rows = parityMatrix(code(k, MAX_PARITY_COUNT))
    const singular = subsets(rows.length, rows.length).flatMap((chosen) =>
      subsets(k, chosen.length)
        .filter((columns) => columns.length === chosen.length)
        .map((columns) => chosen.map((row) => columns.map((column) => rows[row]![column]!)))
        .filter((square) => determinant(square) === 0),
    )
    t.same(singular, [], `k = ${k}`)
  }
})

t.test('a code with fewer parity shards is a part of that with more', async (t) => {
  for (let m = 0; m < 4; m += 1) {
    t.same(parityMatrix(code(7, m)), parityMatrix(code(7, 4)).slice(0, m))
  }
})

t.test('the first parity row is plain XOR, and all of k = 1 is copies', async (t) => {
  t.same(parityMatrix(code(16, 4))[0], new Array(16).fill(1))
  t.same(parityMatrix(code(1, 4)), [[1], [1], [1], [1]])
})

t.test('data and the XOR parity are preferred as sources', async (t) => {
  t.same(chooseSources(code(4, 2), [5, 3, 4, 1, 0]), [0, 1, 3, 4])
  t.same(planReconstruct(code(4, 2), [0, 1, 3, 4], [2]).rows, [[1, 1, 1, 1]])
  t.throws(() => chooseSources(code(4, 2), [0, 1, 2]), { name: 'AssertionFailed' })
})

t.test('an inverse undoes its matrix, rows swapped where the pivot is zero', async (t) => {
  const matrix = [
    [0, 2, 3],
    [1, 0, 7],
    [9, 1, 0],
  ]
  t.same(product(matrix, invert(matrix)), [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ])
  t.throws(
    () =>
      invert([
        [1, 2],
        [1, 2],
      ]),
    { name: 'AssertionFailed' },
  )
})

t.test('codes out of bounds are not supported', async (t) => {
  t.ok(supportsCode(code(16, 4)))
  t.ok(supportsCode(code(1, 0)))
  for (const [k, m] of [
    [0, 1],
    [17, 1],
    [4, 5],
    [4, -1],
    [2.5, 1],
    [4, Number.NaN],
  ] as const) {
    t.notOk(supportsCode(code(k, m)), `${k}+${m}`)
  }
  t.notOk(supportsCode({ ...code(4, 2), matrix: 2 as 1 }))
})

function determinant(matrix: Matrix): number {
  const rows = matrix.map((row) => [...row])
  let result = 1
  for (let column = 0; column < rows.length; column += 1) {
    const pivot = rows.findIndex((row, index) => index >= column && row[column] !== 0)
    if (pivot < 0) return 0
    const [pivotRow] = rows.splice(pivot, 1) as [number[]]
    rows.splice(column, 0, pivotRow)
    result = multiply(result, pivotRow[column]!)
    for (const row of rows.slice(column + 1)) {
      const factor = multiply(row[column]!, inverse(pivotRow[column]!))
      for (const [index, value] of pivotRow.entries()) row[index]! ^= multiply(factor, value)
    }
  }
  return result
}

function product(left: Matrix, right: Matrix): number[][] {
  return left.map((row) =>
    right[0]!.map((_, column) =>
      row.reduce((sum, value, index) => sum ^ multiply(value, right[index]![column]!), 0),
    ),
  )
}
