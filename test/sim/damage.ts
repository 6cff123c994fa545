// What is broken now. Never more than the store promises to survive: then whatever goes wrong is the store's fault.

/** Drives that may lack or have lost something, and how many of them the store can do without. */
export class Damage {
  readonly most: number
  /** `silent`: only reading everything, and a new start, brings it to light. */
  readonly #drives = new Map<number, { silent: boolean; gone: boolean }>()

  constructor(most: number) {
    this.most = most
  }

  get drives(): number[] {
    return [...this.#drives.keys()]
  }

  /** Whether the drive may be damaged (further). */
  allows(id: number): boolean {
    return this.#drives.has(id) || this.#drives.size < this.most
  }

  /** Notes damage that allows() permits. */
  add(id: number, how: { silent?: boolean; gone?: boolean } = {}): void {
    if (!this.allows(id)) throw new Error('more would be broken than the store promises to survive')
    const known = this.#drives.get(id) ?? { silent: false, gone: false }
    this.#drives.set(id, {
      silent: known.silent || how.silent === true,
      gone: known.gone || how.gone === true,
    })
  }

  get isSilent(): boolean {
    return [...this.#drives.values()].some(({ silent }) => silent)
  }

  isGone(id: number): boolean {
    return this.#drives.get(id)?.gone === true
  }

  get goneCount(): number {
    return [...this.#drives.values()].filter(({ gone }) => gone).length
  }

  /** The store is whole again, as far as it has drives. */
  mended(): void {
    for (const [id, { gone }] of this.#drives) {
      if (gone) this.#drives.set(id, { silent: false, gone })
      else this.#drives.delete(id)
    }
  }
}
