// The chores of the whole cluster, done by the node that leads metadata partition 0: drives of nodes that are silent for long
// go out, so that others make their shards again, and come back with their nodes. Whether a node is silent most of the others
// say (placement/witnesses.ts), not this one. Everything it decides is a compare-and-swap on what is decided already, so two
// that think they are in charge do no harm.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { drivesToTakeBack, drivesToTakeOut, followNodes } from '../placement/silent-nodes.ts'
import { type HeardNode, judge, type Testimony } from '../placement/witnesses.ts'
import { AWAY_MS, type NodePulse } from './node-pulse.ts'

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
  /** Whom this node hears. */
  pulse: Pick<NodePulse, 'list'>
  /** All nodes that have drives. */
  nodes(): readonly string[]
  /** Whom another node hears. Rejects when it does not say so. */
  askWhomItHears(nodeId: string, deadlineMs: number): Promise<readonly HeardNode[]>
  /** Of this process. */
  nodeId: string
  /** Whether this node leads metadata partition 0 now, as far as it knows. */
  isInCharge(): boolean
}

/** The partition whose primary does the chores. */
export const STEWARD_PARTITION = 0

/** How long a silent node is waited for, as docs/guides/cluster.md says, and how often all are looked at. */
export const USUAL_STEWARD: StewardOptions = { outDelayMs: 15 * 60_000, everyMs: 5_000 }

/** Who takes longer is not heard. */
const ANSWER_MS = 3_000

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
    const { coordinator, nodes, log } = this.#parts
    if (!this.#parts.isInCharge()) return
    const { isSilent, answers } = judge({
      ...{ testimonies: await this.#askAll(), nodeCount: nodes().length },
      ...{ awayMs: AWAY_MS, silentMs: this.#options.outDelayMs },
    })
    // Others may have decided since.
    const { map } = coordinator.state
    const out = drivesToTakeOut(map, isSilent)
    const back = drivesToTakeBack(map, answers)
    if (out.length + back.length === 0) return
    await coordinator.decide(followNodes(isSilent, answers))
    if (out.length > 0) log.warn({ drives: out }, 'drives are out: their node does not answer')
    if (back.length > 0)
      log.info({ drives: back }, 'drives are in service again: their node answers')
  }

  /** What those say that answer, and this node. */
  async #askAll(): Promise<Testimony[]> {
    const { world, nodes, nodeId, pulse, askWhomItHears } = this.#parts
    const deadlineMs = world.clock.monotonicMs() + ANSWER_MS
    const others = nodes().filter((id) => id !== nodeId)
    const asked = others.map(async (by) => ({ by, heard: await askWhomItHears(by, deadlineMs) }))
    const answers = await Promise.allSettled(asked)
    const told = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    return [{ by: nodeId, heard: pulse.list() }, ...told]
  }
}
