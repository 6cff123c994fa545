// What readers are told of drives: which to leave alone, and after how long a read is late.
import type { DriveAdvice } from '../contract.ts'
import type { DriveHealth } from './drive-health.ts'

// Fifteen milliseconds are many for a solid-state disk; a disk that spins has its own p95.
const LEAST_LATE_MS = 15
const LATE_FACTOR = 1.5

/** The latest judgement, kept for readers. */
export class CareAdvice implements DriveAdvice {
  readonly #healths: ReadonlyMap<number, Pick<DriveHealth, 'latency'>>
  readonly #suspects = new Set<number>()
  readonly #listeners = new Map<number, Set<() => void>>()

  constructor(healths: ReadonlyMap<number, Pick<DriveHealth, 'latency'>>) {
    this.#healths = healths
  }

  isSuspect(driveId: number): boolean {
    return this.#suspects.has(driveId)
  }

  lateAfterMs(driveId: number): number {
    const p95Ms = this.#healths.get(driveId)?.latency('read').p95Ms ?? 0
    return Math.max(LEAST_LATE_MS, LATE_FACTOR * p95Ms)
  }

  onSuspect(driveId: number, listener: () => void): () => void {
    const known = this.#listeners.get(driveId) ?? new Set()
    this.#listeners.set(driveId, known)
    known.add(listener)
    return () => known.delete(listener)
  }

  /** Takes over what was found; those who wait for a drive that is now suspect hear of it. */
  note(driveId: number, isSuspect: boolean): void {
    if (isSuspect === this.#suspects.has(driveId)) return
    if (!isSuspect) {
      this.#suspects.delete(driveId)
      return
    }
    this.#suspects.add(driveId)
    for (const listener of [...(this.#listeners.get(driveId) ?? [])]) listener()
  }
}
