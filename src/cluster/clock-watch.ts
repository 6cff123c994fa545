// Whether the clock of this process goes with those of the nodes. Nothing is decided by clocks, but partitions refuse commands that
// are old, so that none is done twice: who is far behind can write nothing, and nobody who only sees the refusals would guess why.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import { COMMAND_AGE_MS_MAX } from '../metadata/commands/decide.ts'

/** Whose clocks are compared with that of this process; `log` is told when it is wrong, and when it is right again. */
export interface ClockWatchParts {
  world: Pick<World, 'clock'>
  log: Log
  /** All nodes. */
  nodes(): readonly string[]
  /** What the clock of a node says; undefined of one that does not tell. Rejects when it does not answer. */
  askClock(nodeId: string, deadlineMs: number): Promise<number | undefined>
}

const EVERY_MS = 30_000
const DEADLINE_MS = 5_000
/** Far above what NTP leaves, and long before anything is refused. */
const SAID_FROM_MS = 60_000
const MS_PER_MINUTE = 60_000

/** Compares from time to time, until it is stopped. */
export class ClockWatch {
  readonly #parts: ClockWatchParts
  readonly #looking: Periodic
  /** By how much most nodes are ahead of this process; below 0 they are behind. */
  #aheadMs = 0

  constructor(parts: ClockWatchParts) {
    this.#parts = parts
    const { world, log } = parts
    this.#looking = repeat('clock-watch', EVERY_MS, () => this.look(), { clock: world.clock, log })
  }

  /** What people should know; undefined while clocks agree. */
  get sentence(): string | undefined {
    if (Math.abs(this.#aheadMs) < SAID_FROM_MS) return undefined
    const minutes = (Math.abs(this.#aheadMs) / MS_PER_MINUTE).toFixed(1)
    if (this.#aheadMs < 0) return `The clock here is ${minutes} min ahead of those of most nodes.`
    const behind = `The clock here is ${minutes} min behind those of most nodes`
    const limit = COMMAND_AGE_MS_MAX / MS_PER_MINUTE
    return this.#aheadMs < COMMAND_AGE_MS_MAX
      ? `${behind}: from ${limit} min on nothing can be written here.`
      : `${behind}: nothing can be written here until it is right.`
  }

  async stop(): Promise<void> {
    await this.#looking.stop()
  }

  /** Asks all nodes once. */
  async look(): Promise<void> {
    const asked = await Promise.all(this.#parts.nodes().map((nodeId) => this.#aheadOf(nodeId)))
    const known = asked.filter((ms) => ms !== undefined).sort((left, right) => left - right)
    if (known.length === 0) return
    const before = this.sentence
    // That of the middle: one node with a wrong clock says nothing of ours.
    this.#aheadMs = known[Math.floor((known.length - 1) / 2)]!
    const { log } = this.#parts
    const { sentence } = this
    if (sentence !== undefined && before === undefined) log.error({}, sentence)
    if (sentence === undefined && before !== undefined)
      log.info({}, 'the clock here is right again')
  }

  async #aheadOf(nodeId: string): Promise<number | undefined> {
    const { clock } = this.#parts.world
    const begunMs = clock.now()
    try {
      const theirMs = await this.#parts.askClock(nodeId, clock.monotonicMs() + DEADLINE_MS)
      return theirMs === undefined ? undefined : theirMs - (begunMs + clock.now()) / 2
    } catch {
      return undefined // Who does not answer is another's business (node-pulse.ts).
    }
  }
}
