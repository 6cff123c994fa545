// The chores of the whole cluster, done by the node that leads metadata partition 0: drives of nodes that are silent for long
// go out, so that others make their shards again, and come back with their nodes. Everything it decides is a
// compare-and-swap on what is decided already, so two that think they are in charge do no harm.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { drivesToTakeBack, drivesToTakeOut, followNodes } from '../placement/silent-nodes.ts'
import type { NodePulse } from './node-pulse.ts'

/** Times of the steward. */
export interface StewardOptions {
  /** A node that is back sooner needs nothing made again. */
  outDelayMs: number
  everyMs: number
}

/** What the steward is given. */
export interface StewardParts {
  world: Pick<World, 'clock'>
  log: Log
  coordinator: Coordinator
  pulse: Pick<NodePulse, 'silentMs' | 'answers'>
  /** Of this process. */
  nodeId: string
  /** Whether this node leads metadata partition 0 now, as far as it knows. */
  isInCharge(): boolean
}

/** The partition whose primary does the chores. */
export const STEWARD_PARTITION = 0

export const USUAL_STEWARD: StewardOptions = { outDelayMs: 15 * 60_000, everyMs: 5_000 }

/** Does the chores. */
export class Steward {
  readonly #options: StewardOptions
  readonly #parts: StewardParts
  #looking: Periodic | undefined

  constructor(parts: StewardParts, options: StewardOptions = USUAL_STEWARD) {
    this.#options = options
    this.#parts = parts
  }

  start(): void {
    const { world, log } = this.#parts
    const parts = { clock: world.clock, log }
    this.#looking = repeat('steward', this.#options.everyMs, () => this.look(), parts)
  }

  async stop(): Promise<void> {
    await this.#looking?.stop()
  }

  /** Decides what is due. Rejects with CoordinatorUnavailable. */
  async look(): Promise<void> {
    const { coordinator, pulse, nodeId, log } = this.#parts
    if (!this.#parts.isInCharge()) return
    const { map } = coordinator.state
    const isSilent = (id: string): boolean =>
      id !== nodeId && pulse.silentMs(id) >= this.#options.outDelayMs
    const answers = (id: string): boolean => id === nodeId || pulse.answers(id)
    const out = drivesToTakeOut(map, isSilent)
    const back = drivesToTakeBack(map, answers)
    if (out.length + back.length === 0) return
    await coordinator.decide(followNodes(isSilent, answers))
    if (out.length > 0) log.warn({ drives: out }, 'drives are out: their node does not answer')
    if (back.length > 0)
      log.info({ drives: back }, 'drives are in service again: their node answers')
  }
}
