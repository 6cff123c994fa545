// Cells in, cells out: encodes stripes and makes lost cells again, on the calling thread.
// Encoding costs a tenth of what else is done to a byte, so it is never handed to another thread.
import { assert } from '../kit/assert.ts'
import { BLOCK_BYTES, type ErasureCode, shardCount } from '../kit/erasure-code.ts'
import type { WasmMemory } from '../kit/webassembly.ts'
import { KernelCache } from './kernel-cache.ts'
import { compileJavascript } from './kernels/javascript.ts'
import type { Kernel, KernelCompiler } from './kernels/kernel.ts'
import { compileWasm } from './kernels/wasm.ts'
import { chooseSources, planEncode, planReconstruct, supportsCode } from './reed-solomon.ts'
import { type SelfTest, selfTest } from './self-test.ts'
import { type Stripe, StripePool } from './stripe-pool.ts'

export type { Stripe } from './stripe-pool.ts'

/** Sizes of a codec, fixed for its life. */
export interface CodecOptions {
  /** Shards of the widest code, k + m. */
  maxShards: number
  /** Capacity of a cell. */
  cellBytes: number
  /** Bytes of the pool of stripes; allocated once, never grown, touched only as far as used. */
  poolBytes: number
}

/** Kernels kept ready: 4+2 has 21 patterns of losses. */
const KERNELS_KEPT = 64

/** Encodes and reconstructs stripes of its own pool. */
export class Codec {
  /** Which kernel passed the self-test. */
  readonly kernel: 'wasm' | 'javascript'
  /** Why the fast kernel is not used, if so. */
  readonly kernelTrouble: unknown
  readonly #pool: StripePool
  readonly #compile: KernelCompiler
  readonly #kernels = new KernelCache(KERNELS_KEPT)

  /** Makes the pool and tests the fast kernel; without it the codec is slow but right. */
  static async open(options: CodecOptions, compile: KernelCompiler = compileWasm): Promise<Codec> {
    return new Codec(new StripePool(options), compile)
  }

  private constructor(pool: StripePool, compile: KernelCompiler) {
    const test = testOnce(compile)
    this.#pool = pool
    this.kernel = test.kind === 'passed' ? 'wasm' : 'javascript'
    this.kernelTrouble = test.kind === 'passed' ? undefined : test.reason
    this.#compile = test.kind === 'passed' ? compile : compileJavascript
  }

  /** In which all stripes lie. */
  get memory(): WasmMemory {
    return this.#pool.memory
  }

  /** Stripes that acquire() would give at once. */
  get freeStripes(): number {
    return this.#pool.freeStripes
  }

  /** Whether three quarters of the pool are free: whoever has a use for more than one stripe may hold some. */
  get hasPlenty(): boolean {
    return this.#pool.freeStripes * 4 > this.#pool.stripeCount * 3
  }

  /** Room for one stripe, first come, first served; throws Overloaded when too many wait already. */
  acquire(signal?: AbortSignal): Promise<Stripe> {
    return this.#pool.acquire(signal)
  }

  /** Makes cells k to k + m - 1 from cells 0 to k - 1. Of each, the first `cellBytes` bytes. */
  encode(code: ErasureCode, stripe: Stripe, cellBytes: number): void {
    this.#check(code, stripe, cellBytes)
    const { dataCount, parityCount } = code
    if (parityCount === 0) return
    if (dataCount === 1) {
      copyCell(stripe, cellBytes, 0, indexes(1, shardCount(code)))
      return
    }
    const compile = (): Kernel => this.#compile(planEncode(code), this.#pool)
    this.#kernels.get(kernelKey(code, [], []), compile)(stripe.cells, cellBytes)
  }

  /** Makes the `wanted` cells, data or parity, from the `present`, of which there are at least k. */
  reconstruct(
    code: ErasureCode,
    stripe: Stripe,
    cellBytes: number,
    present: readonly number[],
    wanted: readonly number[],
  ): void {
    this.#check(code, stripe, cellBytes)
    checkIndexes(code, present, wanted)
    if (wanted.length === 0) return
    const sources = chooseSources(code, present)
    if (code.dataCount === 1) {
      copyCell(stripe, cellBytes, sources[0]!, wanted)
      return
    }
    const compile = (): Kernel => this.#compile(planReconstruct(code, sources, wanted), this.#pool)
    this.#kernels.get(kernelKey(code, sources, wanted), compile)(stripe.cells, cellBytes)
  }

  #check(code: ErasureCode, stripe: Stripe, cellBytes: number): void {
    assert(supportsCode(code), 'the codec knows the code')
    assert(this.#pool.holds(stripe), 'the stripe is held and of this codec')
    assert(shardCount(code) <= stripe.cells.length, 'the stripe has a cell for every shard')
    assert(Number.isInteger(cellBytes) && cellBytes >= 0, 'cells have a length')
    assert(cellBytes <= stripe.cells[0]!.length, 'cells are not longer than their room')
    assert(code.dataCount === 1 || cellBytes % BLOCK_BYTES === 0, 'cells are whole blocks')
  }
}

const tested = new WeakMap<KernelCompiler, SelfTest>()

/** What a kernel computes does not change while the process runs. */
function testOnce(compile: KernelCompiler): SelfTest {
  const test = tested.get(compile) ?? selfTest(compile)
  tested.set(compile, test)
  return test
}

function checkIndexes(
  code: ErasureCode,
  present: readonly number[],
  wanted: readonly number[],
): void {
  const all = [...present, ...wanted]
  assert(new Set(all).size === all.length, 'no shard is named twice')
  const inCode = (index: number): boolean =>
    Number.isInteger(index) && index >= 0 && index < shardCount(code)
  assert(all.every(inCode), 'shards are numbered from 0 to k + m - 1')
}

/** A number below 2^48 for code and pattern: 20 bits for the set of sources, 20 for those wanted. */
function kernelKey(
  code: ErasureCode,
  sources: readonly number[],
  wanted: readonly number[],
): number {
  const shape = code.dataCount * 8 + code.parityCount
  return (shape * 2 ** 20 + asBits(sources)) * 2 ** 20 + asBits(wanted)
}

function asBits(shards: readonly number[]): number {
  return shards.reduce((bits, index) => bits | (1 << index), 0)
}

function copyCell(
  { cells }: Stripe,
  cellBytes: number,
  source: number,
  targets: readonly number[],
): void {
  const bytes = cells[source]!.subarray(0, cellBytes)
  for (const target of targets) cells[target]!.set(bytes)
}

function indexes(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, index) => start + index)
}
