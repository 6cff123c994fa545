// The way of all small requests of one kind to one node: an exchange that goes on, and the next one when that is old, lost or left.
import type { Clock } from '../../kit/world.ts'
import type { ClientSession, ClientSessions } from './client-session.ts'
import type { AskedRequest } from './lane.ts'
import { MessageExchange } from './message-exchange.ts'
import { MESSAGES_PATH } from './node-service.ts'
import { NodeFailed, NodeUnreachable, type Outcome } from './trouble.ts'

/** The other node did not take the exchange: it has forgotten the session. */
export class SessionForgotten extends Error {}

/** Carries an exchange out: sends its body, gives what comes back. Throws SessionForgotten, or whatever broke. */
export type CarryOut = (exchange: MessageExchange) => AsyncIterable<Uint8Array>

/** What a channel goes over: sessions to begin exchanges in, and connections to carry them out. */
export interface ChannelParts {
  clock: Clock
  sessions: Pick<ClientSessions, 'get' | 'drop'>
  carryOut: CarryOut
  /** What an error of a connection says of the requests that were on it. */
  unreachable(error: unknown, hasBegun: boolean): NodeUnreachable
  /** The other node said something, and it was the node that did. */
  onHeard(): void
}

// Another exchange every now and then: with a session and a connection that are good now.
const USED_MS = 60_000
// Requests that have longer begin an exchange that has longer as well, and so much more: for those that come after them.
const DEADLINE_MS = 120_000
const LONGER_MS = USED_MS
// An exchange in which something was given up is left, for its connection may be dead; not sooner than that after the last one.
const LEFT_AFTER_MS = 1_000
// So many exchanges may go on: where a drive hangs each that is left for its silence waits for that until the deadline.
const EXCHANGES_MAX = 16
/** What answered everything has only to say that it is over, and its connection can be used again. */
const END_MS = 5_000

/** A channel. */
export class Channel {
  readonly #parts: ChannelParts
  #current: MessageExchange | undefined
  #currentSinceMs = 0
  /** The current one, and those that were left and are not over. */
  #exchanges = 0
  /** What waits for an exchange that is being begun. */
  #waiting: AskedRequest[] = []
  #isBeginning = false

  constructor(parts: ChannelParts) {
    this.#parts = parts
  }

  /** Sends a request; it is settled in any case, if nobody does so before. */
  send(asked: AskedRequest): void {
    const current = this.#current
    const nowMs = this.#nowMs
    if (current?.takes(asked, nowMs) && !this.#isStuck(current, nowMs)) {
      current.send(asked)
      return
    }
    this.#waiting.push(asked)
    if (!this.#isBeginning) void this.#begin()
  }

  get #nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }

  /** It may hang in a dead connection, and what is sent now need not: answers may still come there. */
  #isStuck(exchange: MessageExchange, nowMs: number): boolean {
    return exchange.isSilent(nowMs) && this.#exchanges < EXCHANGES_MAX
  }

  async #begin(): Promise<void> {
    this.#isBeginning = true
    try {
      const session = await this.#parts.sessions.get()
      this.#isBeginning = false
      this.#beginIn(session)
    } catch (error) {
      this.#isBeginning = false
      settleAll(this.#waiting.splice(0), error)
    }
  }

  #beginIn(session: ClientSession): void {
    const waiting = this.#waiting.splice(0).filter((asked) => !asked.isSettled)
    if (waiting.length === 0) return
    const nowMs = this.#nowMs
    const longest = Math.max(...waiting.map(({ deadlineMs }) => deadlineMs))
    const deadlineMs = Math.max(nowMs + DEADLINE_MS, longest + LONGER_MS)
    const exchange = new MessageExchange(
      {
        clock: this.#parts.clock,
        ...{ session, begun: session.begin(MESSAGES_PATH, deadlineMs), deadlineMs },
        usedUntilMs: Math.min(nowMs + USED_MS, session.untilMs),
      },
      {
        onLeave: (left, unread) => this.#noteLeave(left, unread),
        onGiveUp: (left) => this.#noteGiveUp(left),
        onIdle: (idle) => this.#noteIdle(idle),
      },
    )
    this.#leave(this.#current)
    this.#current = exchange
    this.#currentSinceMs = nowMs
    for (const asked of waiting) exchange.send(asked)
    void this.#run(exchange)
    void this.#leaveWhenOld(exchange)
  }

  async #run(exchange: MessageExchange): Promise<void> {
    this.#exchanges += 1
    try {
      for await (const bytes of this.#parts.carryOut(exchange)) {
        if (exchange.receive(bytes)) this.#parts.onHeard()
      }
      exchange.checkEnd()
      this.#forget(exchange)
      settleAll(exchange.takeUnanswered(), new NodeFailed(UNANSWERED))
    } catch (error) {
      this.#forget(exchange)
      const unanswered = exchange.takeUnanswered()
      // It was restarted and has done nothing; but who says so twice may have done anything.
      if (error instanceof SessionForgotten) this.#sendAnew(unanswered, exchange.session, 'unknown')
      else settleAll(unanswered, this.#parts.unreachable(error, exchange.hasBegun))
    } finally {
      // Whatever is left of it: its timers, and its connection where that was not ended well.
      exchange.breakOff()
      this.#exchanges -= 1
    }
  }

  /** Once, in a new session. `outcome`: of those that were sent anew before. */
  #sendAnew(requests: readonly AskedRequest[], session: ClientSession, outcome: Outcome): void {
    this.#parts.sessions.drop(session)
    if (this.#current?.session === session) this.#leave(this.#current)
    for (const asked of requests) {
      if (asked.wasForgotten) {
        asked.settle({ error: new NodeUnreachable('a node does not believe us', outcome) })
        continue
      }
      asked.wasForgotten = true
      this.send(asked)
    }
  }

  #noteLeave(exchange: MessageExchange, unread: readonly AskedRequest[]): void {
    this.#leave(exchange)
    if (unread.length > 0) this.#sendAnew(unread, exchange.session, 'not-sent')
  }

  #noteGiveUp(exchange: MessageExchange): void {
    const isOld = this.#nowMs - this.#currentSinceMs >= LEFT_AFTER_MS
    if (exchange === this.#current && (isOld || exchange.isIdle)) this.#leave(exchange)
    if (exchange.isClogged) exchange.breakOff()
  }

  /** One in which something hangs is broken off: nobody waits for the rest of it. */
  #noteIdle(exchange: MessageExchange): void {
    if (exchange === this.#current) return
    if (exchange.hasGivenUp) exchange.breakOff()
    else void this.#awaitEnd(exchange)
  }

  #leave(exchange: MessageExchange | undefined): void {
    if (exchange === undefined) return
    this.#forget(exchange)
    if (exchange.leave() && exchange.isIdle) this.#noteIdle(exchange)
  }

  #forget(exchange: MessageExchange): void {
    if (this.#current === exchange) this.#current = undefined
  }

  async #leaveWhenOld(exchange: MessageExchange): Promise<void> {
    const leftMs = Math.max(0, exchange.usedUntilMs - this.#nowMs)
    await this.#parts.clock.sleep(leftMs, exchange.signal).then(
      () => this.#leave(exchange),
      () => undefined, // It is over.
    )
  }

  /** To break it off would cost its connection: what is about to end may. */
  async #awaitEnd(exchange: MessageExchange): Promise<void> {
    await this.#parts.clock.sleep(END_MS, exchange.signal).then(
      () => exchange.breakOff(),
      () => undefined, // It has ended.
    )
  }
}

const UNANSWERED = 'a node left a request without an answer'

function settleAll(asked: readonly AskedRequest[], error: unknown): void {
  const told = error instanceof Error ? error : new NodeFailed(String(error))
  for (const one of asked) one.settle({ error: told })
}
