// Removals of shards that are asked for at the same time: they go together, for a change of the index is two trips to
// another thread, whatever it changes.
import { assert } from '../../kit/assert.ts'
import type { ShardId } from '../contract.ts'

interface Asked {
  resolve: (wasThere: boolean) => void
  reject: (error: unknown) => void
}

/** As many as are looked up and removed at once. */
const REMOVALS_MAX = 128

/** Shards that one change forgets. Nobody is told of one before the change is over: until then it may be made again, for all of them. */
export class RemovalGroup {
  /** Each shard once. */
  readonly ids: ShardId[] = []
  readonly #asked = new Map<string, Asked[]>()
  /** Whether shards were there, as far as the last try has come. */
  readonly #found = new Map<string, boolean>()
  #count = 0

  get isFull(): boolean {
    return this.#count >= REMOVALS_MAX
  }

  /** Resolves to whether there was such a shard: for who asks again, whether there was one left. */
  add(id: ShardId): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#count += 1
      const others = this.#asked.get(nameOf(id))
      if (others !== undefined) {
        others.push({ resolve, reject })
        return
      }
      this.ids.push(id)
      this.#asked.set(nameOf(id), [{ resolve, reject }])
    })
  }

  /** A try begins: what one before it found does not hold any more. */
  begin(): void {
    this.#found.clear()
  }

  /** This try needs no more for the shard. */
  note(id: ShardId, wasThere: boolean): void {
    this.#found.set(nameOf(id), wasThere)
  }

  /** No further try is made. `error`: what the last one ended by; shards that it came to the end with are told all the same. */
  end(error?: unknown): void {
    for (const [name, asked] of this.#asked) {
      const wasThere = this.#found.get(name)
      assert(wasThere !== undefined || error !== undefined, 'a change comes to its end, or fails')
      for (const [at, { resolve, reject }] of asked.entries()) {
        if (wasThere === undefined) reject(error)
        else resolve(wasThere && at === 0)
      }
    }
  }
}

/** Changes the index in its turn; calls `onTurn` first of all, when its turn has come. */
type Remove = (group: RemovalGroup, onTurn: () => void) => Promise<void>

/** Removals of one index, in groups. */
export class GatheredRemovals {
  readonly #remove: Remove
  /** The group that waits for its turn, and can have more. */
  #open: RemovalGroup | undefined

  constructor(remove: Remove) {
    this.#remove = remove
  }

  /** Forgets a shard behind all changes that were asked for before; false when there was none. */
  add(id: ShardId): Promise<boolean> {
    if (this.#open !== undefined && !this.#open.isFull) return this.#open.add(id)
    const group = new RemovalGroup()
    const removed = group.add(id)
    this.#begin(group)
    return removed
  }

  /** Another change of the index waits for its turn now: what comes from here on goes behind it. */
  closeGroup(): void {
    this.#open = undefined
  }

  #begin(group: RemovalGroup): void {
    this.#open = group
    const close = (): void => {
      if (this.#open === group) this.#open = undefined
    }
    this.#remove(group, close).then(
      () => group.end(),
      (error) => {
        close()
        group.end(error)
      },
    )
  }
}

function nameOf({ uid, part, slot }: ShardId): string {
  return `${uid}.${part}.${slot}`
}
