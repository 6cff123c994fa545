// The network of a simulated cluster: what nodes and gateways say to each other takes its time, is lost, repeated and out
// of order, and some ways are cut in one direction. Lanes and everything above them are as shipped; what is below them,
// connections and sessions, is this.

import type { LaneRequest } from '../../../src/storage-node/rpc/lane.ts'
import {
  type Answer,
  decodeAnswer,
  encodeDone,
  encodeFailed,
  MessageType,
} from '../../../src/storage-node/rpc/messages.ts'
import type { NodeService, RequestContext } from '../../../src/storage-node/rpc/node-service.ts'
import {
  BadMessage,
  NodeRefused,
  NodeUnreachable,
  type Outcome,
} from '../../../src/storage-node/rpc/trouble.ts'
import type { Seeded } from '../../support/seeded.ts'
import type { SimProcess } from '../machine.ts'
import type { SimTime } from '../time.ts'

/** What may become of a message, in thousandths. */
export interface Weather {
  /** Nothing of it arrives, and nobody hears of it. */
  lost: number
  /** The connection breaks: who asked knows that nobody knows. */
  broken: number
  /** It arrives a second time, somewhat later. */
  repeated: number
  /** It is so late that others overtake it. */
  slow: number
}

export const CALM: Weather = { lost: 0, broken: 0, repeated: 0, slow: 0 }

/** One end of a connection: a process, and the machine that it runs on. */
export interface End {
  machine: string
  process: SimProcess
}

/** A process that others can ask. */
export interface Listener extends End {
  service: NodeService
}

const USUAL_MS = 1
const SLOW_MS = 3_000
const CONNECT_MS = 3_000

const GONE = new NodeRefused('the asker has gone', 'late')

/** Small requests that travel together, and share their fate. */
export interface Batch {
  requests: readonly LaneRequest[]
  /** Of each request that is answered, by its place. */
  onAnswer: (answer: Answer) => void
  /** Nobody waits for any of it any more. */
  isGivenUp: boolean
  /** Set by who carries it: to be called when it is given up. */
  onGivenUp: () => void
}

/** All ways between machines. */
export class SimNetwork {
  weather: Weather = CALM
  readonly counts = { messages: 0, lost: 0, repeated: 0 }
  readonly #time: SimTime
  readonly #random: Seeded
  readonly #listening = new Map<string, Listener>()
  /** Ways that are cut, `from>to`, and those who wait for them. */
  readonly #cut = new Map<string, (() => void)[]>()
  /** Batches that somebody waits for, by the process that asks and the name of who is asked. */
  readonly #underWay = new Map<SimProcess, Map<string, number>>()

  constructor(time: SimTime, random: Seeded) {
    this.#time = time
    this.#random = random
  }

  /** Others reach the process under this name, until another takes it. */
  listen(name: string, listener: Listener): void {
    this.#listening.set(name, listener)
  }

  /** Nothing comes through from one machine to the other. */
  cut(from: string, to: string): void {
    const way = `${from}>${to}`
    if (!this.#cut.has(way)) this.#cut.set(way, [])
  }

  /** Everything comes through again, and some of what waited. */
  mend(): void {
    const waiting = [...this.#cut.values()].flat()
    this.#cut.clear()
    for (const wake of waiting) wake()
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(`${from}>${to}`)
  }

  /** Of all ways between two living processes, the most batches that somebody waits for now. */
  mostUnderWay(): number {
    for (const process of this.#underWay.keys())
      if (!process.isAlive) this.#underWay.delete(process)
    return Math.max(0, ...[...this.#underWay.values()].flatMap((ways) => [...ways.values()]))
  }

  /** Carries a batch: resolves when it is over, rejects when the connection broke. */
  carry(from: End, to: string, batch: Batch): Promise<void> {
    return new Promise((resolve, reject) => {
      const crossing = new Crossing(from, {
        resolve,
        reject: (outcome) => reject(new NodeUnreachable(`node ${to} did not answer`, outcome)),
      })
      batch.onGivenUp = () => crossing.settle(resolve)
      const forget = from.process.onEnd(() => crossing.giveUp())
      crossing.onOver(() => {
        forget()
        this.#count(from, to, -1)
      })
      this.#count(from, to, 1)
      this.counts.messages += 1
      void this.#send(crossing, to, batch)
    })
  }

  #count({ process }: End, to: string, change: number): void {
    const ways = this.#underWay.get(process) ?? new Map<string, number>()
    this.#underWay.set(process, ways)
    ways.set(to, (ways.get(to) ?? 0) + change)
  }

  async #send(crossing: Crossing, to: string, batch: Batch): Promise<void> {
    const { from } = crossing
    const target = this.#listening.get(to)
    const isRepeated = this.#happens(this.weather.repeated)
    await this.#time.sleep(this.#wayMs())
    if (target === undefined) return crossing.break('not-sent')
    if (this.isCut(from.machine, target.machine)) return await this.#wait(crossing, to, batch)
    if (!target.process.isAlive) {
      // Its machine says that nobody listens, or says nothing.
      if (this.#random.below(2) === 0) await this.#time.sleep(CONNECT_MS)
      return crossing.break('not-sent')
    }
    if (this.#happens(this.weather.lost)) {
      this.counts.lost += 1
      return
    }
    if (this.#happens(this.weather.broken)) {
      crossing.break('unknown')
      if (this.#random.below(2) === 0) return
      // What was on its way comes all the same, perhaps behind what is asked again.
      await this.#time.sleep(this.#random.below(SLOW_MS))
      if (!target.process.isAlive) return
    }
    if (!isRepeated) return this.#arrive(crossing, target, batch)
    this.counts.repeated += 1
    // A node takes an exchange once (replay-window.ts). Who is told that it took none asks again, and is answered to that;
    // only what replicas say to each other may be meant again later.
    const isOfReplicas = batch.requests.every(({ type }) => type === MessageType.Metadata)
    const [first, second] = isOfReplicas
      ? [crossing, new Crossing(from)]
      : [new Crossing(from), crossing]
    this.#arrive(first, target, batch)
    await this.#time.sleep(this.#random.below(SLOW_MS))
    if (target.process.isAlive) this.#arrive(second, target, batch)
    else second.break('unknown')
  }

  /** The way is cut: nobody connects, or what was sent stays on its way until it is mended. */
  async #wait(crossing: Crossing, to: string, batch: Batch): Promise<void> {
    if (this.#random.below(2) === 0) {
      await this.#time.sleep(CONNECT_MS)
      return crossing.break('not-sent')
    }
    const machine = this.#listening.get(to)?.machine
    const waiting = this.#cut.get(`${crossing.from.machine}>${machine}`)
    if (waiting === undefined) return await this.#send(crossing, to, batch)
    await new Promise<void>((resolve) => {
      waiting.push(resolve)
    })
    await this.#send(crossing, to, batch)
  }

  #arrive(crossing: Crossing, target: Listener, batch: Batch): void {
    target.process.whenAwake(() => this.#takeIn(crossing, target, batch))
  }

  #takeIn(crossing: Crossing, target: Listener, batch: Batch): void {
    const { requests, onAnswer } = batch
    const gone = new Gone()
    if (batch.isGivenUp) crossing.giveUp()
    const forget = target.process.onEnd(() => {
      this.#time.after(this.#wayMs(), () => crossing.break('unknown'))
    })
    let open = requests.length
    crossing.onOver(() => {
      forget()
      if (open === 0) return
      // What the other end is told when nobody waits any more.
      this.#time.after(this.#wayMs(), () => target.process.whenAwake(() => gone.abort()))
    })
    for (const [id, { type, body, deadlineMs }] of requests.entries()) {
      const { from } = crossing
      const theirMs = deadlineMs + clockOf(target) - clockOf(from)
      const context = contextOf(from.machine, target, theirMs, gone)
      void answer(target.service, { id, type, body: Uint8Array.from(body) }, context).then(
        (bytes) => {
          if (!target.process.isAlive) return
          this.#time.after(this.#wayMs(), () => {
            if (this.isCut(target.machine, from.machine) || this.#happens(this.weather.lost)) return
            from.process.whenAwake(() => {
              crossing.tell(() => onAnswer(decodeAnswer(bytes)))
              open -= 1
              if (open === 0) crossing.end()
            })
          })
        },
      )
    }
  }

  #happens(perMille: number): boolean {
    return perMille > 0 && this.#random.below(1000) < perMille
  }

  #wayMs(): number {
    const slow = this.#happens(this.weather.slow)
    return (this.#random.below(1000) / 1000) * (slow ? SLOW_MS : USUAL_MS)
  }
}

/** One batch and what who asked hears of it. */
class Crossing {
  readonly from: End
  readonly #end: { resolve(): void; reject(outcome: Outcome): void } | undefined
  readonly #listeners: (() => void)[] = []
  #isOver = false

  /** Without an end nobody waits: it is the second time. */
  constructor(from: End, end?: { resolve(): void; reject(outcome: Outcome): void }) {
    this.from = from
    this.#end = end
  }

  onOver(listener: () => void): void {
    if (this.#isOver) listener()
    else if (this.#end !== undefined) this.#listeners.push(listener)
  }

  /** A process that ended hears nothing. */
  tell(say: () => void): void {
    if (!this.#isOver && this.#end !== undefined && this.from.process.isAlive) say()
  }

  end(): void {
    this.settle(() => this.#end?.resolve())
  }

  break(outcome: Outcome): void {
    this.settle(() => this.#end?.reject(outcome))
  }

  giveUp(): void {
    this.settle(() => {})
  }

  settle(say: () => void): void {
    if (this.#isOver) return
    this.tell(say)
    this.#isOver = true
    for (const listener of this.#listeners) listener()
  }
}

/** That nobody waits any more. Most handlers do not look, and a signal is dear to make. */
class Gone {
  #controller: AbortController | undefined
  #isGone = false

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#isGone) this.#controller.abort(GONE)
    return this.#controller.signal
  }

  abort(): void {
    this.#isGone = true
    this.#controller?.abort(GONE)
  }
}

function clockOf({ process }: End): number {
  return process.world.clock.monotonicMs()
}

function contextOf(from: string, target: Listener, deadlineMs: number, gone: Gone): RequestContext {
  const checkDeadline = (): void => {
    if (clockOf(target) >= deadlineMs) throw new NodeRefused('the deadline is over', 'late')
  }
  return {
    ...{ from, deadlineMs, checkDeadline, holdAnswer: async () => {} },
    get signal() {
      return gone.signal
    },
  }
}

/** As NodeServer does it. */
async function answer(
  service: NodeService,
  { id, type, body }: { id: number; type: number; body: Uint8Array },
  context: RequestContext,
): Promise<Uint8Array> {
  try {
    const handler = service.messages.get(type)
    if (handler === undefined) throw new BadMessage(`message type ${type} is not known`)
    context.checkDeadline()
    const answered = await handler(body, context)
    const parts = answered instanceof Uint8Array ? [answered] : answered
    return Buffer.concat([encodeDone(id), ...parts])
  } catch (error) {
    return encodeFailed(id, error)
  }
}
