// Room for stripes in one WebAssembly memory of fixed size. The slot given back last is given out
// first, so that only as much of the memory is ever touched as was in use at once.
import { assert } from '../kit/assert.ts'
import { roundUp } from '../kit/bytes.ts'
import { Semaphore } from '../kit/semaphore.ts'
import { type WasmMemory, webAssembly } from '../kit/webassembly.ts'
import type { StripeLayout } from './kernels/kernel.ts'

/** Room for one stripe. Whoever acquires it releases it, once. */
export interface Stripe {
  /** A view per shard, data first, all inside the codec's one WebAssembly memory. Filled with what was there before. */
  readonly cells: readonly Uint8Array[]
  release(): void
}

/** Sizes of the pool. */
export interface StripePoolOptions {
  /** Cells of a stripe. */
  maxShards: number
  /** Capacity of a cell. */
  cellBytes: number
  /** All of the memory; allocated once, never grown. */
  poolBytes: number
}

/** Cells a power of two apart would share the sets of the L1 cache; three lines of 64 bytes part them. */
const PAD_BYTES = 192

const LINE_BYTES = 64
const PAGE_BYTES = 65_536

/** 32-bit addresses, with room for the kernel to look one tile ahead. */
const MAX_POOL_BYTES = 2 ** 32 - PAGE_BYTES

/** Gives out stripes, first come, first served. */
export class StripePool implements StripeLayout {
  readonly memory: WasmMemory
  readonly strideBytes: number
  /** Stripes that there are. */
  readonly stripeCount: number
  readonly #options: StripePoolOptions
  readonly #semaphore: Semaphore
  /** Cells of the slots that are free, the one used last at the end; slots never used have none yet. */
  readonly #free: (readonly Uint8Array[])[] = []
  readonly #held = new Set<Stripe>()
  #unusedSlot = 0

  constructor(options: StripePoolOptions) {
    assert(options.maxShards > 0 && options.cellBytes > 0, 'a stripe has room for something')
    assert(options.poolBytes <= MAX_POOL_BYTES, 'the pool fits in a WebAssembly memory')
    this.#options = options
    this.strideBytes = roundUp(options.cellBytes, LINE_BYTES) + PAD_BYTES
    this.stripeCount = Math.floor(options.poolBytes / (this.strideBytes * options.maxShards))
    assert(this.stripeCount > 0, 'the pool has room for a stripe')
    this.#semaphore = new Semaphore(this.stripeCount)
    const pages = Math.ceil(options.poolBytes / PAGE_BYTES)
    this.memory = new webAssembly.Memory({ initial: pages, maximum: pages })
  }

  /** Stripes that nobody holds. */
  get freeStripes(): number {
    return this.#semaphore.free
  }

  /** Waits for room; throws Overloaded when too many wait, or the reason of the signal. */
  async acquire(signal?: AbortSignal): Promise<Stripe> {
    await this.#semaphore.acquire(1, signal)
    const cells = this.#free.pop() ?? this.#newCells()
    const stripe: Stripe = { cells, release: () => this.#release(stripe) }
    this.#held.add(stripe)
    return stripe
  }

  /** Whether `stripe` is of this pool and not yet released. */
  holds(stripe: Stripe): boolean {
    return this.#held.has(stripe)
  }

  #release(stripe: Stripe): void {
    assert(this.#held.delete(stripe), 'a stripe is released once')
    this.#free.push(stripe.cells)
    this.#semaphore.release()
  }

  #newCells(): readonly Uint8Array[] {
    const { maxShards, cellBytes } = this.#options
    const slotStart = this.#unusedSlot * maxShards * this.strideBytes
    this.#unusedSlot += 1
    return Array.from({ length: maxShards }, (_, index) => {
      const start = slotStart + index * this.strideBytes
      return new Uint8Array(this.memory.buffer, start, cellBytes)
    })
  }
}
