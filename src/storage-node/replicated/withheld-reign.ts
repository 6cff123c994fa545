// A reign that serves nothing, because the rows it would serve are not to be trusted: others are asked to lead.
import type { Decision, ReplicaId } from '../../metadata/replication/decision.ts'

// Who is not to lead asks others for that again after so many ticks.
const HAND_OVER_TICKS = 4

/** The last reign of a replica that was withheld. */
export class WithheldReign {
  /** Its epoch: nobody hears of it, or nobody does any more. */
  #epoch: number | undefined
  #ticks = 0

  /** Nothing is served in the reign of this epoch. */
  withhold(epoch: number | undefined): void {
    this.#epoch = epoch
    this.#ticks = 0
  }

  /**
   * Called at each tick while `self` reigns in epoch `reign`, if it does: who is asked to lead now. The next one comes first, so that
   * each has its turn where several are suspected. undefined: nobody.
   */
  heirs(
    self: ReplicaId,
    { decision, reign }: { decision: Decision | undefined; reign: number | undefined },
  ): ReplicaId[] | undefined {
    if (this.#epoch === undefined || this.#epoch !== reign || decision === undefined) return
    this.#ticks += 1
    if ((this.#ticks - 1) % HAND_OVER_TICKS !== 0) return
    const { replicas } = decision
    const at = replicas.indexOf(self)
    return [...replicas.slice(at + 1), ...replicas.slice(0, at)]
  }
}
