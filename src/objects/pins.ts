// Blobs that are being read: garbage collection leaves them alone until the last reader is done.
// A reader pins before it opens the first shard; the grace time of garbage covers the moment between
// reading the row and pinning (docs/decisions/0002-garbage-grace.md).
import type { Uid } from '../kit/uid.ts'

/** Counts readers by blob. */
export class Pins {
  readonly #readers = new Map<Uid, number>()

  /** Marks a blob as being read until the returned function is called. */
  pin(uid: Uid): () => void {
    this.#readers.set(uid, (this.#readers.get(uid) ?? 0) + 1)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#unpin(uid)
    }
  }

  /** Whether anybody reads it. */
  isPinned(uid: Uid): boolean {
    return this.#readers.has(uid)
  }

  #unpin(uid: Uid): void {
    const left = this.#readers.get(uid)! - 1
    if (left === 0) this.#readers.delete(uid)
    else this.#readers.set(uid, left)
  }
}
