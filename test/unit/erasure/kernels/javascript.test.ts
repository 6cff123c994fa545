// The readable kernel against its dumb twin: symbols taken out of the strips one by one,
// multiplied in the field, put back.
import t, { type Test } from 'tap'
import { multiply } from '../../../../src/erasure/galois.ts'
import { compileJavascript } from '../../../../src/erasure/kernels/javascript.ts'
import { type Plan, planEncode, planReconstruct } from '../../../../src/erasure/reed-solomon.ts'
import { BLOCK_BYTES, nameCode } from '../../../../src/kit/erasure-code.ts'
import { CHOSEN_CODES, code, newCells, WIDE_CODES } from '../codes.ts'

for (const shape of [...CHOSEN_CODES, ...WIDE_CODES]) {
  t.test(`encode ${nameCode(shape)}`, async (t) => {
    compare(t, planEncode(shape), newCells(shape, 2 * BLOCK_BYTES))
  })
}

t.test('reconstruct with coefficients of every kind', async (t) => {
  const shape = code(6, 4)
  const cells = newCells(code(10, 0), BLOCK_BYTES)
  compare(t, planReconstruct(shape, [2, 4, 6, 7, 8, 9], [0, 1, 3, 5]), cells)
})

function compare(t: Test, plan: Plan, cells: Uint8Array[]): void {
  const wanted = cells.map((cell) => cell.slice())
  const cellBytes = cells[0]!.length
  compileJavascript(plan)(cells, cellBytes)
  for (const [row, target] of plan.targets.entries()) {
    for (let symbol = 0; symbol < cellBytes; symbol += 1) {
      const sum = plan.sources.reduce(
        (sum, source, index) =>
          sum ^ multiply(plan.rows[row]![index]!, readSymbol(wanted[source]!, symbol)),
        0,
      )
      writeSymbol(wanted[target]!, symbol, sum)
    }
  }
  t.same(cells, wanted)
}

/** Where bit `bit` of symbol `symbol` is: 128 symbols to a block, bit b of all of them in its strip b. */
function placeOf(symbol: number, bit: number): { byte: number; mask: number } {
  const block = Math.floor(symbol / 128) * 128
  const inStrip = symbol % 128
  return { byte: block + bit * 16 + Math.floor(inStrip / 8), mask: 1 << (inStrip % 8) }
}

function readSymbol(cell: Uint8Array, symbol: number): number {
  let value = 0
  for (let bit = 0; bit < 8; bit += 1) {
    const { byte, mask } = placeOf(symbol, bit)
    if (cell[byte]! & mask) value |= 1 << bit
  }
  return value
}

function writeSymbol(cell: Uint8Array, symbol: number, value: number): void {
  for (let bit = 0; bit < 8; bit += 1) {
    const { byte, mask } = placeOf(symbol, bit)
    if ((value >> bit) & 1) cell[byte]! |= mask
    else cell[byte]! &= ~mask
  }
}
