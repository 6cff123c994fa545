// A network that loses, delays, repeats and reorders, and that may be cut in one direction only.

import type { ReplicaId } from '../../../src/metadata/replication/decision.ts'
import {
  decodeMessage,
  encodeMessage,
  type Message,
} from '../../../src/metadata/replication/message.ts'
import type { Seeded } from '../../support/seeded.ts'
import { type ClusterWorld, oneIn } from './world.ts'

/** How bad it is: 0 never, n once in n messages. */
export interface Weather {
  lost: number
  repeated: number
  late: number
  delay: number
  /** Messages of this kind are late every other time. */
  lateKind: string
}

export const FAIR: Weather = { lost: 0, repeated: 0, late: 0, delay: 8, lateKind: 'none' }

type Deliver = (to: ReplicaId, from: ReplicaId, message: Message) => void

/** Carries messages between nodes. */
export class Network {
  weather: Weather = FAIR
  readonly #cuts = new Set<string>()
  readonly #world: ClusterWorld
  readonly #random: Seeded
  /** Some seeds send bytes: that costs more time than all else. */
  readonly #sendsBytes: boolean
  readonly #deliver: Deliver

  constructor(world: ClusterWorld, deliver: Deliver) {
    this.#world = world
    this.#random = world.random('network')
    this.#sendsBytes = world.seed % 10 === 0
    this.#deliver = deliver
  }

  /** From now on nothing of `from` arrives at `to`. */
  cut(from: number, to: number): void {
    this.#cuts.add(`${from}>${to}`)
  }

  mend(from: number, to: number): void {
    this.#cuts.delete(`${from}>${to}`)
  }

  isCut(from: number, to: number): boolean {
    return this.#cuts.has(`${from}>${to}`)
  }

  mendAll(): void {
    this.#cuts.clear()
  }

  send(from: ReplicaId, to: ReplicaId, message: Message): void {
    if (this.isCut(nodeOf(from), nodeOf(to)) || oneIn(this.#random, this.weather.lost)) return
    const copies = oneIn(this.#random, this.weather.repeated) ? 2 : 1
    const carried = this.#sendsBytes ? pass(from, to, message) : message
    for (let copy = 0; copy < copies; copy += 1) {
      const chance = message.kind === this.weather.lateKind ? 2 : this.weather.late
      const late = oneIn(this.#random, chance) ? 100 + this.#random.below(1500) : 0
      const delay = 1 + this.#random.below(this.weather.delay) + late
      this.#world.schedule.after(delay, () => this.#deliver(to, from, carried))
    }
  }
}

/** `2-5` is the fifth replica on node 2. */
export function nodeOf(id: ReplicaId): number {
  return Number(id.slice(0, id.indexOf('-')))
}

function pass(from: ReplicaId, to: ReplicaId, message: Message): Message {
  return decodeMessage(encodeMessage({ partition: 7, from, to, message })).message
}
