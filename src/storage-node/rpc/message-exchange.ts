// One exchange of small requests that goes on: requests leave as they come, answers come as they are ready.
// No connections here: channel.ts has them. Bytes: docs/formats/node-protocol.md.
import { Readable } from 'node:stream'
import { mebibytes } from '../../kit/bytes.ts'
import { afterTurn, type Clock } from '../../kit/world.ts'
import type { BegunExchange, ClientSession } from './client-session.ts'
import { FieldReader } from './fields.ts'
import { FrameKind } from './frames.ts'
import { type AskedRequest, NOT_NEEDED, type RequestWay } from './lane.ts'
import { decodeAnswer, encodeMessage } from './messages.ts'
import { BrokenFrames, NodeRefused } from './trouble.ts'

/** What an exchange tells of itself. */
export interface ExchangeEvents {
  /** It is not to be used for others any more: the other node says so. `unread`: requests that it did not take up. */
  onLeave(exchange: MessageExchange, unread: readonly AskedRequest[]): void
  /** Nobody waits for some request any more. */
  onGiveUp(exchange: MessageExchange): void
  /** All requests were settled. */
  onIdle(exchange: MessageExchange): void
}

/** What an exchange begins with. No request is sent in it that has longer than `deadlineMs`. */
export interface MessageExchangeOptions {
  clock: Clock
  session: ClientSession
  begun: BegunExchange
  /** On our clock: the exchange is over then, whatever of it was answered. */
  deadlineMs: number
  /** On our clock: from then on another one is better. */
  usedUntilMs: number
}

// Longer than a connection takes to come, or a drive that is in use to answer; shorter than requests for shards wait.
const SILENT_MS = 4_000

// Small beside what may wait for a node (peer.ts), and more than a connection that goes on has before it.
const GIVEN_UP_BYTES_MAX = mebibytes(8)

/** An exchange. */
export class MessageExchange implements RequestWay {
  readonly session: ClientSession
  readonly headers: Record<string, string>
  /** What is sent, to its end. */
  readonly body: Readable
  readonly usedUntilMs: number
  readonly #clock: Clock
  readonly #begun: BegunExchange
  readonly #deadlineMs: number
  readonly #events: ExchangeEvents
  readonly #stop = new AbortController()
  /** Sent and not answered, by their ids; with those that nobody waits for any more. */
  readonly #open = new Map<number, AskedRequest>()
  #awaited = 0
  #givenUpBytes = 0
  /** Since then nothing came of what is awaited. */
  #silentSinceMs = 0
  #nextId = 0
  /** Frames that leave together at the end of this turn of the event loop. */
  #gathered: Buffer[] = []
  #isLeft = false
  #isOver = false

  constructor(options: MessageExchangeOptions, events: ExchangeEvents) {
    const { clock, session, begun, deadlineMs, usedUntilMs } = options
    this.#clock = clock
    this.session = session
    this.headers = begun.headers
    this.usedUntilMs = usedUntilMs
    this.#begun = begun
    this.#deadlineMs = deadlineMs
    this.#events = events
    this.body = new Readable({ read: () => {} })
    // What destroys it is told by the exchange.
    this.body.on('error', () => undefined)
  }

  /** Breaks it off. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Whether anything can have left: a connection was there. */
  get hasBegun(): boolean {
    return this.body.readableDidRead
  }

  /** Whether nobody waits for any answer. */
  get isIdle(): boolean {
    return this.#awaited === 0
  }

  /** Whether some request was given up, and may hang there. */
  get hasGivenUp(): boolean {
    return this.#open.size > this.#awaited
  }

  /** Whether much of what nobody waits for any more has not even left: the connection takes nothing, and memory is held for it. */
  get isClogged(): boolean {
    return Math.min(this.#givenUpBytes, this.body.readableLength) > GIVEN_UP_BYTES_MAX
  }

  /** Whether something is awaited, and nothing came for so long that the connection may be dead. */
  isSilent(nowMs: number): boolean {
    return this.#awaited > 0 && nowMs - this.#silentSinceMs >= SILENT_MS
  }

  /** Whether a request may go this way now. */
  takes({ deadlineMs }: AskedRequest, nowMs: number): boolean {
    return !this.#isLeft && nowMs < this.usedUntilMs && deadlineMs <= this.#deadlineMs
  }

  /** Sends a request, together with others of this moment. */
  send(asked: AskedRequest): void {
    const id = this.#nextId
    this.#nextId += 1
    asked.way = this
    this.#open.set(id, asked)
    if (this.#awaited === 0) this.#silentSinceMs = this.#clock.monotonicMs()
    this.#awaited += 1
    const { type, body, deadlineMs } = asked
    const theirs = this.session.theirMs(deadlineMs)
    const message = encodeMessage({ id, type, body, deadlineMs: theirs })
    this.#gather(this.#begun.writer.frame(FrameKind.Message, message))
  }

  /** Nothing more is sent this way; what was sent is still answered. False when that was said before. */
  leave(): boolean {
    if (this.#isLeft) return false
    this.#isLeft = true
    this.#gather(this.#begun.writer.frame(FrameKind.End))
    this.#flush()
    this.body.push(null)
    return true
  }

  /** Takes bytes as they come, and says whether a frame was complete with them: only that is known to come from the node. Throws BrokenFrames. */
  receive(bytes: Uint8Array): boolean {
    const { reader } = this.#begun
    let hasFrame = false
    reader.push(bytes)
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (this.#isOver) throw new BrokenFrames('something follows the end')
      hasFrame = true
      if (frame.kind === FrameKind.Answer) this.#hear(frame.payload)
      else if (frame.kind === FrameKind.NoMore) this.#hearNoMore(frame.payload)
      else if (frame.kind === FrameKind.End) this.#isOver = true
    }
    if (hasFrame) this.#silentSinceMs = this.#clock.monotonicMs()
    return hasFrame
  }

  /** The body of the answer has ended. Throws BrokenFrames when that was too early. */
  checkEnd(): void {
    const isWhole = this.#isOver && this.#begun.reader.isBetweenFrames
    if (!isWhole) throw new BrokenFrames('the end did not come')
  }

  /** Nobody waits for its answer any more. */
  giveUp({ body }: AskedRequest): void {
    this.#awaited -= 1
    this.#givenUpBytes += body.length
    this.#events.onGiveUp(this)
    if (this.#awaited === 0) this.#events.onIdle(this)
  }

  /** Those that are waited for and were not answered: nothing becomes of them here any more. */
  takeUnanswered(): AskedRequest[] {
    const unanswered = [...this.#open.values()].filter((asked) => !asked.isSettled)
    this.#open.clear()
    this.#awaited = 0
    for (const asked of unanswered) asked.way = undefined
    return unanswered
  }

  /** Breaks the connection off. */
  breakOff(): void {
    this.#isLeft = true
    this.#gathered = []
    this.#stop.abort(NOT_NEEDED)
  }

  #hear(payload: Uint8Array): void {
    const answer = decodeAnswer(payload)
    const asked = this.#open.get(answer.id)
    if (asked === undefined) return
    this.#open.delete(answer.id)
    if (asked.isSettled) return
    this.#awaited -= 1
    const isDone = answer.kind === 'done'
    asked.settle(isDone ? { body: answer.body } : { error: answer.failure })
    if (!isDone && isClosing(answer.failure)) this.#events.onLeave(this, [])
    if (this.#awaited === 0) this.#events.onIdle(this)
  }

  /** The requests that the other node did not take up, it never will. */
  #hearNoMore(payload: Uint8Array): void {
    const fields = new FieldReader(payload)
    const taken = fields.u32()
    const unread: AskedRequest[] = []
    for (const [id, asked] of this.#open) {
      if (id < taken) continue
      this.#open.delete(id)
      if (asked.isSettled) continue
      this.#awaited -= 1
      asked.way = undefined
      unread.push(asked)
    }
    this.#events.onLeave(this, unread)
    if (this.#awaited === 0) this.#events.onIdle(this)
  }

  #gather(frame: Buffer): void {
    this.#gathered.push(frame)
    // Every write is a system call, whatever it carries.
    if (this.#gathered.length === 1) afterTurn(this.#clock, () => this.#flush())
  }

  #flush(): void {
    const frames = this.#gathered
    if (frames.length === 0) return
    this.#gathered = []
    this.body.push(frames.length === 1 ? frames[0] : Buffer.concat(frames))
  }
}

function isClosing(failure: Error): boolean {
  return failure instanceof NodeRefused && failure.reason === 'closing'
}
