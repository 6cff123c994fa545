// Replicas whose rows were found not to be as they should be. Their states keep it, too (replica-state.ts): this outlives the opening of
// their drives, and those outlive the process.
import type { ReplicaId } from '../../metadata/replication/decision.ts'

/** `rotten`: a row can not be read. `differs`: rows are not as those of the others, and must not be served. */
export type Suspicion = 'rotten' | 'differs'

interface Suspect {
  suspicion: Suspicion
  /** After it asked others to lead: how long it rests before it does so again, and until when. */
  restMs: number
  restUntilMs: number
}

// Rows are made anew in a minute, or take long.
const REST_MS = 60_000
const REST_MS_MAX = 3_600_000

/** Those of one host. */
export class Suspects {
  readonly #suspects = new Map<ReplicaId, Suspect>()
  #count = 0

  /** How often one was suspected. */
  get count(): number {
    return this.#count
  }

  get(id: ReplicaId): Suspicion | undefined {
    return this.#suspects.get(id)?.suspicion
  }

  /** Something was found. */
  note(id: ReplicaId, suspicion: Suspicion): void {
    this.#count += 1
    this.recall(id, suspicion)
  }

  /** Its state says so: that was found before. */
  recall(id: ReplicaId, suspicion: Suspicion): void {
    const known = this.#suspects.get(id)
    if (known === undefined) {
      this.#suspects.set(id, { suspicion, restMs: REST_MS, restUntilMs: -Infinity })
    } else if (known.suspicion !== 'differs') known.suspicion = suspicion
  }

  /**
   * Whether one that leads is to ask others now to lead in its place. With rows that differ it always is. With a rotten one it serves all
   * others, and whoever leads next may have another rotten one: where all have, the lead goes round less and less often.
   */
  mayHandOver(id: ReplicaId, nowMs: number): boolean {
    const suspect = this.#suspects.get(id)
    if (suspect === undefined) return false
    if (suspect.suspicion === 'differs') return true
    if (nowMs < suspect.restUntilMs) return false
    suspect.restUntilMs = nowMs + suspect.restMs
    suspect.restMs = Math.min(2 * suspect.restMs, REST_MS_MAX)
    return true
  }

  /** Its rows were made anew, or it is gone. */
  clear(id: ReplicaId): void {
    this.#suspects.delete(id)
  }
}
