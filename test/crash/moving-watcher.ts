// A moving store over all the lives of its process: starts it, kills it, and remembers what it acknowledged.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { DriveOutcome } from '../../src/gateway/admin-api.ts'
import type { KeyState, News, Order, StoreState } from './moving-store.ts'

/** The bound only ends a failing test. */
const ROUNDS_MAX = 15_000
const ROUND_MS = 10

/** The process and what it told. */
export class Watcher {
  readonly keys = new Map<string, KeyState>()
  readonly troubles: string[] = []
  kills = 0
  reads = 0
  changes = 0
  state: StoreState | undefined
  readonly #directories: string[]
  readonly #seed: number
  /** Of lives that ended. */
  #movedBytes = 0
  #child: ChildProcess | undefined
  #isKilling = false
  /** What was decided before this is not looked at any more. */
  #epoch = 0

  constructor(directories: string[], { keys, seed }: { keys: number; seed: number }) {
    this.#directories = directories
    this.#seed = seed
    for (let key = 0; key < keys; key += 1) this.keys.set(`k${key}`, { acked: 0 })
  }

  /** In all lives; what was moved just before a kill may be missing. */
  get movedBytes(): number {
    return this.#movedBytes + (this.state?.movedBytes ?? 0)
  }

  /** Starts the process, which reads every key before it says that it is open. `rest`: there is no load then. */
  async start(rest = false): Promise<void> {
    this.#isKilling = false
    const child = fork(fileURLToPath(new URL('./moving-store.js', import.meta.url)), [], {
      env: { ...process.env, MOVING_STORE: '1' },
    })
    this.#child = child
    child.on('message', (news: News) => this.#hear(news))
    child.on('exit', (code) => {
      if (!this.#isKilling) this.troubles.push(`the process ended with ${code}`)
    })
    const open = { directories: this.#directories, keys: [...this.keys] }
    await this.#tell({ kind: 'open', ...open, rest, seed: this.#seed + this.kills })
  }

  /** kill -9, if it lives. */
  async kill(): Promise<void> {
    this.#isKilling = true
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    this.kills += 1
    this.reads += this.state?.reads ?? 0
    this.changes += this.state?.changes ?? 0
    this.#movedBytes = this.movedBytes
    this.state = undefined
  }

  /** Gives a command about drives; undefined when the process was killed before it answered. */
  async order(order: Exclude<Order, { kind: 'open' }>): Promise<DriveOutcome | undefined> {
    const news = await this.#tell(order)
    if (news?.kind !== 'ordered') return undefined
    this.#epoch = news.epoch
    return news.outcome
  }

  /** Waits until it tells that it is so. */
  async until(what: string, isSo: (state: StoreState) => boolean): Promise<StoreState> {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      if (this.state && this.state.epoch >= this.#epoch && isSo(this.state)) return this.state
      if (this.troubles.length > 0) throw new Error(`${what}: ${this.troubles.join('; ')}`)
      await sleep(ROUND_MS)
    }
    const { map, ...state } = this.state ?? {}
    const drives = map?.drives.map(({ id, state: word, isVacated }) => ({ id, word, isVacated }))
    throw new Error(`not ${what}: ${JSON.stringify({ ...state, drives })}`)
  }

  /** The answer; undefined when there will be none. */
  #tell(order: Order): Promise<News | undefined> {
    const child = this.#child!
    return new Promise((resolve) => {
      const hear = (news: News): void => {
        if (['opened', 'ordered', 'trouble'].includes(news.kind)) end(news)
      }
      const end = (news?: News): void => {
        child.off('message', hear)
        child.off('exit', leave)
        resolve(news)
      }
      const leave = (): void => end()
      child.on('message', hear)
      child.on('exit', leave)
      child.send(order)
    })
  }

  #hear(news: News): void {
    if (news.kind === 'trouble') this.troubles.push(news.what)
    else if (news.kind === 'state' && !this.#isKilling) this.state = news.state
    else if (news.kind === 'done') this.keys.set(news.key, { acked: news.content })
    else if (news.kind === 'begins') {
      const acked = this.keys.get(news.key)?.acked ?? 0
      this.keys.set(news.key, { acked, open: news.content })
    }
  }
}
