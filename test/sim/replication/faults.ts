// What goes wrong in a world, by chance and by the temper of its seed; and how it is all made good in the end.
import {
  type Decision,
  type ReplicaId,
  takeOver,
  votersOf,
} from '../../../src/metadata/replication/decision.ts'
import type { Seeded } from '../../support/seeded.ts'
import type { SimulatedCoordinator } from './coordinator.ts'
import type { Host } from './host.ts'
import { FAIR, type Network, nodeOf } from './network.ts'
import { type ClusterWorld, oneIn } from './world.ts'

export interface FaultParts {
  world: ClusterWorld
  network: Network
  coordinator: SimulatedCoordinator
  hosts: readonly Host[]
  /** How many replicas the partition has. */
  replicaCount: number
}

/** In some worlds one kind of message is often late: what is rarely out of order otherwise. */
const LATE_KINDS = [
  'none',
  'none',
  'append',
  'append',
  'appended',
  'confirmed',
  'confirmed',
  'fenced',
]

type Fault = (faults: Faults) => void

/** Makes trouble until it is told to end. */
export class Faults {
  isOver = false
  readonly #parts: FaultParts
  readonly #random: Seeded
  readonly #menu: readonly Fault[]
  readonly #pause: number
  /** How long a fault lasts, at most. */
  readonly #duration: number

  constructor(parts: FaultParts) {
    this.#parts = parts
    this.#random = parts.world.random('faults')
    const all: Fault[] = [
      (faults) => faults.#crash(),
      (faults) => faults.#crash(),
      (faults) => faults.#crashAll(),
      (faults) => faults.#pauseOne(),
      (faults) => faults.#cutOneWay(),
      (faults) => faults.#cutOff(),
      (faults) => faults.#loseCoordinator(),
      (faults) => faults.#slowDrive(),
      (faults) => faults.#changeReplicas(),
      (faults) => faults.#changeReplicas(),
      (faults) => faults.#changeReplicas(),
      (faults) => faults.#destroy(),
      (faults) => faults.#usurp(faults.#parts.coordinator.state.decision.replicas),
      (faults) => faults.#quarrel(),
      (faults) => faults.#quarrel(),
      (faults) => faults.#deafen(),
    ]
    const focused: Fault[][] = [
      [(faults) => faults.#deafen()],
      [(faults) => faults.#quarrel(), (faults) => faults.#crash()],
      [
        (faults) => faults.#changeReplicas(),
        (faults) => faults.#quarrel(),
        (faults) => faults.#slowDrive(),
      ],
    ]
    // Each seed has only some kinds of trouble: all of them together hide what two of them do.
    const some = all.filter(() => !oneIn(this.#random, 3))
    this.#menu = oneIn(this.#random, 2) ? some : this.#random.pick(focused)
    this.#pause = 30 + this.#random.below(oneIn(this.#random, 2) ? 200 : 1000)
    this.#duration = 150 + this.#random.below(oneIn(this.#random, 2) ? 300 : 2500)
    const { network, coordinator } = parts
    const often = (): number => (oneIn(this.#random, 3) ? 0 : 5 + this.#random.below(60))
    network.weather = {
      ...{ lost: often(), repeated: often(), late: often() },
      delay: 5 + this.#random.below(60),
      lateKind: this.#random.pick(LATE_KINDS),
    }
    coordinator.lost = often()
    if (oneIn(this.#random, 2)) coordinator.onDecision = (decision) => this.#disturb(decision)
  }

  begin(): void {
    this.#parts.world.schedule.after(this.#random.below(2 * this.#pause), () => {
      if (this.isOver) return
      if (this.#menu.length > 0) this.#random.pick(this.#menu)(this)
      this.begin()
    })
  }

  /** No more faults, and all that can be made good is. */
  end(): void {
    const { world, network, coordinator, hosts } = this.#parts
    world.trace('faults end')
    this.isOver = true
    network.weather = FAIR
    network.mendAll()
    coordinator.isAway = false
    coordinator.lost = 0
    for (const host of hosts) {
      host.isSlow = false
      host.resume()
      host.restart()
    }
    this.mendWanted()
  }

  /** Replicas that are no more are wanted anew, somewhere. */
  mendWanted(): void {
    const { coordinator, hosts } = this.#parts
    const living = new Set(hosts.map(({ id }) => id))
    const { wanted } = coordinator.state
    if (wanted.every((id) => living.has(id))) return
    const kept = hosts.filter(({ id }) => id !== undefined && wanted.includes(id))
    this.#want([...kept, ...this.#others(kept)])
  }

  #others(kept: readonly Host[]): Host[] {
    const { hosts, replicaCount } = this.#parts
    const others = hosts.filter((host) => !kept.includes(host))
    const chosen: Host[] = []
    while (kept.length + chosen.length < replicaCount && others.length > 0) {
      chosen.push(...others.splice(this.#random.below(others.length), 1))
    }
    return chosen
  }

  #want(hosts: readonly Host[]): void {
    const { coordinator, world } = this.#parts
    const wanted: ReplicaId[] = hosts.map((host) => host.id ?? host.make())
    world.trace(`wanted ${wanted}`)
    coordinator.state = { ...coordinator.state, wanted }
  }

  #for(duration: number, begin: () => void, end: () => void): void {
    begin()
    this.#parts.world.schedule.after(50 + this.#random.below(duration), () => {
      if (!this.isOver) end()
    })
  }

  #anyHost(): Host {
    const { coordinator, hosts } = this.#parts
    const primary = hosts.find(({ id }) => id === coordinator.state.decision.primary)
    return primary !== undefined && oneIn(this.#random, 2) ? primary : this.#random.pick(hosts)
  }

  #crash(): void {
    const host = this.#anyHost()
    this.#parts.world.trace(`node ${host.number} crashes`)
    const duration = oneIn(this.#random, 2) ? 100 : this.#duration
    this.#for(
      duration,
      () => host.crash(),
      () => host.restart(),
    )
  }

  #crashAll(): void {
    this.#parts.world.trace('all nodes crash')
    for (const host of this.#parts.hosts)
      this.#for(
        300,
        () => host.crash(),
        () => host.restart(),
      )
  }

  #pauseOne(): void {
    const host = this.#anyHost()
    this.#parts.world.trace(`node ${host.number} is paused`)
    this.#for(
      this.#duration,
      () => host.pause(),
      () => host.resume(),
    )
  }

  #cutOneWay(): void {
    const from = this.#anyHost().number
    const to = this.#random.pick(this.#parts.hosts).number
    this.#parts.world.trace(`cut ${from}>${to}`)
    this.#cutFor(from, to)
  }

  /** One node from all others, in one or both directions. */
  #cutOff(): void {
    const { hosts, world } = this.#parts
    const one = this.#anyHost().number
    const [hears, speaks] = [oneIn(this.#random, 3), oneIn(this.#random, 3)]
    world.trace(`node ${one} is cut off, ${hears ? 'hears' : ''} ${speaks ? 'speaks' : ''}`)
    for (const { number } of hosts) {
      if (!hears) this.#cutFor(number, one)
      if (!speaks) this.#cutFor(one, number)
    }
  }

  #loseCoordinator(): void {
    const { coordinator, world } = this.#parts
    world.trace('the coordinator is away')
    const set = (isAway: boolean) => (): void => {
      coordinator.isAway = isAway
    }
    this.#for(this.#duration, set(true), set(false))
  }

  #slowDrive(): void {
    const host = this.#anyHost()
    this.#parts.world.trace(`the drive of node ${host.number} is slow`)
    const set = (isSlow: boolean) => (): void => {
      host.isSlow = isSlow
    }
    this.#for(this.#duration, set(true), set(false))
  }

  /** Other replicas are wanted: one of them, or several at once, which are to be changed one by one. */
  #changeReplicas(): void {
    const { hosts, coordinator } = this.#parts
    const current = hosts.filter(({ id }) => id && coordinator.state.wanted.includes(id))
    const leaves = 1 + this.#random.below(oneIn(this.#random, 3) ? 3 : 1)
    const kept = [...current]
    for (let count = 0; count < leaves && kept.length > 0; count += 1) {
      kept.splice(this.#random.below(kept.length), 1)
    }
    this.#want([...kept, ...this.#others(kept)])
  }

  /** Somebody becomes primary for no reason: who may decide that is no part of what makes it safe. */
  #usurp(among: readonly ReplicaId[]): void {
    const { coordinator, hosts } = this.#parts
    const { decision } = coordinator.state
    const able = among.filter((id) => decision.replicas.includes(id))
    if (able.length === 0) return
    const primary = this.#random.pick(able)
    const host = hosts.find(({ id }) => id === primary)
    coordinator.decide(decision, takeOver(decision, primary), (state) => host?.hear(state))
  }

  /** Two become primary in turn, sooner than the one before could do anything. */
  #quarrel(): void {
    const { schedule } = this.#parts.world
    const { replicas } = this.#parts.coordinator.state.decision
    const one = this.#random.pick(replicas)
    const other = this.#random.pick(replicas)
    const rivals = [one, other]
    // Those who do not hear each other have to do with what the others know.
    if (!oneIn(this.#random, 3)) this.#isolate(nodeOf(one), [nodeOf(other)])
    const pace = 20 + this.#random.below(200)
    let delay = 0
    for (let turn = 0; turn < 6; turn += 1) {
      schedule.after(delay, () => {
        if (!this.isOver) this.#usurp([rivals[turn % 2]!])
      })
      delay += this.#random.below(pace)
    }
  }

  /** A primary hears nobody but its clients, and does not know that there is another one. */
  #deafen(): void {
    const { coordinator, hosts, world } = this.#parts
    const { primary, replicas } = coordinator.state.decision
    const deaf = hosts.find(({ id }) => id === primary)
    if (deaf === undefined) return
    world.trace(`node ${deaf.number} is deaf`)
    for (const { number } of hosts) {
      if (number !== deaf.number) this.#cutFor(number, deaf.number)
    }
    this.#usurp(replicas.filter((id) => id !== primary))
  }

  /** A new primary, or the one before, has bad luck just then. */
  #disturb({ primary }: Decision): void {
    if (this.isOver || oneIn(this.#random, 3)) return
    const { hosts, world } = this.#parts
    const host = hosts.find(({ id }) => id === primary) ?? this.#anyHost()
    const others = hosts.filter((other) => other !== host)
    const other = others.length > 0 ? this.#random.pick(others) : host
    world.schedule.after(this.#random.below(120), () => {
      if (this.isOver) return
      const kinds = [
        () =>
          this.#for(
            200,
            () => host.crash(),
            () => host.restart(),
          ),
        () =>
          this.#for(
            this.#duration,
            () => host.pause(),
            () => host.resume(),
          ),
        () => this.#isolate(host.number, [other.number]),
        () =>
          this.#isolate(
            host.number,
            others.map(({ number }) => number),
          ),
        () => this.#cutFor(host.number, other.number),
        () => this.#quarrel(),
      ]
      this.#random.pick(kinds)()
    })
  }

  #isolate(one: number, others: readonly number[]): void {
    for (const other of others) {
      this.#cutFor(one, other)
      this.#cutFor(other, one)
    }
  }

  #cutFor(from: number, to: number): void {
    const { network } = this.#parts
    this.#for(
      this.#duration,
      () => network.cut(from, to),
      () => network.mend(from, to),
    )
  }

  /** A drive dies: only where everybody else that counts is alive, for one loss at a time is what is promised. */
  #destroy(): void {
    const { coordinator, hosts, world, replicaCount } = this.#parts
    const { decision } = coordinator.state
    const living = hosts.filter(({ id }) => id !== undefined && votersOf(decision).includes(id))
    const isWhole = decision.previous === undefined && living.length === decision.replicas.length
    if (!isWhole || decision.replicas.length < 3 || replicaCount < 3) return
    const host = this.#random.pick(living)
    world.trace(`the drive of node ${host.number} dies`)
    host.destroy()
    world.schedule.after(this.#random.below(1500), () => this.mendWanted())
  }
}
