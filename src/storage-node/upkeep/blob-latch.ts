// One at a time for each blob: who moves or mends a shard, and who deletes one, hold it while they ask the row and act
// on the answer. Nobody waits: whatever is held is left for another time.
import type { Uid } from '../../kit/uid.ts'

/** Blobs that upkeep works on now. */
export class BlobLatch {
  readonly #held = new Set<Uid>()

  /** Holds a blob until the returned function is called; undefined when somebody else does. */
  tryHold(uid: Uid): (() => void) | undefined {
    if (this.#held.has(uid)) return undefined
    this.#held.add(uid)
    let isMine = true
    return () => {
      if (isMine) this.#held.delete(uid)
      isMine = false
    }
  }

  /** Holds the blobs of all that nobody else holds while `work` does something with these. */
  async whileHeld<One, Result>(
    all: readonly One[],
    uidOf: (one: One) => Uid,
    work: (free: readonly One[]) => Promise<Result>,
  ): Promise<Result> {
    const held = new Map<Uid, () => void>()
    try {
      const free = all.filter((one) => {
        const uid = uidOf(one)
        const letGo = held.get(uid) ?? this.tryHold(uid)
        if (letGo) held.set(uid, letGo)
        return letGo !== undefined
      })
      return await work(free)
    } finally {
      for (const letGo of held.values()) letGo()
    }
  }
}
