// Replicas whose rows were found not to be as they should be. Their states keep it, too (replica-state.ts): this outlives the opening of
// their drives, and those outlive the process.
import type { ReplicaId } from '../../metadata/replication/decision.ts'

/** `rotten`: a row can not be read. `differs`: rows are not as those of the others, and must not be served. */
export type Suspicion = 'rotten' | 'differs'

/** Those of one host. */
export class Suspects {
  readonly #suspicions = new Map<ReplicaId, Suspicion>()
  #count = 0

  /** How often one was suspected. */
  get count(): number {
    return this.#count
  }

  get(id: ReplicaId): Suspicion | undefined {
    return this.#suspicions.get(id)
  }

  /** Something was found. */
  note(id: ReplicaId, suspicion: Suspicion): void {
    this.#count += 1
    this.recall(id, suspicion)
  }

  /** Its state says so: that was found before. */
  recall(id: ReplicaId, suspicion: Suspicion): void {
    if (this.get(id) !== 'differs') this.#suspicions.set(id, suspicion)
  }

  /** Its rows were made anew, or it is gone. */
  clear(id: ReplicaId): void {
    this.#suspicions.delete(id)
  }
}
