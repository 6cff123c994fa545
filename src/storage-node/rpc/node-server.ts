// The port at which a node serves the others of its cluster: docs/formats/node-protocol.md.
// Who has not the secret of the cluster, repeats what was said or changes it, gets 401 and a closed connection.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { assert } from '../../kit/assert.ts'
import { kibibytes, mebibytes } from '../../kit/bytes.ts'
import { giveBack } from '../../kit/lent-bytes.ts'
import type { Log } from '../../kit/log.ts'
import { Semaphore } from '../../kit/semaphore.ts'
import type { World } from '../../kit/world.ts'
import { Exchange } from './exchange.ts'
import { HeldAnswers, roomOf } from './frame-room.ts'
import { FrameKind, type FrameRoom, type HeldFrame } from './frames.ts'
import { decodeMessage, encodeDone, encodeFailed, encodeFailure } from './messages.ts'
import { MESSAGES_PATH, type NodeService, type RequestContext } from './node-service.ts'
import { HELLO_PATH, keysOf, type Versions } from './session-format.ts'
import { type NodeIdentity, Sessions, type TakenHead } from './sessions.ts'
import { Talk } from './talk.ts'
import { BadMessage, BrokenFrames, NodeRefused } from './trouble.ts'

/** Bounds of what others may ask of a node. */
export interface ServerLimits {
  connections: number
  /** A connection that has not sent the head of a request by then is closed. */
  headersMs: number
  /** Exchanges of one node under way; the next ones wait. */
  exchangesOfNode: number
  /** Memory for what comes in, and for what goes out, of all exchanges together. */
  receivedBytes: number
  answerBytes: number
  /** A message is not longer: an entry of a metadata log, and what is said with it. */
  payloadBytes: number
}

/** Certificates: the node's own, and who signs those of all others. */
export interface NodeTls {
  cert: string
  key: string
  ca: string
}

/** Who this node is to others, and what they may ask of it at once. */
export interface NodeServerOptions {
  identity: NodeIdentity
  limits?: Partial<ServerLimits>
  /** Mutual TLS when given: who has no certificate that `ca` signed gets no further. */
  tls?: NodeTls | undefined
  /** Other versions than those of this program, for tests. */
  versions?: Versions
}

/** Who answers what is asked. `random` draws the ids and nonces of sessions. */
export interface NodeServerParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  service: NodeService
}

const LIMITS: ServerLimits = {
  connections: 4096,
  headersMs: 10_000,
  exchangesOfNode: 768,
  receivedBytes: mebibytes(128),
  answerBytes: mebibytes(128),
  payloadBytes: mebibytes(33),
}

// Longer than those who ask keep theirs (peer.ts): whoever is about to use a connection closes it.
const KEEP_ALIVE_MS = 65_000
const HEAD_BYTES_MAX = kibibytes(8)

/** Serves other nodes. */
export class NodeServer {
  readonly #limits: ServerLimits
  readonly #parts: NodeServerParts
  readonly #sessions: Sessions
  readonly #server: Server
  readonly #received: FrameRoom
  readonly #answers: FrameRoom
  /** By node, as long as it asks for something. */
  readonly #places = new Map<string, Semaphore>()
  readonly #underWay = new Set<Promise<void>>()
  /** Exchanges in which more small requests may come. */
  readonly #talks = new Set<Talk>()
  #isClosing = false

  constructor({ identity, limits, tls, versions }: NodeServerOptions, parts: NodeServerParts) {
    this.#limits = { ...LIMITS, ...limits }
    this.#parts = parts
    this.#sessions = new Sessions(identity, parts.world, versions)
    this.#received = roomOf(this.#limits.receivedBytes)
    this.#answers = roomOf(this.#limits.answerBytes)
    this.#server = openServer(this.#limits, tls)
    this.#server.on('request', (request, response) => this.#serve(request, response))
  }

  /** Port 0 takes a free one. Rejects with the system's `code`, such as EADDRINUSE. */
  async listen(where: { address: string; port: number }): Promise<{ port: number }> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(where.port, where.address, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    return { port: (this.#server.address() as AddressInfo).port }
  }

  /** Begins nothing any more, lets what is under way end, breaks off what is left after `deadlineMs`. */
  async close({ deadlineMs }: { deadlineMs: number }): Promise<void> {
    this.#isClosing = true
    for (const talk of this.#talks) talk.endTaking()
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeIdleConnections()
    const drained = new AbortController()
    const cut = this.#parts.world.clock.sleep(deadlineMs, drained.signal).then(
      () => this.#server.closeAllConnections(),
      () => undefined, // All was over before.
    )
    // What goes on after that has nobody to answer to: it ends with what it waits for.
    await Promise.race([Promise.allSettled([...this.#underWay]), cut])
    this.#server.closeIdleConnections()
    await Promise.race([closed, cut])
    drained.abort()
    this.#server.closeAllConnections()
    await closed
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    response.sendDate = false
    const path = request.url ?? ''
    if (request.method === 'POST' && path === HELLO_PATH) {
      this.#welcome(request, response)
      return
    }
    const taken = request.method === 'POST' ? this.#sessions.take(path, request.headers) : undefined
    if (taken === undefined) {
      refuse(request, response)
      return
    }
    const work = this.#answer(taken, request, response).finally(() => this.#underWay.delete(work))
    this.#underWay.add(work)
  }

  #welcome(request: IncomingMessage, response: ServerResponse): void {
    const headers = this.#sessions.welcome(request.headers)
    if (headers === undefined) refuse(request, response)
    else response.writeHead(200, { ...headers, 'content-length': 0 }).end()
  }

  /** Never rejects: what goes wrong is told to the asker, or logged, or the connection is broken off. */
  async #answer(
    { head, session }: TakenHead,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { world } = this.#parts
    const exchange = new Exchange(head.deadlineMs, {
      ...{ request, response, keys: keysOf(session.key, head), clock: world.clock },
      ...{ room: this.#received, payloadBytesMax: this.#limits.payloadBytes },
    })
    const { from } = session
    const asker: Asker = { from, isBelieved: () => this.#sessions.isGood(session) }
    let leave: (() => void) | undefined
    try {
      leave = await this.#enter(from, exchange.signal)
      await this.#run(head.path, asker, exchange)
      await exchange.end()
    } catch (error) {
      this.#cutOff(exchange, from, error)
    } finally {
      leave?.()
    }
  }

  #cutOff(exchange: Exchange, from: string, error: unknown): void {
    const { log } = this.#parts
    if (!exchange.signal.aborted) log.info({ from, error: String(error) }, 'a node was cut off')
    exchange.breakOff()
  }

  async #enter(from: string, signal: AbortSignal): Promise<() => void> {
    const places = this.#places.get(from) ?? new Semaphore(this.#limits.exchangesOfNode)
    this.#places.set(from, places)
    await places.acquire(1, signal)
    return () => {
      places.release()
      if (places.free === this.#limits.exchangesOfNode) this.#places.delete(from)
    }
  }

  async #run(path: string, asker: Asker, exchange: Exchange): Promise<void> {
    if (path === MESSAGES_PATH) return await this.#runMessages(asker, exchange)
    const { from } = asker
    const handler = this.#parts.service.streams.get(path)
    const held = new HeldAnswers(this.#answers, exchange.signal)
    try {
      if (handler === undefined) throw new BadMessage('no stream is known by this name')
      this.#checkOpen()
      exchange.checkDeadline()
      await handler({
        ...{ from, deadlineMs: exchange.deadlineMs, signal: exchange.signal },
        ...{ frames: exchange.frames, holdAnswer: (bytes) => held.hold(bytes) },
        checkDeadline: () => exchange.checkDeadline(),
        answer: (kind, ...payload) => exchange.send(kind, ...payload),
        extendDeadline: (deadlineMs) => exchange.extendDeadline(deadlineMs),
      })
    } catch (error) {
      if (error instanceof BrokenFrames) throw error
      this.#note(error, from)
      await exchange.send(FrameKind.Failed, encodeFailure(error))
    } finally {
      held.release()
    }
  }

  /** Begins every request as it comes, as long as it takes any from there; answers leave as they are ready. */
  async #runMessages({ from, isBelieved }: Asker, exchange: Exchange): Promise<void> {
    const running = new Set<Promise<void>>()
    const talk = new Talk(exchange)
    // At once: what is under way need not go on, and may take long.
    const cutOff = (error: unknown): void => this.#cutOff(exchange, from, error)
    if (!this.#isClosing) this.#talks.add(talk)
    try {
      for await (const frame of exchange.frames) {
        if (!isBelieved()) talk.endTaking()
        const isMessage = frame.kind === FrameKind.Message
        const isTaken = isMessage && talk.take()
        if (!isTaken) frame.done()
        if (!isMessage) throw new BadMessage('a frame is no message')
        if (!isTaken) continue
        const work = this.#runMessage(frame, from, exchange)
          .catch(cutOff)
          .finally(() => {
            frame.done()
            running.delete(work)
          })
        running.add(work)
      }
    } catch (error) {
      cutOff(error)
    }
    this.#talks.delete(talk)
    await Promise.all(running)
  }

  async #runMessage(frame: HeldFrame, from: string, exchange: Exchange): Promise<void> {
    const { id, type, deadlineMs, body } = decodeMessage(frame.payload)
    const held = new HeldAnswers(this.#answers, exchange.signal)
    const context: RequestContext = {
      from,
      deadlineMs,
      signal: exchange.signal,
      checkDeadline: () => exchange.checkDeadline(deadlineMs),
      holdAnswer: (bytes) => held.hold(bytes),
    }
    try {
      const answer = await this.#handle(id, type, body, context)
      const sent = exchange.sendSoon(FrameKind.Answer, ...answer)
      for (const part of answer) giveBack(part)
      await sent
    } finally {
      held.release()
    }
  }

  async #handle(
    id: number,
    type: number,
    body: Uint8Array,
    context: RequestContext,
  ): Promise<readonly Uint8Array[]> {
    try {
      const handler = this.#parts.service.messages.get(type)
      if (handler === undefined) throw new BadMessage(`message type ${type} is not known`)
      this.#checkOpen()
      context.checkDeadline()
      const answer = await handler(body, context)
      const parts = [encodeDone(id), ...(answer instanceof Uint8Array ? [answer] : answer)]
      const bytes = parts.reduce((sum, part) => sum + part.length, 0)
      assert(bytes <= this.#limits.payloadBytes, 'an answer has a limit')
      return parts
    } catch (error) {
      this.#note(error, context.from)
      return [encodeFailed(id, error)]
    }
  }

  #checkOpen(): void {
    if (this.#isClosing) throw new NodeRefused('the node is closing', 'closing')
  }

  /** What the asker is not told, because it has no type of its own, is logged. */
  #note(error: unknown, from: string): void {
    const isTyped = error instanceof Error && 'code' in error && error.name !== 'SystemError'
    const { log } = this.#parts
    if (!isTyped) log.error({ from, error: String(error) }, 'what a node asked for failed')
    else if (error instanceof BadMessage) {
      log.warn({ from, error: String(error) }, 'what a node asked for was not understood')
    } else log.debug({ from, error: String(error) }, 'what a node asked for was not done')
  }
}

/** Who asks in an exchange. */
interface Asker {
  from: string
  /** Whether the secret that it used is good yet. */
  isBelieved(): boolean
}

function openServer(limits: ServerLimits, tls: NodeTls | undefined): Server {
  const http = {
    maxHeaderSize: HEAD_BYTES_MAX,
    headersTimeout: limits.headersMs,
    // Heads have a time; bodies have the deadlines that their heads name.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(1000, limits.headersMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    highWaterMark: kibibytes(256),
    noDelay: true,
  }
  const server =
    tls === undefined
      ? createServer(http)
      : createTlsServer({ ...http, ...tls, requestCert: true, rejectUnauthorized: true })
  server.maxConnections = limits.connections
  server.on('clientError', (_error, socket: Socket) => socket.destroy())
  return server
}

/** Tells nothing: not even whether there is such a path. */
function refuse(request: IncomingMessage, response: ServerResponse): void {
  response.on('error', () => undefined)
  response.writeHead(401, { 'content-length': 0, connection: 'close' })
  response.end(() => request.destroy())
}
