// Which nodes answer, as this process itself sees it: a small question to each of them every second. Direct evidence, for
// those who place, read and decide; leases in etcd are hints that can be gone for everybody at once.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import type { HeardNode } from '../placement/witnesses.ts'
import { NodeFailed, NodeRefused, VersionsTooFarApart } from '../storage-node/rpc/trouble.ts'

/** What the pulse is given. */
export interface PulseParts {
  world: Pick<World, 'clock'>
  log: Log
  /** All other nodes. */
  nodes(): readonly string[]
  /** Resolves when the node answered. */
  ping(nodeId: string, deadlineMs: number): Promise<void>
  /** When a node last answered anything, on the monotonic clock: who just did need not be asked. */
  heardMs?(nodeId: string): number | undefined
}

const EVERY_MS = 1_000
const DEADLINE_MS = 2_000
// Replicas of metadata say something every second (replica-host.ts): mostly nobody has to be asked.
const JUST_NOW_MS = EVERY_MS

/** A node that has been silent for so long is away, as far as writes and reads are concerned. */
export const AWAY_MS = 3_000

// A process that was stopped has heard of nobody for as long: that says nothing of the others. Together with the usual step
// before it, whose answer it may not have read yet, this stays below AWAY_MS.
const STEP_MS_MAX = 1.5 * EVERY_MS

interface Pulse {
  silentMs: number
  hasAnswered: boolean
  isAsked: boolean
}

/** Feels the pulse of all other nodes. */
export class NodePulse {
  readonly #parts: PulseParts
  readonly #pulses = new Map<string, Pulse>()
  #lastMs: number
  #asking: Periodic | undefined

  constructor(parts: PulseParts) {
    this.#parts = parts
    this.#lastMs = parts.world.clock.monotonicMs()
  }

  /** Begins to ask. */
  start(): void {
    const { clock } = this.#parts.world
    const parts = { clock, log: this.#parts.log }
    this.#asking = repeat('pulse-of-nodes', EVERY_MS, async () => this.look(), parts)
  }

  async stop(): Promise<void> {
    await this.#asking?.stop()
  }

  /** How long a node has not answered, as far as this process was awake; 0 of one that was never asked. */
  silentMs(nodeId: string): number {
    return this.#pulses.get(nodeId)?.silentMs ?? 0
  }

  /** Whether it is better not to wait for a node. */
  isAway(nodeId: string): boolean {
    return this.silentMs(nodeId) >= AWAY_MS
  }

  /** Whether a node has answered since it was asked first, and lately. */
  answers(nodeId: string): boolean {
    const pulse = this.#pulses.get(nodeId)
    return pulse?.hasAnswered === true && pulse.silentMs < AWAY_MS
  }

  /** What there is to say of each node that is asked. */
  list(): HeardNode[] {
    return [...this.#pulses].map(([nodeId, { silentMs, hasAnswered }]) => ({
      ...{ nodeId, silentMs, hasAnswered },
    }))
  }

  /** Asks every node that does not owe an answer. Waits for none of them. */
  look(): void {
    const nowMs = this.#parts.world.clock.monotonicMs()
    const stepMs = Math.min(STEP_MS_MAX, nowMs - this.#lastMs)
    this.#lastMs = nowMs
    const nodes = this.#parts.nodes()
    for (const nodeId of this.#pulses.keys())
      if (!nodes.includes(nodeId)) this.#pulses.delete(nodeId)
    for (const nodeId of nodes) {
      const known = this.#pulses.get(nodeId)
      const pulse = known ?? { silentMs: 0, hasAnswered: false, isAsked: false }
      this.#pulses.set(nodeId, pulse)
      const quietMs = nowMs - (this.#parts.heardMs?.(nodeId) ?? Number.NEGATIVE_INFINITY)
      if (quietMs <= JUST_NOW_MS) {
        heard(pulse)
        continue
      }
      if (known) pulse.silentMs += stepMs
      if (!pulse.isAsked) void this.#ask(nodeId, pulse, nowMs + DEADLINE_MS)
    }
  }

  async #ask(nodeId: string, pulse: Pulse, deadlineMs: number): Promise<void> {
    pulse.isAsked = true
    try {
      await this.#parts.ping(nodeId, deadlineMs)
      heard(pulse)
    } catch (error) {
      // It says that it does not understand us, or stops: who says so is there.
      if (isAnswer(error)) heard(pulse)
    } finally {
      pulse.isAsked = false
    }
  }
}

function heard(pulse: Pulse): void {
  pulse.silentMs = 0
  pulse.hasAnswered = true
}

function isAnswer(error: unknown): boolean {
  return (
    error instanceof NodeRefused ||
    error instanceof NodeFailed ||
    error instanceof VersionsTooFarApart
  )
}
