// One connection: requests come one after the other, each is served, and its reply is out before the next is looked at.
// RFC 9112 section 9.3.2 lets only safe methods run beside each other; what a client sends ahead waits here, within bounds.
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { kibibytes } from '../../kit/bytes.ts'
import type { BadRequest, HttpHandlers, HttpServerOptions, Peers } from '../exchange.ts'
import { S3Error } from '../s3-error.ts'
import { cutShort, tooLate, tooLong } from './bad-message.ts'
import { ChunkedBody } from './chunked-body.ts'
import { CR, LF } from './field-lines.ts'
import { HeldBytes } from './held-bytes.ts'
import { type ExchangeConnection, OwnExchange } from './own-exchange.ts'
import { findHeadEnd, type RequestHead, readHead } from './request-head.ts'
import type { ShortReplies } from './short-replies.ts'
import type { BytesTaker, Origin } from './socket-bytes.ts'
import type { LateBeginner, TurnShare } from './turn-share.ts'

/** What all connections of a server have together. */
export interface ConnectionHost {
  readonly options: HttpServerOptions
  readonly handlers: HttpHandlers
  /** No further request is waited for. */
  readonly isClosing: boolean
  readonly turnShare: TurnShare
  readonly shortReplies: ShortReplies
  monotonicMs(): number
  /** `Date: …` of now. */
  dateLine(): string
}

/** More than this sent ahead, and the client has to wait. */
const AHEAD_BYTES_MAX = kibibytes(16)
/** A client that is told to go may so long read what it was told. */
const FAREWELL_MS = 5_000

/** One connection. */
export class Connection implements BytesTaker, ExchangeConnection, LateBeginner {
  readonly socket: Socket
  /** When it is looked after: by the monotonic clock. */
  deadlineMs: number
  readonly host: ConnectionHost
  readonly #held = new HeldBytes()
  #exchange: OwnExchange | undefined
  /** Of the body that is coming: what is left of its length, or its chunks. */
  #bytesLeft = 0
  #chunks: ChunkedBody | undefined
  /** Bytes of a head that were looked at without finding its end. */
  #scanned = 0
  /** There was a request already. */
  #wasUsed = false
  #isConsuming = false
  /** A request came, and begins when a turn ends. */
  #isLate = false
  #isPaused = false
  /** The client sends nothing more. */
  #isInputOver = false
  /** Nothing that comes is looked at any more. */
  #isDeaf = false
  readonly #isSecure: boolean

  constructor(socket: Socket, host: ConnectionHost) {
    this.socket = socket
    this.host = host
    this.#isSecure = (socket as TLSSocket).encrypted === true
    this.deadlineMs = host.monotonicMs() + host.options.headersMs
    socket.setTimeout(host.options.socketIdleMs, () => socket.destroy())
    socket.on('error', ignore) // `close` follows.
    socket.on('end', () => this.#endInput())
    socket.on('close', () => this.#close())
  }

  get peers(): Peers {
    const { remoteAddress, localAddress, localPort } = this.socket
    return { remoteAddress, localAddress, localPort, isSecure: this.#isSecure }
  }

  /** Of a body that is being read: for one that nobody asks for yet no memory is held. */
  get bodyBytesLeft(): number {
    return this.#exchange?.reader === undefined || this.#isDeaf ? 0 : this.#bytesLeft
  }

  /** No request is under way, nor has begun to come. */
  get isIdle(): boolean {
    return this.#exchange === undefined && this.#held.length === 0
  }

  take(bytes: Buffer, start: number, end: number, origin: Origin): void {
    if (this.#isDeaf) return
    if (this.#held.length > 0) {
      this.#held.add(bytes, start, end)
      this.#consumeHeld()
      return
    }
    const { turnShare } = this.host
    if (this.#exchange === undefined && turnShare.mayWait(end - start)) {
      this.#isLate = true
      // An end that is heard before the request begins is seen to then.
      if (this.#isSecure) this.socket.allowHalfOpen = true
      this.#held.add(bytes, start, end)
      turnShare.beginLater(this, end - start)
      this.regulate()
      return
    }
    const at = this.#consume(bytes, start, end, origin)
    if (at < end && !this.#isDeaf) this.#held.add(bytes, at, end)
    this.regulate()
  }

  beginLater(): void {
    this.#isLate = false
    if (!this.#isDeaf) this.#consumeHeld()
  }

  bodyIsWanted(): void {
    this.#consumeHeld()
  }

  regulate(): void {
    const shallPause = !this.#isDeaf && this.#hasEnough()
    if (shallPause === this.#isPaused || this.socket.destroyed) return
    this.#isPaused = shallPause
    if (shallPause) this.socket.pause()
    else this.socket.resume()
  }

  replyIsSent(exchange: OwnExchange): void {
    if (!exchange.keepsConnection) this.#farewell(exchange.isWhole)
    else if (exchange.isWhole) this.#next()
    // What is left of its body is forgotten when it comes: soon.
    else this.#await(this.host.options.headersMs)
  }

  /** Its time is over. */
  expire(): void {
    // A request that came in time, and waits for its turn.
    if (this.#isLate) return
    const isKept = this.#wasUsed && this.#held.length === 0
    if (this.#isDeaf || this.#exchange !== undefined || isKept) this.socket.destroy()
    else this.#refuse(tooLate())
  }

  #hasEnough(): boolean {
    const exchange = this.#exchange
    if (exchange === undefined) return this.#isLate && this.#held.length > AHEAD_BYTES_MAX
    // A little is read all the same: whoever stops reading does not hear that the client is gone.
    return exchange.isPaused || this.#held.length > AHEAD_BYTES_MAX
  }

  #isInBody(): boolean {
    return this.#bytesLeft > 0 || this.#chunks !== undefined
  }

  #consumeHeld(): void {
    const held = this.#held
    if (this.#isConsuming) return
    if (this.#isLate) {
      this.regulate()
      return
    }
    if (held.length > 0) held.takenTo(this.#consume(held.bytes, held.start, held.end, held))
    if (this.#isDeaf) held.clear()
    if (this.#isInputOver) this.#seeToEnd()
    this.regulate()
  }

  /** Takes up what can be taken up now; returns where that ends. */
  #consume(bytes: Buffer, start: number, end: number, origin: Origin): number {
    let at = start
    this.#isConsuming = true
    while (at < end && !this.#isDeaf) {
      const before = at
      if (this.#exchange === undefined) at = this.#takeHead(bytes, at, end)
      else if (this.#isInBody() && this.#exchange.takesBody && !this.#exchange.isPaused)
        at = this.#takeBody(this.#exchange, { bytes, at, end, origin })
      else break
      if (at === before) break
    }
    this.#isConsuming = false
    return at
  }

  #takeHead(bytes: Buffer, start: number, end: number): number {
    let at = start
    // Some clients send an empty line behind a body (RFC 9112 section 2.2).
    while (this.#scanned <= 1 && at + 1 < end && bytes[at] === CR && bytes[at + 1] === LF) {
      at += 2
      this.#scanned = 0
    }
    let head: RequestHead
    let headEnd: number
    try {
      headEnd = findHeadEnd(bytes, at, at + this.#scanned, end)
      if ((headEnd < 0 ? end : headEnd) - at > this.host.options.headBytesMax) throw tooLong()
      if (headEnd < 0) {
        // One CR may be half of an empty line: those do not make a connection last.
        const isBegun = end - at > 1 || (end > at && bytes[at] !== CR)
        if (this.#scanned <= 1 && isBegun) this.#await(this.host.options.headersMs)
        this.#scanned = end - at
        return at
      }
      head = readHead(bytes, at, headEnd)
    } catch (error) {
      this.#refuse(error as BadRequest)
      return end
    }
    this.#scanned = 0
    this.#begin(head)
    return headEnd
  }

  #begin(head: RequestHead): void {
    this.deadlineMs = Number.POSITIVE_INFINITY
    this.#wasUsed = true
    this.#bytesLeft = head.bodyBytes
    this.#chunks = head.isChunked ? new ChunkedBody() : undefined
    const exchange = new OwnExchange(this, head)
    this.#exchange = exchange
    // Who ends in the middle of a body is told so; over https nobody else is waited for.
    if (this.#isSecure) this.socket.allowHalfOpen = !exchange.isWhole
    this.host.handlers.serve(exchange)
  }

  #takeBody(
    exchange: OwnExchange,
    { bytes, at, end, origin }: { bytes: Buffer; at: number; end: number; origin: Origin },
  ): number {
    if (this.#chunks !== undefined)
      return this.#takeChunks(exchange, this.#chunks, { bytes, at, end })
    const to = Math.min(end, at + this.#bytesLeft)
    this.#bytesLeft -= to - at
    if (!exchange.isDiscarded) exchange.reader?.take(origin.keep(bytes, at, to))
    if (this.#bytesLeft === 0) this.#endBody(exchange)
    return to
  }

  #takeChunks(
    exchange: OwnExchange,
    chunks: ChunkedBody,
    { bytes, at, end }: { bytes: Buffer; at: number; end: number },
  ): number {
    const data = Buffer.allocUnsafe(end - at)
    try {
      const decoded = chunks.decode(bytes, at, end, data)
      if (decoded.dataBytes > 0 && !exchange.isDiscarded)
        exchange.reader?.take(data.subarray(0, decoded.dataBytes))
      if (chunks.isDone) this.#endBody(exchange)
      return decoded.at
    } catch (cause) {
      this.#failBody(exchange, new S3Error('BadRequest', {}, { cause }))
      return end
    }
  }

  #endBody(exchange: OwnExchange): void {
    this.#bytesLeft = 0
    this.#chunks = undefined
    if (this.#isSecure) this.socket.allowHalfOpen = false
    exchange.endBody(undefined)
    if (exchange.isSent && this.#exchange === exchange) this.#next()
  }

  /** What comes behind a broken body is nothing that could be told apart. */
  #failBody(exchange: OwnExchange, trouble: Error): void {
    this.#isDeaf = true
    this.#held.clear()
    this.#bytesLeft = 0
    this.#chunks = undefined
    exchange.endBody(trouble)
    if (exchange.isSent) this.#farewell(false)
  }

  /** The connection is free for another request. */
  #next(): void {
    this.#exchange = undefined
    this.#await(this.host.options.keepAliveMs)
    if (this.host.isClosing && this.#held.length === 0) this.#farewell(true)
    else if (this.#isInputOver || this.#held.length > 0) queueMicrotask(() => this.#consumeHeld())
    else this.regulate()
  }

  #await(ms: number): void {
    this.deadlineMs = this.host.monotonicMs() + ms
  }

  #endInput(): void {
    this.#isInputOver = true
    if (!this.#isLate) this.#seeToEnd()
  }

  /** The client sends nothing more, and most that do so are gone: only what it sent whole and is answered already counts. */
  #seeToEnd(): void {
    const exchange = this.#exchange
    if (this.#isDeaf) {
      if (exchange === undefined || exchange.isClosed) this.socket.destroySoon()
    } else if (exchange === undefined) {
      if (this.#held.length > 0) this.#refuse(cutShort())
      else this.#farewell(true)
    } else if (exchange.isWhole && !exchange.isEnded) {
      this.#farewell(true)
      exchange.breakOff()
    } else if (!exchange.isWhole && this.#held.length === 0) {
      this.#failBody(exchange, new Error('the client ended in the middle of a body'))
    }
  }

  #refuse(trouble: BadRequest): void {
    this.#isDeaf = true
    this.#held.clear()
    this.socket.end(this.host.handlers.refuse(trouble, false), 'latin1')
    this.#await(FAREWELL_MS)
  }

  /** Ends the connection when all is written: at once where the client has said all that it wanted, lest it miss the reply. */
  #farewell(isAllSaid: boolean): void {
    this.#isDeaf = true
    this.#held.clear()
    this.#await(FAREWELL_MS)
    if (isAllSaid || this.#isInputOver) this.socket.destroySoon()
    else this.socket.end()
    this.regulate()
  }

  #close(): void {
    const exchange = this.#exchange
    this.#isDeaf = true
    this.#held.clear()
    if (exchange === undefined) return
    this.#exchange = undefined
    if (!exchange.isWhole && exchange.trouble === undefined)
      exchange.endBody(new Error('the connection ended'))
    exchange.breakOff()
  }
}

function ignore(): void {}
