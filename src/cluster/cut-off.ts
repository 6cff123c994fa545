// Whether a gateway is the one that is cut off when half of the nodes do not answer it, or those nodes are dead: by their hints
// in etcd, which others put there. Nothing is decided by it but whether a balancer should ask another gateway.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import { HINT_TTL_SECONDS } from '../placement/etcd/node-registry.ts'

/** Outside of the watch. */
export interface CutOffParts {
  world: Pick<World, 'clock'>
  log: Log
  /** Ids of all nodes of the map. */
  nodes(): readonly string[]
  /** Those that do not answer here. */
  care: { readonly nodesAway: readonly string[] }
  /** Ids of the nodes that etcd heard of lately. Rejects when etcd is away. */
  registry: { hints(): Promise<ReadonlySet<string>> }
}

const LOOK_EVERY_MS = 5_000

/** Before it nothing is said: hints of nodes that died a moment ago are still there. */
const AFTER_MS = (HINT_TTL_SECONDS + 5) * 1000

/** Looks from time to time, until it is stopped. Etcd is asked only while half of the nodes are away. */
export class CutOff {
  readonly #parts: CutOffParts
  readonly #looking: Periodic
  #sinceMs: number | undefined
  /** Of the nodes that are away etcd hears so many; undefined: nobody knows. */
  #heard: number | undefined

  constructor(parts: CutOffParts) {
    this.#parts = parts
    const { world, log } = parts
    this.#looking = repeat('cut-off', LOOK_EVERY_MS, () => this.look(), { clock: world.clock, log })
  }

  /**
   * Half of the nodes or more have not answered here for a while, and etcd hears as many of them, or does not answer either:
   * another gateway may reach them.
   */
  get isCutOff(): boolean {
    const { world } = this.#parts
    if (this.#sinceMs === undefined || !this.#isHalfAway()) return false
    if (world.clock.monotonicMs() - this.#sinceMs < AFTER_MS) return false
    return this.#heard === undefined || this.#isHalf(this.#heard)
  }

  async stop(): Promise<void> {
    await this.#looking.stop()
  }

  /** Asks etcd, where there is something to ask. */
  async look(): Promise<void> {
    const { world, care, registry } = this.#parts
    if (!this.#isHalfAway()) {
      this.#sinceMs = undefined
      return
    }
    this.#sinceMs ??= world.clock.monotonicMs()
    // That etcd is away is told elsewhere (mirror.ts).
    const hints = await registry.hints().catch(() => undefined)
    this.#heard = hints && care.nodesAway.filter((id) => hints.has(id)).length
  }

  #isHalfAway(): boolean {
    return this.#isHalf(this.#parts.care.nodesAway.length)
  }

  #isHalf(count: number): boolean {
    return count > 0 && count * 2 >= this.#parts.nodes().length
  }
}
