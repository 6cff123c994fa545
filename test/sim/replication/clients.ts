// Clients that write and read a few keys through any node, and remember what they were told.
import type { Seeded } from '../../support/seeded.ts'
import { ABSENT, type Condition, type Entry, KeyHistory } from '../history.ts'
import type { Host, Reply, Request } from './host.ts'
import { type ClusterWorld, oneIn } from './world.ts'

const PATIENCE = 700

interface Attempt {
  request: Request
  key: string
  begun: number
  end: (reply: Reply | undefined) => void
}

/** All clients of one world. */
export class Clients {
  readonly histories = new Map<string, KeyHistory>()
  isOver = false
  /** Requests that were answered. */
  answered = 0
  readonly #world: ClusterWorld
  readonly #hosts: readonly Host[]
  readonly #random: Seeded
  #labels = 0

  constructor(world: ClusterWorld, hosts: readonly Host[]) {
    this.#world = world
    this.#hosts = hosts
    this.#random = world.random('clients')
    for (const key of ['a', 'b', 'c']) this.histories.set(key, new KeyHistory(key, false))
  }

  /** Some clients begin. */
  begin(count: number): void {
    for (let client = 0; client < count; client += 1)
      this.#rest(ABSENT, this.#random.pick(this.#hosts))
  }

  /** Reads every key once through `host`; `done` is told of each. */
  readAll(host: Host, done: () => void): void {
    for (const key of this.histories.keys()) {
      this.#do({ key, label: undefined, is: undefined }, host, () => done())
    }
  }

  #rest(seen: string, host: Host): void {
    this.#world.schedule.after(this.#random.below(120), () => {
      if (!this.isOver) this.#next(seen, host)
    })
  }

  /** `seen`: what this client read last, which it may want to find again. */
  #next(seen: string, host: Host): void {
    const key = this.#random.pick(['a', 'a', 'b', 'c'])
    const isRead = oneIn(this.#random, 2)
    this.#labels += isRead ? 0 : 1
    const label = isRead ? undefined : `${this.#labels}`
    const is = isRead || oneIn(this.#random, 2) ? undefined : oneIn(this.#random, 4) ? ABSENT : seen
    this.#do({ key, label, is }, host, (reply) => {
      const isRestless = reply === undefined || oneIn(this.#random, 3)
      const next = isRestless ? this.#random.pick(this.#hosts) : host
      this.#rest(reply?.kind === 'value' ? reply.label : (label ?? seen), next)
    })
  }

  #do(request: Request, host: Host, done: (reply: Reply | undefined) => void): void {
    const begun = this.#world.schedule.now
    let isOver = false
    const end = (reply: Reply | undefined): void => {
      if (isOver) return
      isOver = true
      this.#remember(request, begun, reply)
      done(reply)
    }
    this.#world.schedule.after(PATIENCE, () => end(undefined))
    this.#try({ request, key: request.key, begun, end }, host, () => isOver)
  }

  /** What surely was not done is asked again, of another node. */
  #try(attempt: Attempt, host: Host, isOver: () => boolean): void {
    const { schedule } = this.#world
    if (isOver()) return
    const answer = (reply: Reply): void => {
      schedule.after(1 + this.#random.below(20), () => {
        if (reply.kind !== 'not-done') return attempt.end(reply)
        const next = this.#random.pick(this.#hosts)
        schedule.after(5 + this.#random.below(60), () => this.#try(attempt, next, isOver))
      })
    }
    schedule.after(1 + this.#random.below(20), () => host.ask(attempt.request, answer))
  }

  #remember({ key, label, is }: Request, begun: number, reply: Reply | undefined): void {
    const ended = reply === undefined ? Number.POSITIVE_INFINITY : this.#world.schedule.now
    if (reply !== undefined) this.answered += 1
    this.#world.trace(`${key} ${label ?? 'read'} ${is ?? ''} since ${begun}: ${describe(reply)}`)
    const entry = entryOf(label, conditionOf(is), reply)
    if (entry !== undefined) this.histories.get(key)!.entries.push({ action: entry, begun, ended })
  }
}

function conditionOf(is: string | undefined): Condition {
  if (is === undefined) return { kind: 'none' }
  return is === ABSENT ? { kind: 'absent' } : { kind: 'is', label: is }
}

function entryOf(
  label: string | undefined,
  condition: Condition,
  reply: Reply | undefined,
): Entry['action'] | undefined {
  if (label === undefined) {
    return reply?.kind === 'value' ? { kind: 'read', label: reply.label } : undefined
  }
  const outcome = reply?.kind === 'done' || reply?.kind === 'refused' ? reply.kind : undefined
  return { kind: 'put', label, condition, outcome }
}

function describe(reply: Reply | undefined): string {
  if (reply === undefined) return 'no answer'
  return reply.kind === 'value' ? `value ${reply.label}` : reply.kind
}
