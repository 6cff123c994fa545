// Several processes that serve one port: this very command once more in each. The first process, which calls this, has the
// port and hands connections out in turn; it starts a worker again that ended. Why: docs/decisions/0025-workers-on-one-port.md.
import cluster, { type Worker } from 'node:cluster'
import type { Duplex } from 'node:stream'
import { RestartBudget, TOO_OFTEN } from '../guard/restart-budget.ts'
import { beforeDeadline } from '../kit/before-deadline.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import { oneArena, shareHeap } from './memory-shares.ts'
import {
  type Answers,
  type FromWorker,
  LINK_FD,
  type QuestionName,
  type ToWorker,
  type WorkerStart,
} from './messages.ts'

/** How many workers there are, on which port, and how each of them learns what it is. */
export interface WorkersOptions {
  count: number
  /** 0 takes a free one, which all of them then have. */
  port: number
  /** The variable of the environment in which a worker finds its WorkerStart. */
  variable: string
  /** Of this process: it is theirs as well. */
  environment: Readonly<Record<string, string | undefined>>
}

/** Who hears of workers. With `onLink` each has a pipe to this process, as the descriptor LINK_FD. */
export interface WorkersParts {
  world: Pick<World, 'clock'>
  log: Log
  /** Each worker gets a way to this process; this end of it, and how to end the worker whatever it does. */
  onLink?: (link: Duplex, kill: () => void) => void
  /** A worker that served has ended. */
  onEnd?: (pid: number) => void
}

/** What the first worker said when it served. */
export interface Serving {
  endpoint: string
  lines: readonly string[]
}

/** How the workers ended that were to serve on. */
export type WorkersEnd =
  /** One could not start at all. */
  { kind: 'not-started'; code: number; sentence: string } | { kind: 'gave-up'; sentence: string }

/** What a worker answered. */
export interface Answered<Answer> {
  pid: number
  answer: Answer
}

interface Running {
  worker: Worker
  /** Why it could not start. */
  refused?: { code: number; sentence: string }
  serving?: Serving
  ended: Promise<WorkerEnd>
}

/** How a worker ended, or why there is none. */
interface WorkerEnd {
  code: number
  how: string
}

/** A worker that is busy for longer is not waited for. */
const ANSWER_MS = 5_000
/** From the deadline of a drain to the end of the process. */
const END_MS = 1_500

/** Keeps so many workers. */
export class WorkerProcesses {
  readonly #options: WorkersOptions
  readonly #parts: WorkersParts
  readonly #running = new Map<number, Running>()
  readonly #asked = new Map<number, (answer: unknown) => void>()
  readonly #closing = new AbortController()
  readonly #failed: Promise<WorkersEnd>
  #fail: (end: WorkersEnd) => void = () => {}
  #questions = 0
  /** What those that run were told; all of them have to say the same to share a port. */
  #port: number
  #endpoint: string | undefined
  #restarts = 0

  constructor(options: WorkersOptions, parts: WorkersParts) {
    this.#options = options
    this.#parts = parts
    this.#port = options.port
    this.#failed = new Promise((resolve) => {
      this.#fail = resolve
    })
    const link = parts.onLink === undefined ? [] : (['pipe'] as const)
    cluster.setupPrimary({
      args: process.argv.slice(2),
      execArgv: shareHeap(process.execArgv, options.count),
      serialization: 'advanced',
      stdio: ['inherit', 'inherit', 'inherit', 'ipc', ...link],
    })
  }

  /** How often one was started again. */
  get restarts(): number {
    return this.#restarts
  }

  /** Process ids of those that serve, by number. */
  get pids(): number[] {
    return [...this.#running]
      .filter(([, { serving }]) => serving !== undefined)
      .sort(([one], [other]) => one - other)
      .map(([, { worker }]) => worker.process.pid ?? 0)
  }

  /** Resolves when all serve, with what the first one said: that one is started alone, so that what can not be is said once. */
  async start(): Promise<Serving | WorkersEnd> {
    const first = await Promise.race([this.#keep(0), this.#failed])
    if ('kind' in first) return first
    const others = Array.from({ length: this.#options.count - 1 }, (_, at) => this.#keep(at + 1))
    const all = await Promise.race([Promise.all(others), this.#failed])
    return 'kind' in all ? all : first
  }

  /** Resolves when they can not serve on. */
  get failed(): Promise<WorkersEnd> {
    return this.#failed
  }

  /** Asks all that serve; those that do not answer in time are left out. */
  async ask<Name extends QuestionName>(name: Name): Promise<Answered<Answers[Name]>[]> {
    const asked = [...this.#running.values()].filter(({ serving }) => serving !== undefined)
    const answers = await Promise.all(asked.map((running) => this.#askOne(running, name)))
    return answers.filter((answer) => answer !== undefined)
  }

  /** All drain, and end; what is left after `deadlineMs` is broken off. */
  async close({ deadlineMs }: { deadlineMs: number }): Promise<void> {
    this.#closing.abort()
    const running = [...this.#running.values()]
    for (const { worker } of running) tell(worker, { kind: 'close', deadlineMs })
    const ended = Promise.all(running.map((one) => one.ended))
    if (await beforeDeadline(ended, deadlineMs + END_MS, this.#parts.world)) return
    for (const { worker } of running) worker.process.kill('SIGKILL')
    // One that hangs in the kernel ends when that lets it.
    await beforeDeadline(ended, END_MS, this.#parts.world)
  }

  /** Starts worker `index`, and starts it again whenever it ends. Resolves when it serves for the first time. */
  #keep(index: number): Promise<Serving> {
    return new Promise((resolve) => {
      const budget = new RestartBudget(this.#parts.world.clock)
      const run = async (): Promise<void> => {
        let hasServed = false
        while (!this.#closing.signal.aborted) {
          const end = await this.#run(index, (serving) => {
            hasServed = true
            resolve(serving)
          })
          if (this.#closing.signal.aborted) return
          if (!hasServed) return this.#fail(whyNot(index, end))
          if (!(await this.#pause(index, end, budget))) return
          this.#restarts += 1
        }
      }
      run().catch((error) => this.#fail({ kind: 'gave-up', sentence: String(error) }))
    })
  }

  /** From its start to its end. A system that has no process, memory or file for it ends it before it is one. */
  async #run(
    index: number,
    onServing: (serving: Serving) => void,
  ): Promise<WorkerEnd & Pick<Running, 'refused'>> {
    let running: Running
    try {
      running = this.#fork(index, onServing)
    } catch (error) {
      return { code: 1, how: String(error) }
    }
    const end = await running.ended
    this.#running.delete(index)
    return { ...end, ...(running.refused && { refused: running.refused }) }
  }

  /** False when there is to be no other one. */
  async #pause(index: number, { how }: WorkerEnd, budget: RestartBudget): Promise<boolean> {
    const pauseMs = budget.take()
    if (pauseMs === undefined) {
      const sentence = `worker ${index} ended by ${how}, after it was started again ${TOO_OFTEN}: it is left at that.`
      this.#fail({ kind: 'gave-up', sentence })
      return false
    }
    this.#parts.log.error({ worker: index, how, pauseMs }, 'a worker ended and is started again')
    return await this.#parts.world.clock.sleep(pauseMs, this.#closing.signal).then(
      () => true,
      () => false, // Nobody wants a worker any more.
    )
  }

  #fork(index: number, onServing: (serving: Serving) => void): Running {
    const { count, variable, environment } = this.#options
    // Nobody holds the port any more that they were given in place of 0: it is asked for by its number.
    if (this.#running.size === 0 && this.#endpoint !== undefined)
      this.#port = portOf(this.#endpoint)
    const start: WorkerStart = { index, count, port: this.#port }
    const worker = cluster.fork({ ...oneArena(environment), [variable]: JSON.stringify(start) })
    const { pid } = worker.process
    const ended = new Promise<WorkerEnd>((resolve) => {
      worker.once('exit', (code, signal) =>
        resolve({ code: code ?? 1, how: signal ?? `code ${code}` }),
      )
      // What never was a process does not exit.
      worker.once('error', (error) => {
        if (pid === undefined) resolve({ code: 1, how: String(error) })
      })
    })
    const running: Running = { worker, ended }
    this.#running.set(index, running)
    // It ends soon when it can not be told anything.
    worker.on('error', () => {})
    if (pid === undefined) {
      // Not even these are there when the system had no file for it.
      worker.process.stdio?.[LINK_FD]?.destroy()
      return running
    }
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'answer') {
        this.#asked.get(message.id)?.(message.answer)
        return
      }
      if (message.kind === 'not-started') {
        running.refused = message
        return
      }
      const { endpoint, lines } = message
      this.#endpoint ??= endpoint
      // Asked for just when the last that had it ended, port 0 became another one.
      if (endpoint !== this.#endpoint) {
        worker.process.kill('SIGKILL')
        return
      }
      running.serving = { endpoint, lines }
      onServing(running.serving)
    })
    const link = worker.process.stdio[LINK_FD]
    if (link) this.#parts.onLink?.(link as Duplex, () => worker.process.kill('SIGKILL'))
    void ended.then(() => {
      if (running.serving !== undefined) this.#parts.onEnd?.(pid)
    })
    return running
  }

  async #askOne<Name extends QuestionName>(
    { worker, ended }: Running,
    name: Name,
  ): Promise<Answered<Answers[Name]> | undefined> {
    const id = this.#questions
    this.#questions += 1
    let answer: unknown
    const answered = new Promise<void>((resolve) => {
      this.#asked.set(id, (told) => {
        answer = told
        resolve()
      })
    })
    tell(worker, { kind: 'ask', id, name })
    await beforeDeadline(Promise.race([answered, ended]), ANSWER_MS, this.#parts.world)
    this.#asked.delete(id)
    const { pid } = worker.process
    if (answer === undefined || pid === undefined) return undefined
    return { pid, answer: answer as Answers[Name] }
  }
}

function whyNot(
  index: number,
  { code, how, refused }: WorkerEnd & Pick<Running, 'refused'>,
): WorkersEnd {
  const sentence = `worker ${index} ended by ${how} before it served.`
  return { kind: 'not-started', code: code === 0 ? 1 : code, sentence, ...refused }
}

/** Of an endpoint; ours always say their port. */
function portOf(endpoint: string): number {
  return Number(/:(\d+)$/.exec(endpoint)?.[1])
}

/** One that ends meanwhile hears nothing more. */
function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message)
}
