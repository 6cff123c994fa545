// The sessions that a node gave to those who ask it: who they are, and which of their exchanges were taken already.

import type { IncomingHttpHeaders } from 'node:http'
import { nameSecret } from '../../digest/message-auth.ts'
import { asBuffer } from '../../kit/bytes.ts'
import type { World } from '../../kit/world.ts'
import { ReplayWindow } from './replay-window.ts'
import {
  commonVersion,
  type ExchangeHead,
  type Hello,
  isHeadOf,
  readHead,
  readHello,
  sessionKey,
  VERSIONS,
  type Versions,
  type Welcome,
  writeWelcome,
} from './session-format.ts'

/** Who a node is, and what its cluster shares. */
export interface NodeIdentity {
  clusterId: string
  nodeId: string
  /**
   * Of the cluster, 32 bytes or more each. The first signs, all are believed: while they are changed there are two. Asked
   * every time, so that one that is taken away counts no more from then on.
   */
  secrets(): readonly Uint8Array[]
}

/** A session of somebody who has the secret. */
export interface Session {
  from: string
  version: number
  key: Uint8Array
  /** Names the secret that it was begun with. */
  secret: string
}

/** An exchange whose head was right, and which was not there before. */
export interface TakenHead {
  head: ExchangeHead
  session: Session
}

interface KnownSession extends Session {
  used: ReplayWindow
}

// A session costs 8 KiB. One process that asks has one, and for a moment two.
const SESSIONS_MAX = 1024
const OF_ONE_NODE_MAX = 64
// Given, and not used yet: a hello that is sent again and again by somebody who overheard it can only crowd these out.
const UNUSED_MAX = 256

/** Sessions of a node. Bounded: the one that was not used for longest goes first, and its user says hello again. */
export class Sessions {
  readonly #identity: NodeIdentity
  readonly #world: Pick<World, 'clock' | 'random'>
  readonly #versions: Versions
  /** In the order of their last use. */
  readonly #used = new Map<string, KnownSession>()
  readonly #unused = new Map<string, KnownSession>()
  /** Asked for every exchange. */
  readonly #names = new WeakMap<Uint8Array, string>()

  constructor(
    identity: NodeIdentity,
    world: Pick<World, 'clock' | 'random'>,
    versions: Versions = VERSIONS,
  ) {
    this.#identity = identity
    this.#world = world
    this.#versions = versions
  }

  /** Headers of the answer to a hello; undefined when it is not for us, or not from who has the secret. */
  welcome(headers: IncomingHttpHeaders): Record<string, string> | undefined {
    const { clusterId, nodeId, secrets } = this.#identity
    const read = readHello(headers, clusterId, secrets())
    if (read === undefined || read.hello.to !== nodeId) return undefined
    const { hello, key } = read
    const welcome: Welcome = {
      session: this.#hex(),
      nonce: this.#hex(),
      version: commonVersion(this.#versions, hello.versions),
      versions: this.#versions,
      clockMs: Math.floor(this.#world.clock.monotonicMs()),
    }
    if (welcome.version > 0) this.#remember(hello, welcome, key)
    return writeWelcome(welcome, hello, key)
  }

  /** Takes an exchange, once; undefined for anything that is not signed in a session, and for what was taken before. */
  take(path: string, headers: IncomingHttpHeaders): TakenHead | undefined {
    const head = readHead(path, headers)
    if (head === undefined) return undefined
    const session = this.#used.get(head.session) ?? this.#unused.get(head.session)
    if (session === undefined || session.version !== head.version) return undefined
    if (!isHeadOf(head, headers, session.key)) return undefined
    if (!this.isGood(session)) {
      this.#used.delete(head.session)
      return undefined
    }
    if (!session.used.take(head.sequence)) return undefined
    this.#noteUse(head.session, session)
    return { head, session }
  }

  /** Whether the secret that a session was begun with is believed yet. */
  isGood({ secret }: Session): boolean {
    return this.#identity.secrets().some((one) => this.#nameOf(one) === secret)
  }

  #remember(hello: Hello, welcome: Welcome, key: Uint8Array): void {
    this.#unused.set(welcome.session, {
      from: hello.from,
      version: welcome.version,
      secret: hello.secret,
      key: sessionKey(key, hello, welcome),
      used: new ReplayWindow(),
    })
    if (this.#unused.size > UNUSED_MAX) this.#unused.delete(firstOf(this.#unused))
  }

  #noteUse(id: string, session: KnownSession): void {
    const isNew = this.#unused.delete(id)
    this.#used.delete(id)
    this.#used.set(id, session)
    if (!isNew) return
    const ofNode = [...this.#used].filter(([, { from }]) => from === session.from)
    if (ofNode.length > OF_ONE_NODE_MAX) this.#used.delete(ofNode[0]![0])
    if (this.#used.size > SESSIONS_MAX) this.#used.delete(firstOf(this.#used))
  }

  #nameOf(secret: Uint8Array): string {
    const name = this.#names.get(secret) ?? nameSecret(secret)
    this.#names.set(secret, name)
    return name
  }

  #hex(): string {
    return asBuffer(this.#world.random.bytes(16)).toString('hex')
  }
}

function firstOf(sessions: ReadonlyMap<string, unknown>): string {
  for (const id of sessions.keys()) return id
  return ''
}
