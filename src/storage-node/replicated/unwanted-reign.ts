// A reign of a replica whose rows are not to be trusted: others are asked to lead.
import type { Decision, ReplicaId } from '../../metadata/replication/decision.ts'
import type { Suspects } from './suspects.ts'

// Who is not to lead asks others for that again after so many ticks.
const HAND_OVER_TICKS = 4

/** What a replica knows at a tick. */
export interface ReignView {
  decision: Decision | undefined
  /** The epoch of the own reign. */
  reign: number | undefined
  nowMs: number
}

/** The last reign of a replica that others were asked to end. */
export class UnwantedReign {
  readonly #self: ReplicaId
  readonly #suspects: Suspects
  /** Its epoch. */
  #epoch: number | undefined
  #ticks = 0

  constructor(self: ReplicaId, suspects: Suspects) {
    this.#self = self
    this.#suspects = suspects
  }

  /** Nothing is served in the reign of this epoch: others are asked until it ends. */
  withhold(epoch: number | undefined): void {
    this.#epoch = epoch
    this.#ticks = 0
  }

  /**
   * Called at the beginning and at each tick of a reign: who is asked to lead now. The next one comes first, so that each has its turn
   * where several are suspected. undefined: nobody.
   */
  heirs({ decision, reign, nowMs }: ReignView): ReplicaId[] | undefined {
    if (reign === undefined || decision === undefined) return
    if (this.#epoch !== reign) {
      if (!this.#suspects.mayHandOver(this.#self, nowMs)) return
      this.withhold(reign)
    }
    this.#ticks += 1
    if ((this.#ticks - 1) % HAND_OVER_TICKS !== 0) return
    const { replicas } = decision
    const at = replicas.indexOf(this.#self)
    return [...replicas.slice(at + 1), ...replicas.slice(0, at)]
  }
}
