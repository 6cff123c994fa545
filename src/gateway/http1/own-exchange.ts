// One request on a connection of our own, and its reply: counted against what its head announced, and torn off rather than
// ended where the two do not agree.
import type { Socket } from 'node:net'
import type { Headers } from '../call.ts'
import type { BodyReader, Exchange, ExchangeWatcher, Peers } from '../exchange.ts'
import { composeReplyHead, type ReplyHead } from './reply-head.ts'
import type { RequestHead } from './request-head.ts'
import type { ShortReplies } from './short-replies.ts'

/** What an exchange needs of its connection. */
export interface ExchangeConnection {
  readonly socket: Socket
  readonly peers: Peers
  readonly host: {
    readonly options: { readonly keepAliveMs: number }
    readonly shortReplies: ShortReplies
    dateLine(): string
  }
  /** Somebody takes the body now. */
  bodyIsWanted(): void
  /** Reads on, or does not: what comes shall have somebody who takes it soon. */
  regulate(): void
  /** The system has the whole reply. */
  replyIsSent(exchange: OwnExchange): void
}

type Written = (error?: Error | null) => void

/** Up to here a body is copied behind its head: one write of both costs less than two. */
const JOINED_BYTES_MAX = 8 * 1024

/** One exchange. */
export class OwnExchange implements Exchange {
  readonly method: string
  readonly target: string
  readonly sentHeaders: Headers
  readonly head: RequestHead
  awaitsContinue: boolean
  watcher: ExchangeWatcher | undefined = undefined
  /** Of the body, by the connection: */
  reader: BodyReader | undefined = undefined
  isWhole: boolean
  isPaused = false
  isDiscarded = false
  trouble: Error | undefined = undefined
  /** Of the reply: */
  isEnded = false
  isClosed = false
  isSent = false
  #head: ReplyHead | undefined = undefined
  #isHeadWritten = false
  /** What was written of it may not be with its socket yet. */
  #isShortHeld = false
  #bodyBytes = 0
  #unwritten = 0
  readonly #connection: ExchangeConnection

  constructor(connection: ExchangeConnection, head: RequestHead) {
    this.#connection = connection
    this.head = head
    this.method = head.method
    this.target = head.target
    this.sentHeaders = head.headers
    this.awaitsContinue = head.awaitsContinue
    this.isWhole = head.bodyBytes === 0 && !head.isChunked
  }

  get peers(): Peers {
    return this.#connection.peers
  }

  /** Somebody takes what comes of the body, or it is to be forgotten. */
  get takesBody(): boolean {
    return this.reader !== undefined || this.isDiscarded
  }

  /** After the reply the connection goes on. */
  get keepsConnection(): boolean {
    return this.#head?.keepsConnection === true && this.trouble === undefined
  }

  sendContinue(): void {
    if (!this.isClosed) this.#connection.socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1')
  }

  readBody(reader: BodyReader): void {
    const before = this.reader
    this.reader = reader
    this.isPaused = false
    before?.end(new Error('another took the rest of the body'))
    if (this.trouble !== undefined) this.endBody(this.trouble)
    else if (this.isWhole) this.endBody(undefined)
    else this.#connection.bodyIsWanted()
  }

  pauseBody(reader: BodyReader): void {
    if (this.reader !== reader) return
    this.isPaused = true
    this.#connection.regulate()
  }

  resumeBody(reader: BodyReader): void {
    if (this.reader !== reader || !this.isPaused) return
    this.isPaused = false
    this.#connection.bodyIsWanted()
  }

  leaveBody(reader: BodyReader): void {
    if (this.reader !== reader) return
    this.reader = undefined
    this.isPaused = false
    this.#connection.regulate()
  }

  discardBody(): void {
    if (this.isWhole || this.trouble !== undefined) return
    const before = this.reader
    this.reader = undefined
    this.isPaused = false
    this.isDiscarded = true
    before?.end(new Error('the rest of the body is not wanted'))
    this.#connection.bodyIsWanted()
  }

  /** Nothing more of the body comes: it is whole, or there is trouble. */
  endBody(trouble: Error | undefined): void {
    this.trouble = trouble
    if (trouble === undefined) this.isWhole = true
    const { reader } = this
    this.reader = undefined
    // Nobody resumes what is over, and the socket is to be heard of on.
    this.isPaused = false
    reader?.end(trouble)
  }

  get isHeadSent(): boolean {
    return this.#head !== undefined
  }

  get unsentBytes(): number {
    return this.#connection.socket.writableLength
  }

  writeHead(status: number, headers: readonly string[]): void {
    if (this.#head !== undefined) throw new Error('a reply has one head')
    const { host } = this.#connection
    this.#head = composeReplyHead(status, headers, {
      dateLine: host.dateLine(),
      keepAliveMs: host.options.keepAliveMs,
      isOld: this.head.isOld,
      mayKeep: this.head.keepsAlive && this.trouble === undefined,
      isHead: this.method === 'HEAD',
    })
  }

  flushHead(): void {
    const head = this.#openHead()
    if (this.#isHeadWritten || this.isClosed) return
    this.#isHeadWritten = true
    this.#sendShort(head.text)
  }

  write(bytes: Uint8Array | string, onWritten?: Written): void {
    const head = this.#openHead()
    const body = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    if (this.isClosed || this.isEnded || head.isBodiless || body.length === 0) {
      onWritten?.(this.isClosed || this.isEnded ? new Error('the reply is over') : null)
      return
    }
    this.#bodyBytes += body.length
    if (head.bodyBytes !== undefined && this.#bodyBytes > head.bodyBytes) {
      this.destroy()
      throw new Error('a reply is longer than it announced')
    }
    if (head.isChunked) this.#sendChunk(body, onWritten)
    else this.#sendBytes(body, onWritten)
  }

  writeAll(chunks: readonly Uint8Array[], onWritten: Written): void {
    const { socket } = this.#connection
    const last = chunks.length - 1
    socket.cork()
    for (let at = 0; at < last; at += 1) this.write(chunks[at]!)
    this.write(chunks[last]!, onWritten)
    socket.uncork()
  }

  end(): void {
    const head = this.#openHead()
    if (this.isClosed || this.isEnded) return
    if (!head.isBodiless && head.bodyBytes !== undefined && head.bodyBytes !== this.#bodyBytes) {
      this.destroy()
      throw new Error('a reply is shorter than it announced')
    }
    this.flushHead()
    if (head.isChunked) this.#send('0\r\n\r\n')
    this.isEnded = true
    if (this.#unwritten === 0) this.#finish()
  }

  destroy(): void {
    // Once it is sent the connection is another's.
    if (!this.isSent) this.#connection.socket.destroy()
  }

  onceDrained(resolve: () => void): void {
    const { socket } = this.#connection
    if (socket.writableNeedDrain) socket.once('drain', resolve)
    else resolve()
  }

  /** The connection ended, or the client wants no more, before the reply was out. */
  breakOff(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.watcher?.close()
  }

  #openHead(): ReplyHead {
    if (this.#head === undefined) throw new Error('a reply begins with its head')
    return this.#head
  }

  #sendChunk(body: Uint8Array, onWritten: Written | undefined): void {
    const size = Buffer.from(`${body.length.toString(16)}\r\n`)
    this.#sendBytes(Buffer.concat([size, body, Buffer.from('\r\n')]), onWritten)
  }

  #sendBytes(bytes: Uint8Array, onWritten: Written | undefined): void {
    if (this.#isHeadWritten) {
      this.#send(bytes, onWritten)
      return
    }
    const { socket } = this.#connection
    const { text } = this.#openHead()
    this.#isHeadWritten = true
    if (bytes.length > JOINED_BYTES_MAX) {
      socket.cork()
      this.#send(text)
      this.#send(bytes, onWritten)
      socket.uncork()
      return
    }
    const joined = Buffer.allocUnsafe(text.length + bytes.length)
    joined.write(text, 0, 'latin1')
    joined.set(bytes, text.length)
    this.#sendShort(joined, onWritten)
  }

  /** What is mostly the whole of a reply. */
  #sendShort(bytes: Uint8Array | string, onWritten?: Written): void {
    this.#unwritten += 1
    this.#isShortHeld = true
    const { socket, host } = this.#connection
    host.shortReplies.add(socket, bytes, this.#written(onWritten))
  }

  #send(bytes: Uint8Array | string, onWritten?: Written): void {
    this.#unwritten += 1
    const { socket, host } = this.#connection
    if (this.#isShortHeld) host.shortReplies.writeAll()
    const done = this.#written(onWritten)
    if (typeof bytes === 'string') socket.write(bytes, 'latin1', done)
    else socket.write(bytes, done)
  }

  #written(onWritten: Written | undefined): Written {
    if (onWritten === undefined) return this.#onWritten
    return (error) => {
      onWritten(error)
      this.#onWritten(error)
    }
  }

  readonly #onWritten: Written = (error) => {
    this.#unwritten -= 1
    this.#isShortHeld = false
    if (error === undefined || error === null) {
      if (this.isEnded && this.#unwritten === 0) this.#finish()
    }
  }

  #finish(): void {
    // Of a connection that broke its close tells.
    if (this.isClosed || this.#connection.socket.destroyed) return
    this.isSent = true
    this.isClosed = true
    this.#connection.replyIsSent(this)
    this.watcher?.close()
  }
}
