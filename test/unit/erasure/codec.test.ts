// The codec as other rooms see it: every loss that a code must stand, with both kernels, and what it refuses.
import t from 'tap'
import { Codec } from '../../../src/erasure/codec.ts'
import type { KernelCompiler } from '../../../src/erasure/kernels/kernel.ts'
import { type ErasureCode, nameCode, shardCount } from '../../../src/kit/erasure-code.ts'
import { CHOSEN_CODES, code, fill, newCells, others, subsets, WIDE_CODES } from './codes.ts'

const CELL_BYTES = 384

const noSimd: KernelCompiler = () => {
  throw new Error('SIMD unsupported')
}
const open = (compile?: KernelCompiler): Promise<Codec> =>
  Codec.open({ maxShards: 20, cellBytes: 4096, poolBytes: 4 * 20 * 4400 }, compile)

for (const chosen of CHOSEN_CODES) {
  t.test(`${nameCode(chosen)} stands every loss of up to m shards`, async (t) => {
    const codec = await open()
    t.equal(codec.kernel, 'wasm')
    t.same(await failures(codec, chosen, subsets(shardCount(chosen), chosen.parityCount)), [])
  })
}

for (const wide of WIDE_CODES) {
  t.test(`${nameCode(wide)} stands losses of m shards, every 37th of them`, async (t) => {
    const patterns = subsets(shardCount(wide), wide.parityCount)
    const sample = patterns.filter((_, index) => index % 37 === 0)
    t.same(await failures(await open(), wide, sample), [])
  })
}

t.test('without SIMD the readable kernel does the same', async (t) => {
  const codec = await open(noSimd)
  t.equal(codec.kernel, 'javascript')
  t.match(codec.kernelTrouble, { message: 'SIMD unsupported' })
  for (const chosen of CHOSEN_CODES) {
    const patterns = subsets(shardCount(chosen), chosen.parityCount)
    const sample = patterns.filter((_, index) => index % 5 === 0)
    t.same(await failures(codec, chosen, sample), [], nameCode(chosen))
  }
})

t.test('a kernel that computes nonsense is not used', async (t) => {
  const codec = await open(() => (cells) => {
    cells[7]![3]! ^= 1
  })
  t.equal(codec.kernel, 'javascript')
  t.match(codec.kernelTrouble, { message: /wrong/ })
})

t.test('copies have cells of any length', async (t) => {
  const codec = await open()
  const copies = code(1, 2)
  for (const cellBytes of [0, 1, 127, 4095, 4096]) {
    const stripe = await codec.acquire()
    const [first, second, third] = stripe.cells as [Uint8Array, Uint8Array, Uint8Array]
    fill(first, 5)
    second.fill(0)
    third.fill(0)
    codec.encode(copies, stripe, cellBytes)
    t.same(second.subarray(0, cellBytes), first.subarray(0, cellBytes))
    t.ok(
      second.subarray(cellBytes).every((byte) => byte === 0),
      'and nothing more is written',
    )
    first.fill(0)
    codec.reconstruct(copies, stripe, cellBytes, [2], [0])
    t.same(first.subarray(0, cellBytes), third.subarray(0, cellBytes))
    stripe.release()
  }
})

t.test('bytes behind the cells asked for are left alone', async (t) => {
  const codec = await open()
  const stripe = await codec.acquire()
  for (const cell of stripe.cells) cell.fill(9)
  codec.encode(code(4, 2), stripe, 256)
  codec.reconstruct(code(4, 2), stripe, 256, [1, 2, 3, 4], [0, 5])
  t.ok(stripe.cells.every((cell) => cell.subarray(256).every((byte) => byte === 9)))
})

t.test('one wanted of two lost, and more present than needed', async (t) => {
  const codec = await open()
  const stripe = await encoded(codec, code(4, 2))
  const wanted = stripe.cells[1]!.slice(0, CELL_BYTES)
  stripe.cells[0]!.fill(0)
  stripe.cells[1]!.fill(0)
  codec.reconstruct(code(4, 2), stripe, CELL_BYTES, [5, 4, 3, 2], [1])
  t.same(stripe.cells[1]!.subarray(0, CELL_BYTES), wanted)
  t.ok(
    stripe.cells[0]!.every((byte) => byte === 0),
    'what nobody wanted is not written',
  )
  stripe.cells[1]!.fill(0)
  codec.reconstruct(code(4, 1), stripe, CELL_BYTES, [4, 3, 2, 0], [])
  t.ok(
    stripe.cells[1]!.every((byte) => byte === 0),
    'nothing wanted, nothing done',
  )
})

t.test('what would be our own bug is refused', async (t) => {
  const codec = await open()
  const stripe = await codec.acquire()
  const foreign = await (await open()).acquire()
  const refused = (call: () => void, message: RegExp): void => {
    t.throws(call, { name: 'AssertionFailed', message })
  }
  refused(() => codec.encode(code(17, 2), stripe, 128), /knows the code/)
  refused(() => codec.encode(code(4, 5), stripe, 128), /knows the code/)
  refused(() => codec.encode(code(0, 2), stripe, 128), /knows the code/)
  refused(() => codec.encode({ ...code(4, 2), matrix: 2 as 1 }, stripe, 128), /knows the code/)
  refused(() => codec.encode(code(4, 2), foreign, 128), /of this codec/)
  refused(() => codec.encode(code(4, 2), stripe, 100), /whole blocks/)
  refused(() => codec.encode(code(4, 2), stripe, -128), /length/)
  refused(() => codec.encode(code(4, 2), stripe, 4096 + 128), /room/)
  const mend = (present: number[], wanted: number[]) => () =>
    codec.reconstruct(code(4, 2), stripe, 128, present, wanted)
  refused(mend([0, 1, 2], [3]), /at least k/)
  refused(mend([0, 1, 2, 2], [3]), /named twice/)
  refused(mend([0, 1, 2, 3], [3]), /named twice/)
  refused(mend([0, 1, 2, 3], [6]), /numbered/)
  refused(mend([0, 1, 2, -1], [3]), /numbered/)
  refused(mend([0, 1, 2, 3.5], [3]), /numbered/)
  stripe.release()
  refused(() => codec.encode(code(4, 2), stripe, 128), /held/)
  refused(() => stripe.release(), /once/)
  const narrow = await Codec.open({ maxShards: 3, cellBytes: 128, poolBytes: 2048 })
  const small = await narrow.acquire()
  refused(() => narrow.encode(code(2, 2), small, 128), /cell for every shard/)
})

/** The patterns whose lost cells did not come back as they were. */
async function failures(codec: Codec, code: ErasureCode, patterns: number[][]): Promise<string[]> {
  const stripe = await encoded(codec, code)
  const wanted = stripe.cells.map((cell) => cell.slice(0, CELL_BYTES))
  const failed = patterns.filter((lost) => {
    for (const index of lost) stripe.cells[index]!.fill(0xee)
    codec.reconstruct(code, stripe, CELL_BYTES, others(shardCount(code), lost), lost)
    return lost.some(
      (index) => Buffer.compare(stripe.cells[index]!.subarray(0, CELL_BYTES), wanted[index]!) !== 0,
    )
  })
  stripe.release()
  return failed.map((lost) => lost.join())
}

async function encoded(
  codec: Codec,
  code: ErasureCode,
): Promise<Awaited<ReturnType<Codec['acquire']>>> {
  const stripe = await codec.acquire()
  for (const [index, cell] of newCells(code, CELL_BYTES).entries()) stripe.cells[index]!.set(cell)
  codec.encode(code, stripe, CELL_BYTES)
  return stripe
}
