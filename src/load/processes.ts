// The generator's processes: one alone would be slower than what it measures.
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Latencies } from './latencies.ts'
import type { FromProcess, ToProcess, Work } from './messages.ts'
import type { Tally } from './run-clients.ts'

const PROGRAM = fileURLToPath(new URL('./load-process.js', import.meta.url))

/** What all processes together saw. */
export interface Sum extends Omit<Tally, 'latencies'> {
  latencies: Latencies
  /** Of the generator itself. */
  cpuSeconds: number
}

/** Processes that do the same work, each its share of the clients. */
export class LoadProcesses {
  readonly #children: readonly ChildProcess[]

  constructor(count: number) {
    this.#children = Array.from({ length: count }, () =>
      fork(PROGRAM, { serialization: 'advanced' }),
    )
  }

  /** Writes what has to be there before. Throws Error when something of it was refused. */
  async prepare(work: Omit<Work, 'at' | 'processes'>): Promise<void> {
    const processes = this.#children.length
    const told = await this.#ask((at) => ({ kind: 'prepare', work: { ...work, at, processes } }))
    for (const { tally } of told) {
      if (tally.errors > 0) throw new Error(`preparing failed: ${tally.firstError}`)
    }
  }

  /** Runs the load for so long. */
  async run(seconds: number): Promise<Sum> {
    const told = await this.#ask(() => ({ kind: 'run', seconds }))
    const latencies = new Latencies()
    const sum = { requests: 0, amount: 0, errors: 0, seconds: 0, cpuSeconds: 0 }
    for (const message of told) {
      const { tally } = message
      latencies.add(tally.latencies)
      sum.requests += tally.requests
      sum.amount += tally.amount
      sum.errors += tally.errors
      sum.seconds = Math.max(sum.seconds, tally.seconds)
      if (message.kind === 'ran') sum.cpuSeconds += message.cpuSeconds
    }
    const firstError = told.find(({ tally }) => tally.firstError !== undefined)?.tally.firstError
    return { ...sum, latencies, ...(firstError === undefined ? {} : { firstError }) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map(endProcess))
  }

  #ask(messageOf: (at: number) => ToProcess): Promise<Exclude<FromProcess, { kind: 'failed' }>[]> {
    return Promise.all(this.#children.map((child, at) => ask(child, messageOf(at))))
  }
}

function ask(
  child: ChildProcess,
  message: ToProcess,
): Promise<Exclude<FromProcess, { kind: 'failed' }>> {
  return new Promise((resolve, reject) => {
    const leave = (code: number | null): void =>
      reject(new Error(`a process of the generator ended with ${code}`))
    child.once('exit', leave)
    child.once('message', (told: FromProcess) => {
      child.off('exit', leave)
      if (told.kind === 'failed') reject(new Error(told.why))
      else resolve(told)
    })
    child.send(message)
  })
}

function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}
