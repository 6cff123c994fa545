// Random that can be replayed: every test that uses it prints its seed.

/** Numbers from a seed (xorshift32). */
export class Seeded {
  #state: number
  readonly seed: number

  constructor(seed: number) {
    this.seed = seed
    this.#state = (seed | 0) === 0 ? 1 : seed | 0
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) % below
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!
  }

  /** Bytes that differ from seed to seed and do not compress to a pattern. */
  bytes(count: number): Buffer {
    const bytes = Buffer.alloc(count)
    for (let at = 0; at < count; at += 4) {
      const word = this.below(0x1_0000_0000)
      for (let index = at; index < Math.min(count, at + 4); index += 1)
        bytes[index] = word >>> (8 * (index - at))
    }
    return bytes
  }
}

/** The seed of this run: SEED=… replays, otherwise by the clock. */
export function seedOfRun(): number {
  const given = process.env.SEED
  return given ? Number(given) : Date.now() % 0x7fff_ffff
}
