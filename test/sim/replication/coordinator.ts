// A coordinator that is linearizable and nothing more: slow, away at times, with answers that get lost and watches with gaps.
import {
  type Decision,
  isNewer,
  type ReplicaId,
} from '../../../src/metadata/replication/decision.ts'
import type { Seeded } from '../../support/seeded.ts'
import { type ClusterWorld, oneIn } from './world.ts'

/** What nodes read of it. */
export interface CoordinatorState {
  decision: Decision
  wanted: readonly ReplicaId[]
  /** Nobody leads in this epoch, and the decision holds no more. */
  fence?: number
}

/** Holds the decision of the one partition, and where its replicas are wanted. */
export class SimulatedCoordinator {
  isAway = false
  /** Once in so many an answer is lost. */
  lost = 0
  state: CoordinatorState
  /** Told of every decision when it is made. */
  onDecision: (decision: Decision) => void = () => {}
  readonly decisions: Decision[]
  readonly #world: ClusterWorld
  readonly #random: Seeded

  constructor(world: ClusterWorld, state: CoordinatorState) {
    this.#world = world
    this.#random = world.random('coordinator')
    this.state = state
    this.decisions = [state.decision]
  }

  /** Compare-and-swap; `answer` is told what holds then, if anything comes back. */
  decide(from: Decision, to: Decision, answer: (state: CoordinatorState) => void): void {
    this.#world.schedule.after(this.#delay(), () => {
      if (this.isAway) return
      const { decision } = this.state
      const isSame = !isNewer(decision, from) && !isNewer(from, decision)
      if (isSame && this.state.fence === undefined) this.#adopt(to)
      this.#reply(answer)
    })
  }

  /** A recovery begins: nobody leads in the epoch that it gives. */
  fence(): number {
    const epoch = (this.state.fence ?? this.state.decision.epoch) + 1
    this.state = { ...this.state, fence: epoch }
    return epoch
  }

  /** And one of the set leads again. */
  takeLead(primary: ReplicaId): void {
    const { fence, ...state } = this.state
    this.state = state
    if (fence !== undefined) this.#adopt({ ...state.decision, epoch: fence + 1, primary })
  }

  /** A linearizable read, if it comes back. */
  read(answer: (state: CoordinatorState) => void): void {
    this.#world.schedule.after(this.#delay(), () => {
      if (!this.isAway) this.#reply(answer)
    })
  }

  #adopt(decision: Decision): void {
    if (!isNewer(decision, this.state.decision)) this.#world.fail('a decision goes back')
    this.state = { ...this.state, decision }
    this.decisions.push(decision)
    const { epoch, primary, replicas, previous } = decision
    this.#world.trace(`decided ${epoch} ${primary} of ${replicas} was ${previous ?? 'settled'}`)
    this.onDecision(decision)
  }

  #reply(answer: (state: CoordinatorState) => void): void {
    const { state } = this
    if (!oneIn(this.#random, this.lost)) {
      this.#world.schedule.after(this.#delay(), () => answer(state))
    }
  }

  #delay(): number {
    return 2 + this.#random.below(20)
  }
}
