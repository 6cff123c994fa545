// The one who breaks a simulated cluster: processes, power, the network, etcd. Everything is mended in the end.
import type { Seeded } from '../../support/seeded.ts'
import { type Cruelty, EVERYTHING, NOTHING } from '../machine.ts'
import type { ClusterWorld } from './world.ts'

type Trouble =
  | 'kill'
  | 'power'
  | 'blackout'
  | 'gateway'
  | 'cut'
  | 'one-way'
  | 'isolate'
  | 'weather'
  | 'etcd'

const WEIGHTS: { [Name in Trouble]: number } = {
  kill: 4,
  power: 3,
  blackout: 1,
  gateway: 1,
  cut: 2,
  'one-way': 2,
  isolate: 2,
  weather: 2,
  etcd: 2,
}

/** Breaks and mends. */
export class Breaker {
  readonly counts = { troubles: 0 }
  isOver = false
  readonly #world: ClusterWorld
  readonly #random: Seeded
  readonly #say: (line: string) => void

  constructor(world: ClusterWorld, random: Seeded, say: (line: string) => void) {
    this.#world = world
    this.#random = random
    this.#say = say
  }

  /** A client was told that its write is done. */
  answered(): void {}

  /** Breaks `count` things, one after the other; some last while the next ones come. */
  async run(count: number): Promise<void> {
    for (let number = 0; number < count && !this.isOver; number += 1) {
      await this.#world.time.sleep(this.#random.below(4_000))
      if (this.isOver) return
      this.counts.troubles += 1
      await this.#one(pickBy(this.#random, WEIGHTS))
    }
  }

  /** Ends all trouble. */
  async mend(): Promise<void> {
    const { network, etcd, etcdWays, members } = this.#world
    this.#say('everything is mended')
    network.mend()
    network.weather = { lost: 0, broken: 0, repeated: 0, slow: 0 }
    etcd.mood = 'well'
    etcdWays.mend()
    for (const member of members) member.start()
  }

  async #one(trouble: Trouble): Promise<void> {
    const { nodes, gateways, network, etcd } = this.#world
    const random = this.#random
    const node = random.pick(nodes)
    this.#say(`trouble: ${trouble} ${node.name}`)
    switch (trouble) {
      case 'kill':
        await node.kill(EVERYTHING)
        return this.#startLater(node)
      case 'power':
        await node.kill(crueltyOf(random))
        return this.#startLater(node)
      case 'blackout':
        for (const each of nodes) await each.kill(crueltyOf(random))
        for (const each of nodes) this.#startLater(each)
        return
      case 'gateway': {
        const gateway = random.pick(gateways)
        await gateway.kill(EVERYTHING)
        return this.#startLater(gateway)
      }
      case 'cut': {
        const other = random.pick(this.#world.members)
        network.cut(node.name, other.name)
        network.cut(other.name, node.name)
        return this.#mendLater()
      }
      case 'one-way': {
        const other = random.pick(this.#world.members)
        network.cut(node.name, other.name)
        return this.#mendLater()
      }
      case 'isolate':
        for (const other of this.#world.members) {
          if (other === node) continue
          network.cut(node.name, other.name)
          network.cut(other.name, node.name)
        }
        if (random.below(2) === 0) this.#world.etcdWays.cut(node.name)
        return this.#mendLater()
      case 'weather':
        network.weather = {
          lost: random.pick([0, 5, 50]),
          broken: random.pick([0, 5, 50]),
          repeated: random.pick([0, 20, 200]),
          slow: random.pick([0, 20, 200]),
        }
        return
      case 'etcd':
        etcd.mood = random.pick(['away', 'losing answers'] as const)
        etcd.breakWatches()
        this.#world.time.after(random.below(20_000), () => {
          etcd.mood = 'well'
        })
        return
    }
  }

  #startLater(member: { start(): void }): void {
    this.#world.time.after(this.#random.below(12_000), () => member.start())
  }

  #mendLater(): void {
    this.#world.time.after(1_000 + this.#random.below(15_000), () => {
      this.#world.network.mend()
      this.#world.etcdWays.mend()
    })
  }
}

/** The worst that can be is what most rules are for. */
function crueltyOf(random: Seeded): Cruelty {
  if (random.below(2) === 0) return NOTHING
  const percent = random.pick([10, 50, 90])
  return { underWay: random.pick([0, 50, 100]), survives: () => random.below(100) < percent }
}

function pickBy<Name extends string>(random: Seeded, weights: { [N in Name]: number }): Name {
  const names = Object.keys(weights) as Name[]
  let left = random.below(names.reduce((sum, name) => sum + weights[name], 0))
  for (const name of names) {
    if (left < weights[name]) return name
    left -= weights[name]
  }
  return names[0]!
}
