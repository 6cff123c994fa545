// Keeps the kernels used last. Making one takes milliseconds; a code has one for encoding and one
// for each pattern of losses, of which few are in use at any time.
import { assert } from '../kit/assert.ts'
import type { Kernel } from './kernels/kernel.ts'

/** Least recently used kernels go first when there are more than `capacity`. */
export class KernelCache {
  readonly #capacity: number
  /** A Map keeps the order of insertion: the first is the one not used for longest. */
  readonly #kernels = new Map<number, Kernel>()

  constructor(capacity: number) {
    assert(capacity > 0, 'a cache has room for something')
    this.#capacity = capacity
  }

  get size(): number {
    return this.#kernels.size
  }

  /** The kernel kept under `key`, made with `make` if there is none. */
  get(key: number, make: () => Kernel): Kernel {
    const kernel = this.#kernels.get(key) ?? make()
    this.#kernels.delete(key)
    this.#kernels.set(key, kernel)
    if (this.#kernels.size > this.#capacity) this.#dropOldest()
    return kernel
  }

  #dropOldest(): void {
    for (const oldest of this.#kernels.keys()) {
      this.#kernels.delete(oldest)
      return
    }
  }
}
