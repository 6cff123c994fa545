// The code in plain JavaScript, written to be read. It defines what the WebAssembly kernels must
// compute, checks them at start-up and in tests, and stands in where SIMD is missing.
import { BLOCK_BYTES } from '../../kit/erasure-code.ts'
import type { Plan } from '../reed-solomon.ts'
import { STRIP_BYTES, STRIPS, stripMasks } from './bit-matrix.ts'
import type { Kernel } from './kernel.ts'

/** One XOR of a source strip into a target strip; positions count from the start of a block. */
interface StripXor {
  source: number
  sourceStart: number
  target: number
  targetStart: number
}

/** A kernel that carries out `plan`. */
export function compileJavascript(plan: Plan): Kernel {
  const xors = listXors(plan)
  return (cells, cellBytes) => {
    for (const target of plan.targets) cells[target]!.fill(0, 0, cellBytes)
    for (let block = 0; block < cellBytes; block += BLOCK_BYTES) {
      for (const xor of xors) xorStrip(cells, block, xor)
    }
  }
}

function listXors({ sources, targets, rows }: Plan): StripXor[] {
  return stripMasks(rows).flatMap((mask, input) =>
    targets.flatMap((target, row) =>
      stripsIn(mask, row).map((strip) => ({
        source: sources[Math.floor(input / STRIPS)]!,
        sourceStart: (input % STRIPS) * STRIP_BYTES,
        target,
        targetStart: strip * STRIP_BYTES,
      })),
    ),
  )
}

/** The strips of result row `row` in `mask`. */
function stripsIn(mask: number, row: number): number[] {
  return [0, 1, 2, 3, 4, 5, 6, 7].filter((strip) => (mask >>> (row * STRIPS + strip)) & 1)
}

function xorStrip(cells: readonly Uint8Array[], block: number, xor: StripXor): void {
  const source = cells[xor.source]!
  const target = cells[xor.target]!
  const from = block + xor.sourceStart
  const to = block + xor.targetStart
  for (let byte = 0; byte < STRIP_BYTES; byte += 1) target[to + byte]! ^= source[from + byte]!
}
