// Recoveries that are begun, and end with one of the replicas in the lead again: the coordinator says that nobody leads, some nodes are told,
// others see it or never do. What was promised holds: the log of whoever was told stays as it is until somebody leads again.
import type { ReplicaId } from '../../../src/metadata/replication/decision.ts'
import { reignEpoch } from '../../../src/metadata/replication/decision.ts'
import type { Seeded } from '../../support/seeded.ts'
import type { SimulatedCoordinator } from './coordinator.ts'
import type { Host } from './host.ts'
import { type ClusterWorld, oneIn } from './world.ts'

export interface FenceParts {
  world: ClusterWorld
  coordinator: SimulatedCoordinator
  hosts: readonly Host[]
}

/** One seed in so many has them: the others see trouble of every other kind only, and some bugs show in few of them. */
const SEEDS = 4
const TURN = 2

/** Begins recoveries until it is told to end. */
export class Fences {
  readonly #parts: FenceParts
  readonly #random: Seeded
  #isOver = false
  /** How the logs of those ended that had promised. */
  readonly #promised = new Map<ReplicaId, string>()

  constructor(parts: FenceParts) {
    this.#parts = parts
    this.#random = parts.world.random('fences')
  }

  begin(): void {
    if (this.#parts.world.seed % SEEDS !== TURN) return
    this.#later(500, 3_000, () => {
      this.#fence()
      this.begin()
    })
  }

  /** No more of them: whoever is fenced is led again. */
  end(): void {
    this.#isOver = true
    this.#lift()
  }

  #later(least: number, spread: number, work: () => void): void {
    this.#parts.world.schedule.after(least + this.#random.below(spread), () => {
      if (!this.#isOver) work()
    })
  }

  #fence(): void {
    const { coordinator, hosts, world } = this.#parts
    if (coordinator.isAway) return
    this.#check()
    this.#promised.clear()
    const epoch = coordinator.fence()
    world.trace(`fenced ${epoch}`)
    for (const host of hosts) {
      if (oneIn(this.#random, 2)) this.#later(0, 300, () => this.#tell(host, epoch))
    }
    // Some are fenced again before anybody leads: the recovery before was broken off.
    if (!oneIn(this.#random, 4)) this.#later(50, 1_500, () => this.#lift())
  }

  #tell(host: Host, epoch: number): void {
    host.tellFence(epoch)
    this.#later(100, 400, () => {
      const { core, id } = host
      if (this.#parts.coordinator.state.fence !== epoch || id === undefined) return
      if (core?.isFenced(epoch)) this.#promised.set(id, endOf(host))
    })
  }

  /** One of the set leads in the next epoch. */
  #lift(): void {
    const { coordinator } = this.#parts
    const { fence, decision } = coordinator.state
    if (fence === undefined) return
    this.#check()
    this.#promised.clear()
    coordinator.takeLead(this.#random.pick(decision.replicas))
  }

  #check(): void {
    const { coordinator, hosts, world } = this.#parts
    const { fence } = coordinator.state
    if (fence === undefined) return
    for (const host of hosts) {
      const known = host.id && this.#promised.get(host.id)
      if (known === undefined || host.core === undefined) continue
      if (host.core.log.promised < reignEpoch(fence, 0))
        world.fail(`${host.id}: forgot its promise of ${fence}`)
      if (endOf(host) !== known) world.fail(`${host.id}: its log went on behind the fence ${fence}`)
    }
  }
}

function endOf({ core }: Host): string {
  const { epoch, sequence } = core!.log.tail.last
  return `${epoch}/${sequence}`
}
