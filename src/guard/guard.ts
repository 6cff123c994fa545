// Starts the server again when it ended by a signal that nobody asked for. Why: docs/decisions/0018-a-guard-for-the-server.md.
import type { Log } from '../kit/log.ts'
import type { LogLevel } from '../kit/log-levels.ts'
import type { World } from '../kit/world.ts'
import type { Life } from './life.ts'
import { RestartBudget, TOO_OFTEN } from './restart-budget.ts'
import type { ProcessEnd, ServerProcess } from './server-process.ts'

/** Signals of a process that did wrong itself, and the one of a kernel that is short of memory. */
const CRASHES: readonly NodeJS.Signals[] = [
  ...(['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGTRAP', 'SIGSYS'] as const),
  'SIGKILL',
]

/** How guarding ended: as the server did, before there was another one, or because it crashed and is not started again. */
export type GuardEnd = ProcessEnd | { kind: 'asked' } | { kind: 'gave-up'; sentence: string }

/** What a guard needs. */
export interface GuardParts {
  world: Pick<World, 'clock'>
  start(life: Life): ServerProcess
  /** Only when there is something to say: a guard is to stay small. */
  openLog(level: LogLevel): Promise<Log>
}

/** One server at a time, until one ends as it should. */
export class Guard {
  readonly #parts: GuardParts
  readonly #passedOn = new Set<NodeJS.Signals>()
  readonly #asked = new AbortController()
  #server: ServerProcess | undefined

  constructor(parts: GuardParts) {
    this.#parts = parts
  }

  /** Passes a signal that asks for the end on to the server, each kind once. */
  passOn(signal: NodeJS.Signals): void {
    if (this.#passedOn.has(signal)) return
    this.#passedOn.add(signal)
    this.#server?.signal(signal)
    this.#asked.abort()
  }

  /** Runs servers; rejects when one can not be started at all. */
  async run(): Promise<GuardEnd> {
    const budget = new RestartBudget(this.#parts.world.clock)
    let life: Life = { restarts: { count: 0 } }
    for (;;) {
      this.#server = this.#parts.start(life)
      const end = await this.#server.ended
      if (end.kind === 'exit' || !CRASHES.includes(end.signal)) return end
      if (this.#asked.signal.aborted)
        return gaveUp(`the server ended by ${end.signal} on its way out.`)
      const pauseMs = budget.take()
      if (pauseMs === undefined) return gaveUp(tooOften(end.signal))
      life = await this.#nextLife(life, end.signal, pauseMs)
      this.#server = undefined
      if (!(await this.#pause(pauseMs))) return { kind: 'asked' }
    }
  }

  async #nextLife(life: Life, signal: string, pauseMs: number): Promise<Life> {
    const listening = this.#server?.listening()
    const count = life.restarts.count + 1
    const log = await this.#parts.openLog(listening?.logLevel ?? 'info')
    const data = { signal, restarts: count, pauseMs }
    log.error(data, 'the server ended by a signal and is started again')
    const restarts = { count, last: { signal, ms: this.#parts.world.clock.now() } }
    if (listening === undefined) return { ...life, restarts }
    const { port, adminPort, memory } = listening
    return { restarts, ports: { port, adminPort }, memory }
  }

  /** False when the end was asked for meanwhile. */
  async #pause(ms: number): Promise<boolean> {
    if (ms === 0) return !this.#asked.signal.aborted
    return this.#parts.world.clock.sleep(ms, this.#asked.signal).then(
      () => true,
      () => false, // Nobody wants a server any more.
    )
  }
}

function gaveUp(sentence: string): GuardEnd {
  return { kind: 'gave-up', sentence }
}

function tooOften(signal: string): string {
  return `the server ended by ${signal}, after it was started again ${TOO_OFTEN}: it is left at that.`
}
