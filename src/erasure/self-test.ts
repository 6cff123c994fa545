// Before the first byte of an object is encoded: does the fast kernel, on this machine and this
// engine, compute what the readable one computes?
import { BLOCK_BYTES, type ErasureCode, MatrixId } from '../kit/erasure-code.ts'
import { webAssembly } from '../kit/webassembly.ts'
import { compileJavascript } from './kernels/javascript.ts'
import type { KernelCompiler } from './kernels/kernel.ts'
import { type Plan, planEncode, planReconstruct } from './reed-solomon.ts'

/** Small, with two passes, and one more block than a tile has. */
const CODE: ErasureCode = { dataCount: 4, parityCount: 4, matrix: MatrixId.CentredVandermonde }
const CELL_BYTES = 17 * BLOCK_BYTES

/** Whether kernels of `compile` agree with the reference; else, why they can not be used. */
export type SelfTest = { kind: 'passed' } | { kind: 'failed'; reason: unknown }

/** Compares encoding and a reconstruction of lost data and parity. */
export function selfTest(compile: KernelCompiler): SelfTest {
  const plans = [planEncode(CODE), planReconstruct(CODE, [1, 3, 5, 6], [0, 2, 4, 7])]
  try {
    const wrong = plans.some((plan) => !agrees(compile, plan))
    return wrong ? { kind: 'failed', reason: new Error('the kernel is wrong') } : { kind: 'passed' }
  } catch (reason) {
    return { kind: 'failed', reason }
  }
}

function agrees(compile: KernelCompiler, plan: Plan): boolean {
  const memory = new webAssembly.Memory({ initial: 1, maximum: 1 })
  const cells = Array.from({ length: 8 }, (_, index) => {
    return fillOddly(new Uint8Array(memory.buffer, index * CELL_BYTES, CELL_BYTES))
  })
  const wanted = cells.map((cell) => cell.slice())
  compile(plan, { memory, strideBytes: CELL_BYTES })(cells, CELL_BYTES)
  compileJavascript(plan)(wanted, CELL_BYTES)
  return cells.every((cell, index) => Buffer.compare(cell, wanted[index]!) === 0)
}

/** Bytes without any pattern that the code could follow: the high bits of a linear generator. */
function fillOddly(cell: Uint8Array): Uint8Array {
  let state = cell.byteOffset + 1
  for (let index = 0; index < cell.length; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    cell[index] = state >>> 24
  }
  return cell
}
