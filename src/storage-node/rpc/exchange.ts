// One exchange at the node that is asked: its frames, its deadline, and its answers, in whatever order they are ready.
import { setMaxListeners } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { kibibytes } from '../../kit/bytes.ts'
import { giveBack } from '../../kit/lent-bytes.ts'
import { afterTurn, type Clock } from '../../kit/world.ts'
import {
  FrameKind,
  FrameReader,
  type FrameRoom,
  FrameWriter,
  type HeldFrame,
  readFrames,
} from './frames.ts'
import type { ExchangeKeys } from './session-format.ts'
import { NodeRefused } from './trouble.ts'

/** The request and response of HTTP that the exchange is, the keys of its frames, and the room for those that come. */
export interface ExchangeParts {
  request: IncomingMessage
  response: ServerResponse
  keys: ExchangeKeys
  clock: Clock
  room: FrameRoom
  payloadBytesMax: number
}

/** An exchange under way. */
export class Exchange {
  readonly frames: AsyncGenerator<HeldFrame>
  readonly #parts: ExchangeParts
  readonly #reader: FrameReader
  readonly #writer: FrameWriter
  readonly #ended = new AbortController()
  #deadlineMs: number
  /** All who wait until more can be sent wait for this. */
  #draining: Promise<void> | undefined
  /** Frames that leave together at the end of this turn of the event loop. */
  #gathered: Buffer[] = []
  #leaving: Promise<boolean> | undefined
  /** Writes that went out to their end. */
  #sent = 0
  #isDrainWatched = false

  constructor(deadlineMs: number, parts: ExchangeParts) {
    const { request, response, keys, room, payloadBytesMax } = parts
    this.#parts = parts
    this.#deadlineMs = deadlineMs
    this.#writer = new FrameWriter(keys.answer)
    this.#reader = new FrameReader(keys.request, payloadBytesMax)
    this.frames = readFrames(
      // Who stops reading may still have something to say: the connection stays.
      { [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false }) },
      this.#reader,
      room,
      this.signal,
    )
    // Every message of a batch may wait for it.
    setMaxListeners(0, this.#ended.signal)
    response.once('close', () => this.#ended.abort(GONE))
    // An answer that nobody reads any more is no error of ours.
    response.on('error', () => undefined)
    request.on('error', () => undefined)
    void this.#watchAsker()
  }

  get signal(): AbortSignal {
    return this.#ended.signal
  }

  get deadlineMs(): number {
    return this.#deadlineMs
  }

  /** The stream goes on: its deadline is another one. */
  extendDeadline(deadlineMs: number): void {
    this.#deadlineMs = Math.max(this.#deadlineMs, deadlineMs)
  }

  /** Throws when `deadlineMs`, or that of the exchange, is over, and when the asker has gone. */
  checkDeadline(deadlineMs: number = this.#deadlineMs): void {
    this.signal.throwIfAborted()
    if (this.#parts.clock.monotonicMs() >= Math.min(deadlineMs, this.#deadlineMs)) {
      throw new NodeRefused('the deadline is over', 'late')
    }
  }

  /** Sends a frame; resolves when more can be sent. */
  async send(kind: number, ...payload: readonly Uint8Array[]): Promise<void> {
    this.signal.throwIfAborted()
    this.#gathered.push(this.#writer.lentFrame(kind, ...payload))
    if (!this.#writeGathered()) await this.#drain()
  }

  /**
   * As send(), together with others of this moment: every write is a system call, whatever it carries. The bytes of the payload
   * may be reused as soon as this returns, before it resolves.
   */
  async sendSoon(kind: number, ...payload: readonly Uint8Array[]): Promise<void> {
    this.signal.throwIfAborted()
    this.#gathered.push(this.#writer.lentFrame(kind, ...payload))
    this.#leaving ??= new Promise((resolve) => {
      afterTurn(this.#parts.clock, () => {
        this.#leaving = undefined
        resolve(this.#writeGathered())
      })
    })
    if (!(await this.#leaving)) await this.#drain()
  }

  /** False when nothing more should be written for now. */
  #writeGathered(): boolean {
    const { response } = this.#parts
    const frames = this.#gathered
    if (frames.length === 0 || this.signal.aborted) return !response.writableNeedDrain
    this.#gathered = []
    if (!response.headersSent) response.writeHead(200)
    // What is written in one turn of the event loop leaves together.
    let goesOn = true
    for (const bytes of joinShort(frames)) goesOn = this.#write(bytes)
    return goesOn
  }

  #write(bytes: Buffer): boolean {
    return this.#parts.response.write(bytes, (error) => {
      this.#sent += 1
      // Otherwise nobody says that it was left alone.
      if (!error) giveBack(bytes)
    })
  }

  async #drain(): Promise<void> {
    this.signal.throwIfAborted()
    this.#draining ??= this.#drained().finally(() => {
      this.#draining = undefined
    })
    if (!this.#isDrainWatched) void this.#watchDrain()
    await this.#draining
  }

  /** Sends the end. What still comes is passed over for a moment: a connection that is reset may lose the answer. */
  async end(): Promise<void> {
    const { request, response } = this.#parts
    if (this.signal.aborted) return
    this.#writeGathered()
    if (!response.headersSent) response.writeHead(200)
    response.end(this.#writer.frame(FrameKind.End))
    await this.frames.return(undefined)
    if (!request.readableEnded) void this.#passOver()
  }

  /** Breaks the connection off. */
  breakOff(): void {
    this.#ended.abort(GONE)
    this.#parts.response.destroy()
    this.#parts.request.destroy()
  }

  async #passOver(): Promise<void> {
    const { request, clock } = this.#parts
    const over = new AbortController()
    request.once('close', () => over.abort())
    request.resume()
    await clock.sleep(PASS_OVER_MS, over.signal).then(
      () => request.destroy(),
      () => undefined, // It has ended.
    )
  }

  #drained(): Promise<void> {
    const { response } = this.#parts
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        response.off('drain', go)
        reject(this.signal.reason)
      }
      const go = (): void => {
        this.signal.removeEventListener('abort', leave)
        resolve()
      }
      response.once('drain', go)
      this.signal.addEventListener('abort', leave, { once: true })
    })
  }

  /** An asker that stops reading holds memory that all share: it is broken off when nothing went out for a while. */
  async #watchDrain(): Promise<void> {
    this.#isDrainWatched = true
    while (this.#draining !== undefined && !this.signal.aborted) {
      const sent = this.#sent
      // Aborted: the exchange is over.
      await this.#parts.clock.sleep(UNREAD_MS, this.signal).catch(() => undefined)
      if (this.#draining === undefined || this.signal.aborted || this.#sent > sent) continue
      this.#breakOffFor('the asker does not read')
    }
    this.#isDrainWatched = false
  }

  /**
   * Breaks off what is not over at its deadline, and who sends the beginning of a frame and no more while others wait for its
   * room: one timer, however often the deadline is put off.
   */
  async #watchAsker(): Promise<void> {
    const { clock, room } = this.#parts
    let seen = { bytes: 0, atMs: clock.monotonicMs() }
    while (!this.signal.aborted) {
      const nowMs = clock.monotonicMs()
      const leftMs = this.#deadlineMs - nowMs
      if (leftMs <= 0) return this.#breakOffFor('the deadline is over')
      const { isAwaiting, receivedBytes } = this.#reader
      if (!isAwaiting || receivedBytes > seen.bytes) seen = { bytes: receivedBytes, atMs: nowMs }
      else if (room.isShort && nowMs - seen.atMs >= STALLED_MS) {
        return this.#breakOffFor('the rest of a frame does not come')
      }
      // Aborted: the exchange is over.
      await clock.sleep(Math.min(leftMs + 1, STALLED_MS), this.signal).catch(() => undefined)
    }
  }

  #breakOffFor(why: string): void {
    this.#ended.abort(new NodeRefused(why, 'late'))
    this.breakOff()
  }
}

/** The same bytes in fewer buffers: short ones are copied together, for each costs something by itself. */
function joinShort(frames: readonly Buffer[]): Buffer[] {
  const joined: Buffer[] = []
  let short: Buffer[] = []
  const join = (): void => {
    if (short.length > 0) joined.push(short.length === 1 ? short[0]! : Buffer.concat(short))
    short = []
  }
  for (const frame of frames) {
    if (frame.length < SHORT_BYTES) short.push(frame)
    else {
      join()
      joined.push(frame)
    }
  }
  join()
  return joined
}

const SHORT_BYTES = kibibytes(16)

// Made once: an error costs its stack, and every exchange ends like this.
const GONE = new NodeRefused('the asker has gone', 'late')

// For an asker that writes while it reads: time to read why it may stop.
const PASS_OVER_MS = 5_000

// As long as a slow network needs for what may wait in one write, and far less than an exchange may go on.
const UNREAD_MS = 10_000

// As long for what comes as for what goes.
const STALLED_MS = 10_000
