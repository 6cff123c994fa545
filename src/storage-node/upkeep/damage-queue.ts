// Blobs that a reader found damaged, until they are mended: bounded, each once, those that failed again later.
import type { Blob } from '../../metadata/records.ts'
import { nameOfBlob } from './blob-name.ts'

/** A blob that waits. */
export interface DamagedBlob {
  blob: Blob
  attempts: number
  dueMs: number
}

/** Beyond this only a scrub finds them: then one begins at once. */
const WAITING_MAX = 10_000

/** After so many failures the passes have to find it. */
const ATTEMPTS_MAX = 5

/** Between two attempts, times their number. */
const AGAIN_AFTER_MS = 5_000

/** The queue. */
export class DamageQueue {
  readonly #waiting = new Map<string, DamagedBlob>()

  get size(): number {
    return this.#waiting.size
  }

  /** False when there is no room. */
  add(blob: Blob): boolean {
    const name = nameOfBlob(blob)
    if (this.#waiting.has(name)) return true
    if (this.#waiting.size >= WAITING_MAX) return false
    this.#waiting.set(name, { blob, attempts: 0, dueMs: 0 })
    return true
  }

  /** The first blob that is due; it stays in the queue until it is done or fails for good. */
  next(nowMs: number): DamagedBlob | undefined {
    for (const damaged of this.#waiting.values()) if (damaged.dueMs <= nowMs) return damaged
    return undefined
  }

  /** It is settled. */
  done({ blob }: DamagedBlob): void {
    this.#waiting.delete(nameOfBlob(blob))
  }

  /** Tries it again later; false when it was tried too often. */
  failed(damaged: DamagedBlob, nowMs: number): boolean {
    this.done(damaged)
    const attempts = damaged.attempts + 1
    if (attempts === ATTEMPTS_MAX) return false
    const dueMs = nowMs + attempts * AGAIN_AFTER_MS
    this.#waiting.set(nameOfBlob(damaged.blob), { blob: damaged.blob, attempts, dueMs })
    return true
  }
}
