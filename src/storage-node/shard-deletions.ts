// Deletions of shards under way. One may hang long after its caller gave it up, and the shard is written again meanwhile:
// the new one must not be what is deleted in the end, so whoever commits a shard waits for deletions of its name.
import type { ShardId } from './contract.ts'

/** Deletions of one drive, by shard. */
export class ShardDeletions {
  readonly #underWay = new Map<string, Promise<unknown>>()

  /** Deletes; `ended()` waits for it from now on. */
  async run(id: ShardId, work: () => Promise<void>): Promise<void> {
    const name = nameOf(id)
    const done = work()
    const all: Promise<unknown> = Promise.allSettled([this.#underWay.get(name), done])
    this.#underWay.set(name, all)
    try {
      await done
    } finally {
      void all.then(() => {
        if (this.#underWay.get(name) === all) this.#underWay.delete(name)
      })
    }
  }

  /** Resolves when no deletion of the shard is under way that was begun before; undefined when none is. */
  ended(id: ShardId): Promise<unknown> | undefined {
    return this.#underWay.size > 0 ? this.#underWay.get(nameOf(id)) : undefined
  }
}

function nameOf({ uid, part, slot }: ShardId): string {
  return `${uid}.${part}.${slot}`
}
