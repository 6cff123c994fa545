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

  /** Whether anybody holds it. */
  isHeld(uid: Uid): boolean {
    return this.#held.has(uid)
  }
}
