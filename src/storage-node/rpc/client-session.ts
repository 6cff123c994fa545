// The session in which this process asks another node: begun with a hello, begun anew when the other has forgotten it.
import { nameSecret } from '../../digest/message-auth.ts'
import { assert } from '../../kit/assert.ts'
import { asBuffer } from '../../kit/bytes.ts'
import type { World } from '../../kit/world.ts'
import { FrameReader, FrameWriter } from './frames.ts'
import {
  type ExchangeHead,
  type Hello,
  isNodeId,
  keysOf,
  pairKey,
  readWelcome,
  sessionKey,
  VERSIONS,
  type Versions,
  type Welcome,
  writeHead,
  writeHello,
} from './session-format.ts'
import type { NodeIdentity } from './sessions.ts'
import { NodeUnreachable, VersionsTooFarApart } from './trouble.ts'

/** Says a hello and gives what came back: undefined headers when the other node said nothing. */
export type SayHello = (
  headers: Record<string, string>,
) => Promise<Record<string, string | string[] | undefined> | undefined>

/** One exchange: what is sent as its head, and its frames there and back. */
export interface BegunExchange {
  headers: Record<string, string>
  writer: FrameWriter
  reader: FrameReader
}

/** Who asks whom. `versions`: other ones than those of this program, for tests. */
export interface ClientSessionOptions {
  identity: NodeIdentity
  /** The node that is asked. */
  to: string
  versions?: Versions | undefined
  /** No frame of an answer is longer. */
  payloadBytesMax: number
}

// Two monotonic clocks drift apart by some 100 ms in that time.
const RENEW_MS = 20 * 60_000

// A welcome that was long on its way says less of the other's clock: deadlines seem to be over there before they are, some before
// they were sent. Such a session is used only until there is a better one.
const LONG_HELLO_MS = 500
const RENEW_AFTER_LONG_HELLO_MS = 1_000

/** A session that was begun. */
export class ClientSession {
  /** On our clock: from then on another one is better. */
  readonly untilMs: number
  readonly #welcome: Welcome
  readonly #key: Uint8Array
  readonly #payloadBytesMax: number
  /** The other's clock is ahead of ours by at least this: by what is said of an answer when it is here, it is older. */
  readonly #aheadMs: number
  #sequence = 0

  constructor(
    welcome: Welcome,
    {
      key,
      saidMs,
      nowMs,
      payloadBytesMax,
    }: { key: Uint8Array; saidMs: number; nowMs: number; payloadBytesMax: number },
  ) {
    const wasLong = nowMs - saidMs > LONG_HELLO_MS
    this.untilMs = nowMs + (wasLong ? RENEW_AFTER_LONG_HELLO_MS : RENEW_MS)
    this.#welcome = welcome
    this.#key = key
    this.#payloadBytesMax = payloadBytesMax
    this.#aheadMs = welcome.clockMs - nowMs
  }

  /** A moment on our clock as one on the other's: never later than it is. */
  theirMs(ourMs: number): number {
    return Math.max(0, Math.floor(ourMs + this.#aheadMs))
  }

  /** The next exchange. It has to be sent soon: those that are overtaken by many are refused. */
  begin(path: string, deadlineMs: number): BegunExchange {
    const { session, version } = this.#welcome
    const sequence = this.#sequence
    this.#sequence += 1
    const theirs = this.theirMs(deadlineMs)
    const head: ExchangeHead = { path, version, session, sequence, deadlineMs: theirs }
    const keys = keysOf(this.#key, head)
    return {
      headers: writeHead(head, this.#key),
      writer: new FrameWriter(keys.request),
      reader: new FrameReader(keys.answer, this.#payloadBytesMax),
    }
  }
}

/** Has a session when one is needed. */
export class ClientSessions {
  readonly #options: ClientSessionOptions
  readonly #world: Pick<World, 'clock' | 'random'>
  readonly #sayHello: SayHello
  #current: ClientSession | undefined
  #opening: Promise<ClientSession> | undefined

  constructor(
    options: ClientSessionOptions,
    world: Pick<World, 'clock' | 'random'>,
    sayHello: SayHello,
  ) {
    const { clusterId, nodeId } = options.identity
    assert([clusterId, nodeId, options.to].every(isNodeId), 'nodes and clusters have proper ids')
    this.#options = options
    this.#world = world
    this.#sayHello = sayHello
  }

  /** The session; says hello first where there is none, once for all who wait. */
  async get(): Promise<ClientSession> {
    const current = this.#current
    if (current !== undefined && this.#now() < current.untilMs) return current
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    return await this.#opening
  }

  /** The other node does not know this session any more. */
  drop(session: ClientSession): void {
    if (this.#current === session) this.#current = undefined
  }

  /** Tries the secrets in their order: a node may not have heard of the newest yet. */
  async #open(): Promise<ClientSession> {
    for (const secret of this.#options.identity.secrets()) {
      const session = await this.#openWith(secret)
      if (session === undefined) continue
      this.#current = session
      return session
    }
    const { to } = this.#options
    throw new NodeUnreachable(`node ${to} does not believe us, or is another one`, 'not-sent')
  }

  async #openWith(secret: Uint8Array): Promise<ClientSession | undefined> {
    const { identity, to, versions, payloadBytesMax } = this.#options
    const from = identity.nodeId
    const pair = pairKey(secret, { clusterId: identity.clusterId, from, to })
    const hello: Hello = {
      ...{ from, to, versions: versions ?? VERSIONS, secret: nameSecret(secret) },
      nonce: asBuffer(this.#world.random.bytes(16)).toString('hex'),
    }
    const saidMs = this.#now()
    const headers = await this.#sayHello(writeHello(hello, pair))
    const welcome = headers && readWelcome(headers, hello, pair)
    if (welcome === undefined) return undefined
    if (welcome.version === 0) throw tooFarApart(to, hello.versions, welcome.versions)
    const key = sessionKey(pair, hello, welcome)
    return new ClientSession(welcome, { key, saidMs, nowMs: this.#now(), payloadBytesMax })
  }

  #now(): number {
    return this.#world.clock.monotonicMs()
  }
}

function tooFarApart(to: string, ours: Versions, theirs: Versions): VersionsTooFarApart {
  const text = ({ oldest, newest }: Versions): string => `${oldest} to ${newest}`
  return new VersionsTooFarApart(
    `node ${to} speaks versions ${text(theirs)} of the node protocol, we speak ${text(ours)}`,
  )
}
