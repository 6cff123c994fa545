// The gateway's HTTP server on bare sockets: connections, their number, their deadlines, their end.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import { kibibytes } from '../../kit/bytes.ts'
import type { Clock } from '../../kit/world.ts'
import { BACKLOG, type HttpHandlers, type HttpServer, type HttpServerOptions } from '../exchange.ts'
import { Handshakes } from '../handshakes.ts'
import { httpDate } from '../headers/dates.ts'
import { Connection, type ConnectionHost } from './connection.ts'
import { ShortReplies } from './short-replies.ts'
import { readSocket } from './socket-bytes.ts'
import { TurnShare } from './turn-share.ts'

/** How often deadlines are looked at, where none is shorter. */
const LOOK_EVERY_MS = 1_000
const LOOK_EVERY_MS_MIN = 10

/** How long it is looked, twice, for what clients had sent when the server was told to close. */
const READ_ON_MS = 25

/** What tells the time of deadlines and of `Date`, and how bytes come off the sockets. */
export interface OwnServerParts {
  clock: Clock
  /** Reads sockets as streams, as where Node has nothing better. */
  readsStreams?: boolean
}

/** A server of our own. */
export function createOwnServer(
  options: HttpServerOptions,
  handlers: HttpHandlers,
  parts: OwnServerParts,
): HttpServer {
  return new OwnServer(options, handlers, parts)
}

class OwnServer implements HttpServer, ConnectionHost {
  readonly options: HttpServerOptions
  readonly handlers: HttpHandlers
  readonly turnShare: TurnShare
  readonly shortReplies: ShortReplies
  isClosing = false
  #isReadingOn = false
  readonly #clock: Clock
  readonly #readsStreams: boolean
  readonly #server: Server | TlsServer
  readonly #connections = new Set<Connection>()
  #handshakes: Handshakes | undefined
  readonly #closed = new AbortController()
  #dateSecond = -1
  #dateLine = ''

  constructor(options: HttpServerOptions, handlers: HttpHandlers, parts: OwnServerParts) {
    this.options = options
    this.handlers = handlers
    this.#clock = parts.clock
    this.shortReplies = new ShortReplies(parts.clock)
    this.turnShare = new TurnShare(parts.clock, this.shortReplies)
    this.#readsStreams = parts.readsStreams ?? false
    this.#server = this.#open()
    this.#server.maxConnections = options.connections
    this.#server.on('connection', () => this.turnShare.noteAccepted())
  }

  async listen({ address, port }: { address: string; port: number }): Promise<{ port: number }> {
    this.#server.listen({ host: address, port, backlog: BACKLOG })
    // Rejects when the server says `error` instead.
    await once(this.#server, 'listening')
    void this.#watchDeadlines()
    return { port: (this.#server.address() as AddressInfo).port }
  }

  async close(): Promise<void> {
    this.isClosing = true
    if (this.#connections.size > 0) await this.#readOn()
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.closeIdle()
    this.#handshakes?.close()
    await closed
    this.#closed.abort()
  }

  /** Connections that seem idle may have a request that was sent already: closed now, its client would see a reset. */
  async #readOn(): Promise<void> {
    this.#isReadingOn = true
    // Two: of a loop that is late the first one may end before anything is read.
    for (let looks = 0; looks < 2; looks += 1) await this.#clock.sleep(READ_ON_MS)
    this.#isReadingOn = false
  }

  closeIdle(): void {
    // Until it is known what those that seem idle have sent; then close() comes back to them.
    if (this.#isReadingOn) return
    for (const connection of this.#connections)
      if (connection.isIdle) connection.socket.destroySoon()
  }

  closeAll(): void {
    for (const { socket } of this.#connections) socket.destroy()
  }

  reloadTls(keys: { cert: string; key: string }): void {
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(keys)
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  dateLine(): string {
    const nowMs = this.#clock.now()
    const second = Math.floor(nowMs / 1000)
    if (second !== this.#dateSecond) {
      this.#dateSecond = second
      this.#dateLine = `date: ${httpDate(nowMs)}\r\n`
    }
    return this.#dateLine
  }

  #open(): Server | TlsServer {
    const sockets = { noDelay: true, highWaterMark: kibibytes(256) }
    const { tls } = this.options
    if (tls === undefined) {
      // Who ends in the middle of a body is told so.
      const plain = { ...sockets, allowHalfOpen: true, pauseOnConnect: true }
      return createServer(plain, this.#serve)
    }
    const secure = { ...sockets, ...tls, handshakeTimeout: 30_000, ALPNProtocols: ['http/1.1'] }
    const server = createTlsServer(secure, this.#serve)
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    this.#handshakes = new Handshakes(server)
    return server
  }

  readonly #serve = (accepted: Socket): void => {
    const connect = (socket: Socket): Connection => {
      const connection = new Connection(socket, this)
      this.#connections.add(connection)
      socket.on('close', () => this.#connections.delete(connection))
      return connection
    }
    readSocket(accepted, connect, { asStream: this.#readsStreams })
  }

  /** One look at all of them: a timer for each request would cost more than the request's whole parsing. */
  async #watchDeadlines(): Promise<void> {
    const { headersMs, keepAliveMs } = this.options
    const shortest = Math.min(headersMs, keepAliveMs) / 4
    const everyMs = Math.max(LOOK_EVERY_MS_MIN, Math.min(LOOK_EVERY_MS, shortest))
    const { signal } = this.#closed
    while (!signal.aborted) {
      // Aborted: it is time to stop.
      await this.#clock.sleep(everyMs, signal).catch(() => undefined)
      const nowMs = this.#clock.monotonicMs()
      for (const connection of this.#connections)
        if (connection.deadlineMs <= nowMs) connection.expire()
    }
  }
}
