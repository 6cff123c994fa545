// The fast kernel against the readable one: every code, lengths around the tile, cells close
// together and far apart, nothing written but the targets.
import t from 'tap'
import { compileJavascript } from '../../../../src/erasure/kernels/javascript.ts'
import { compileWasm } from '../../../../src/erasure/kernels/wasm.ts'
import { type Plan, planEncode, planReconstruct } from '../../../../src/erasure/reed-solomon.ts'
import { nameCode } from '../../../../src/kit/erasure-code.ts'
import { webAssembly } from '../../../../src/kit/webassembly.ts'
import { code, fill, others } from '../codes.ts'

/** One block, a few, a tile of 2,048 bytes less and more a block, and several tiles and a bit. */
const LENGTHS = [0, 128, 384, 1920, 2048, 2176, 6272]
const STRIDE_BYTES = 6272 + 192
const ROOM = 20

for (let k = 2; k <= 16; k += 1) {
  t.test(`k = ${k}, encode and the loss of the first shards`, async (t) => {
    for (let m = 1; m <= 4; m += 1) {
      const shape = code(k, m)
      const lost = others(k + m, []).slice(0, m)
      const sources = others(k + m, lost)
      t.same(differences(planEncode(shape), LENGTHS), [], nameCode(shape))
      t.same(differences(planReconstruct(shape, sources, lost), [2176]), [], nameCode(shape))
    }
  })
}

t.test('random coefficients, zeros among them', async (t) => {
  const noise = fill(new Uint8Array(4 * 16 * 20), 77)
  for (let round = 0; round < 20; round += 1) {
    const rows = [0, 1, 2, 3].map((row) =>
      Array.from(
        { length: 16 },
        (_, column) => noise[(round * 4 + row) * 16 + column]! & (column * 17),
      ),
    )
    const plan = { sources: others(16, []), targets: [16, 17, 18, 19], rows }
    t.same(differences(plan, [256]), [], `round ${round}`)
  }
})

t.test('a target made of nothing is our own bug', async (t) => {
  const memory = new webAssembly.Memory({ initial: 1, maximum: 1 })
  const plan = { sources: [0, 1], targets: [2], rows: [[0, 0]] }
  t.throws(() => compileWasm(plan, { memory, strideBytes: 128 }), { name: 'AssertionFailed' })
})

/** The lengths for which the two kernels leave different bytes anywhere in memory. */
function differences(plan: Plan, lengths: readonly number[]): number[] {
  const memory = new webAssembly.Memory({ initial: 3, maximum: 3 })
  const twin = { buffer: new ArrayBuffer(memory.buffer.byteLength) }
  const fast = compileWasm(plan, { memory, strideBytes: STRIDE_BYTES })
  const readable = compileJavascript(plan)
  return lengths.filter((cellBytes) => {
    fast(cellsOf(memory, cellBytes), cellBytes)
    readable(cellsOf(twin, cellBytes), cellBytes)
    return Buffer.compare(new Uint8Array(memory.buffer), new Uint8Array(twin.buffer)) !== 0
  })
}

function cellsOf({ buffer }: { buffer: ArrayBuffer }, seed: number): Uint8Array[] {
  fill(new Uint8Array(buffer), seed + 1)
  return Array.from({ length: ROOM }, (_, index) => {
    return new Uint8Array(buffer, 64 + index * STRIDE_BYTES, STRIDE_BYTES - 192)
  })
}
