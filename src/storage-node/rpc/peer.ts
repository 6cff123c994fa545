// Another node, as it is asked from here: connections that are kept, a session, lanes for small requests, and streams.
// The only file of this room that opens connections. Bytes: docs/formats/node-protocol.md.
import type { Readable } from 'node:stream'
import { type Dispatcher, Pool } from 'undici'
import { assert } from '../../kit/assert.ts'
import { mebibytes } from '../../kit/bytes.ts'
import { Overloaded, Semaphore } from '../../kit/semaphore.ts'
import type { World } from '../../kit/world.ts'
import { Channel, SessionForgotten } from './channel.ts'
import { type BegunExchange, type ClientSession, ClientSessions } from './client-session.ts'
import { type HeldFrame, readFrames } from './frames.ts'
import { Lane, type LaneLimits, type LaneRequest } from './lane.ts'
import type { MessageExchange } from './message-exchange.ts'
import type { NodeTls } from './node-server.ts'
import { MESSAGES_PATH } from './node-service.ts'
import { HELLO_PATH, type Versions } from './session-format.ts'
import type { NodeIdentity } from './sessions.ts'
import { NodeUnreachable } from './trouble.ts'

/** Bounds of what is asked of one node. */
export interface PeerLimits {
  /** Of small requests of each kind: one for all of them but while exchanges follow each other. */
  connections: number
  /** At once, each with a connection of its own for as long as a client sends: several for each large request that a gateway has under way. */
  streams: number
  connectMs: number
  /** Streams that wait for a connection. */
  waitingStreams: number
  /** Small requests that wait, or wait for their answers, in bytes. */
  requestBytes: number
  lanes: number
  /** No message is longer, there and back. */
  payloadBytes: number
}

/** Which node is asked, where it is, and who asks. */
export interface PeerOptions {
  identity: NodeIdentity
  /** The node's id: one that answers at its address and is another gets nothing, and is believed nothing. */
  to: string
  /** Where it listens, such as `http://10.0.0.3:9100`. */
  origin: string
  limits?: Partial<PeerLimits>
  tls?: NodeTls | undefined
  /** Other versions than those of this program, for tests. */
  versions?: Versions
}

/** What is sent in a stream: `begin` has the frames made for the exchange once it is begun. */
export interface StreamRequest {
  path: string
  deadlineMs: number
  begin(exchange: BegunExchange, session: ClientSession): Readable
  signal: AbortSignal
}

const LIMITS: PeerLimits = {
  connections: 64,
  streams: 512,
  connectMs: 3_000,
  waitingStreams: 256,
  requestBytes: mebibytes(64),
  lanes: 256,
  payloadBytes: mebibytes(33),
}

// Shorter than the server keeps a connection: one that is being closed there is not used any more.
const KEEP_ALIVE_MS = 30_000
const HELLO_MS_MAX = 10_000

/** Errors of connections that came before anything was sent. */
const NOT_SENT = new Set([
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN'],
  ...['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_CLOSED'],
])

/** Partitions that a node leads share lanes, for what many gateways ask of it costs less together. */
const LANE_LIMITS: { [Kind in LaneKind]: Partial<LaneLimits> } = {
  shards: {},
  metadata: {},
  partitions: { underWay: 1024, underWayBytes: mebibytes(16), waiting: 8192 },
}

/** What a lane is about: each kind has a channel of its own. */
export type LaneKind = 'shards' | 'metadata' | 'partitions'

interface KindOfLanes {
  pool: Pool
  channel: Channel
}

/** What is asked of one node, and how: a Peer, or one of a simulation. */
export type AskedPeer = Pick<Peer, 'to' | 'nowMs' | 'ask' | 'stream'>

/** Asks one node. */
export class Peer {
  readonly #options: PeerOptions
  readonly #limits: PeerLimits
  readonly #world: Pick<World, 'clock' | 'random'>
  readonly #kinds: { [Kind in LaneKind]: KindOfLanes }
  readonly #streams: Pool
  readonly #streamPlaces: Semaphore
  readonly #sessions: ClientSessions
  readonly #lanes = new Map<string, Lane>()
  #requestBytes = 0
  #heardMs: number | undefined

  constructor(options: PeerOptions, world: Pick<World, 'clock' | 'random'>) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#world = world
    const { streams, waitingStreams, payloadBytes } = this.#limits
    this.#streams = this.#openPool(streams)
    this.#streamPlaces = new Semaphore(streams, { maxWaiting: waitingStreams })
    const { identity, to, versions } = options
    this.#sessions = new ClientSessions(
      { identity, to, versions, payloadBytesMax: payloadBytes },
      world,
      (headers) => this.#sayHello(headers),
    )
    this.#kinds = {
      shards: this.#openKind(),
      metadata: this.#openKind(),
      partitions: this.#openKind(),
    }
  }

  /** The node's id. */
  get to(): string {
    return this.#options.to
  }

  /** When it last answered a small request; undefined when it never did. */
  get heardMs(): number | undefined {
    return this.#heardMs
  }

  /** Now, on the clock of all deadlines here. */
  get nowMs(): number {
    return this.#world.clock.monotonicMs()
  }

  /**
   * Asks a small request, in the lane of that name; each kind of lanes has connections of its own. Rejects with what the other node
   * said, with NodeUnreachable when nothing came that can be believed, and with Overloaded when too much waits for the
   * node already.
   */
  async ask(lane: string, request: LaneRequest, kind: LaneKind = 'shards'): Promise<Uint8Array> {
    const bytes = request.body.length
    const { requestBytes, payloadBytes } = this.#limits
    assert(bytes <= payloadBytes - MESSAGE_FIELDS_BYTES, 'a message has a limit')
    if (this.#requestBytes + bytes > requestBytes) {
      throw new Overloaded(`too many bytes wait for node ${this.to}`)
    }
    const asked = this.#laneOf(`${kind} ${lane}`, kind)
    this.#requestBytes += bytes
    try {
      return await asked.ask(request)
    } finally {
      this.#requestBytes -= bytes
    }
  }

  /** Begins a stream and gives the frames that come back. It ends with `signal`, or when the frames are not read on. */
  async *stream(request: StreamRequest): AsyncGenerator<HeldFrame> {
    await this.#streamPlaces.acquire(1, request.signal)
    try {
      yield* this.#withSession((session) => this.#streamIn(session, request))
    } finally {
      this.#streamPlaces.release()
    }
  }

  /** Breaks off what is under way. */
  async close(): Promise<void> {
    const closed = new NodeUnreachable(`node ${this.to} is not asked any more`, 'unknown')
    const pools = [...Object.values(this.#kinds).map(({ pool }) => pool), this.#streams]
    await Promise.all(pools.map((pool) => pool.destroy(closed)))
  }

  #openKind(): KindOfLanes {
    const pool = this.#openPool(this.#limits.connections)
    const channel = new Channel({
      clock: this.#world.clock,
      sessions: this.#sessions,
      carryOut: (exchange) => this.#carryOut(pool, exchange),
      unreachable: (error, hasBegun) => this.#unreachable(error, hasBegun),
      onHeard: () => {
        this.#heardMs = this.nowMs
      },
    })
    return { pool, channel }
  }

  #openPool(connections: number): Pool {
    const { tls, origin } = this.#options
    const { connectMs } = this.#limits
    return new Pool(origin, {
      connections,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      // What is asked has deadlines of its own.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: connectMs, ...(tls ?? {}) },
    })
  }

  #laneOf(name: string, kind: LaneKind): Lane {
    const known = this.#lanes.get(name)
    if (known !== undefined) return known
    if (this.#lanes.size >= this.#limits.lanes) this.#forgetIdleLanes()
    if (this.#lanes.size >= this.#limits.lanes) {
      throw new Overloaded(`too many lanes to node ${this.to} are in use`)
    }
    const { channel } = this.#kinds[kind]
    const lane = new Lane((asked) => channel.send(asked), this.#world.clock, LANE_LIMITS[kind])
    this.#lanes.set(name, lane)
    return lane
  }

  #forgetIdleLanes(): void {
    for (const [name, lane] of this.#lanes) if (lane.isIdle) this.#lanes.delete(name)
  }

  async *#carryOut(
    pool: Pool,
    { headers, body, signal }: MessageExchange,
  ): AsyncGenerator<Uint8Array> {
    const response = await pool.request({
      ...{ method: 'POST', path: MESSAGES_PATH, headers, body, signal },
      // A connection that others closed, or of which the other end is dead, is never used for a second one.
      reset: true,
    })
    if (response.statusCode !== 200) {
      await response.body.dump()
      throw new SessionForgotten()
    }
    yield* response.body as AsyncIterable<Uint8Array>
  }

  async *#streamIn(
    session: ClientSession,
    { path, deadlineMs, begin, signal }: StreamRequest,
  ): AsyncGenerator<HeldFrame> {
    const exchange = session.begin(path, deadlineMs)
    const body = begin(exchange, session)
    yield* this.#exchange(path, { exchange, body, signal })
  }

  /** Says hello anew, once, when the other node has forgotten us: it was restarted, and has done nothing. */
  async *#withSession(
    run: (session: ClientSession) => AsyncGenerator<HeldFrame>,
  ): AsyncGenerator<HeldFrame> {
    const session = await this.#sessions.get()
    try {
      yield* run(session)
    } catch (error) {
      if (!(error instanceof SessionForgotten)) throw error
      this.#sessions.drop(session)
      yield* this.#orNotBelieved(run(await this.#sessions.get()))
    }
  }

  /** Who says twice that it does not know us is not to be believed, and may have done anything. */
  async *#orNotBelieved(frames: AsyncGenerator<HeldFrame>): AsyncGenerator<HeldFrame> {
    try {
      yield* frames
    } catch (error) {
      if (!(error instanceof SessionForgotten)) throw error
      throw new NodeUnreachable(`node ${this.to} does not believe us`, 'unknown')
    }
  }

  async *#exchange(
    path: string,
    { exchange, body, signal }: { exchange: BegunExchange; body: Readable; signal: AbortSignal },
  ): AsyncGenerator<HeldFrame> {
    try {
      const response = await this.#streams.request({
        ...{ method: 'POST', path, headers: exchange.headers, body, signal },
      })
      if (response.statusCode !== 200) {
        await response.body.dump()
        throw new SessionForgotten()
      }
      yield* readFrames(response.body, exchange.reader)
    } catch (error) {
      throw error instanceof SessionForgotten ? error : this.#unreachable(error)
    }
  }

  async #sayHello(
    headers: Record<string, string>,
  ): Promise<Dispatcher.ResponseData['headers'] | undefined> {
    const late = new AbortController()
    const said = new AbortController()
    void this.#world.clock.sleep(HELLO_MS_MAX, said.signal).then(
      () => late.abort(),
      () => undefined, // It was answered.
    )
    try {
      const response = await this.#kinds.metadata.pool.request({
        ...{ method: 'POST', path: HELLO_PATH, headers, signal: late.signal },
      })
      await response.body.dump()
      return response.statusCode === 200 ? response.headers : undefined
    } catch (error) {
      // Whatever it was: nothing of what is to be asked was sent.
      throw new NodeUnreachable(`node ${this.to} does not answer`, 'not-sent', { cause: error })
    } finally {
      said.abort('it was answered')
    }
  }

  /** `hasBegun`: there was a connection, which may have carried something before it got into trouble, whatever that was. */
  #unreachable(error: unknown, hasBegun = false): NodeUnreachable {
    if (error instanceof NodeUnreachable) return error
    const code = (error as { code?: string }).code ?? ''
    const outcome = NOT_SENT.has(code) && !hasBegun ? 'not-sent' : 'unknown'
    return new NodeUnreachable(`node ${this.to} did not answer`, outcome, { cause: error })
  }
}

const MESSAGE_FIELDS_BYTES = 14
