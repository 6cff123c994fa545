// Removals of shards that are asked for at the same time: they go together, for a change of the index is two trips to
// another thread, whatever it changes.
import type { ShardId } from '../contract.ts'

/** A shard that is to be forgotten. `resolve`: whether there was one. */
export interface Removal {
  id: ShardId
  resolve: (wasThere: boolean) => void
  reject: (error: unknown) => void
}

/** As many as are looked up and removed at once. */
const REMOVALS_MAX = 128

/** Changes the index in its turn; calls `begin` first of all, when its turn has come. */
type Remove = (group: readonly Removal[], begin: () => void) => Promise<void>

/** Removals of one index, in groups. */
export class GatheredRemovals {
  readonly #remove: Remove
  /** The group that waits for its turn, and can have more. */
  #open: Removal[] | undefined

  constructor(remove: Remove) {
    this.#remove = remove
  }

  /** Forgets a shard behind all changes that were asked for before; false when there was none. */
  add(id: ShardId): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const removal = { id, resolve, reject }
      if (this.#open !== undefined && this.#open.length < REMOVALS_MAX) this.#open.push(removal)
      else this.#begin([removal])
    })
  }

  /** Another change of the index waits for its turn now: what comes from here on goes behind it. */
  closeGroup(): void {
    this.#open = undefined
  }

  #begin(group: Removal[]): void {
    this.#open = group
    const close = (): void => {
      if (this.#open === group) this.#open = undefined
    }
    this.#remove(group, close).catch((error) => {
      close()
      for (const { reject } of group) reject(error)
    })
  }
}

/** Each shard of a group once; of those that are named again there is nothing left. */
export function distinctRemovals(group: readonly Removal[]): Removal[] {
  const first = new Map<string, Removal>()
  for (const removal of group) {
    const { uid, part, slot } = removal.id
    const name = `${uid}.${part}.${slot}`
    if (first.has(name)) removal.resolve(false)
    else first.set(name, removal)
  }
  return [...first.values()]
}
