// The few calls of etcd that we need, by its JSON gateway (etcd 3.4 and newer). Endpoints are tried in turn, every call
// has a deadline. A change may be sent twice when the first answer is lost: only changes that compare first are safe.
import type { ClientTls } from '../../kit/http-exchange.ts'
import type { HttpRequest, World } from '../../kit/world.ts'
import { EtcdCompacted, EtcdRefused, EtcdUnavailable } from './etcd-errors.ts'
import {
  decodeEvents,
  decodeHeader,
  decodeRange,
  type EtcdHeader,
  encodeRange,
  encodeTxn,
  encodeWatch,
  type KeyRange,
  type RangeAnswer,
  type RangeRequest,
  type Txn,
  type TxnAnswer,
  type WatchAnswer,
  type WireAnswer,
  type WireError,
  type WireWatchLine,
} from './etcd-wire.ts'

/** Where etcd is, and who we are to it. */
export interface EtcdOptions {
  /** `http://10.0.0.1:2379` and so on: all members, in the order in which they are tried. */
  endpoints: readonly string[]
  /** For each attempt at one endpoint; 2 s when left out. */
  timeoutMs?: number
  tls?: ClientTls
  user?: { name: string; password: string }
}

/** A lease that etcd granted. */
export interface Lease extends EtcdHeader {
  id: string
}

const TIMEOUT_MS = 2_000

/** The path of what changes something that must not be changed twice. */
const CHANGE = 'kv/txn'

// Of a password, which etcd takes its time to compare.
const AUTHENTICATE_MS = 10_000

// Of an answer that is not understood, for messages.
const SAID_MAX = 200

// Values have at most 1.5 MiB and pages 128 keys; base64 adds a third.
const ANSWER_BYTES_MAX = 64 * 1024 * 1024

/** Codes of gRPC after which another member may do better: unknown, late, internal, unavailable. */
const TRY_ANOTHER: readonly number[] = [1, 2, 4, 10, 13, 14]
const OUT_OF_RANGE = 11
const UNAUTHENTICATED = 16
const NOT_FOUND = 5
const FAILED_PRECONDITION = 9

/** etcd, as one process speaks with it. */
export class EtcdClient {
  readonly #options: EtcdOptions
  readonly #http: World['http']
  /** Of the endpoint that answered last. */
  #index = 0
  #token: string | undefined

  constructor(options: EtcdOptions, { http }: { http: World['http'] }) {
    this.#options = options
    this.#http = http
  }

  /** Linearizable: it sees every change that was acknowledged before. Throws EtcdCompacted for a revision that is gone. */
  async range(request: RangeRequest): Promise<RangeAnswer> {
    return decodeRange(await this.#call('kv/range', encodeRange(request)))
  }

  /** EtcdUnavailable says that nobody knows the outcome: also where one member gave no answer and another one refuses. */
  async txn(txn: Txn): Promise<TxnAnswer> {
    const answer = await this.#call(CHANGE, encodeTxn(txn))
    return { ...decodeHeader(answer), succeeded: answer.succeeded ?? false }
  }

  async grantLease(ttlSeconds: number): Promise<Lease> {
    const answer = await this.#call('lease/grant', { TTL: `${ttlSeconds}` })
    const id = answer.ID ?? '0'
    return { ...decodeHeader(answer), id }
  }

  /** False: there is no such lease any more. */
  async keepAlive(leaseId: string): Promise<boolean> {
    const { TTL = '0' } = await this.#call('lease/keepalive', { ID: leaseId })
    return Number(TTL) > 0
  }

  /** Removes a lease and the keys that go with it. One that is gone is no error. */
  async revoke(leaseId: string): Promise<void> {
    await this.#call('lease/revoke', { ID: leaseId }).catch((error) => {
      if (!(error instanceof EtcdRefused && error.grpcCode === NOT_FOUND)) throw error
    })
  }

  /**
   * Changes from `fromRevision` on, as they happen; first an answer without events, once etcd watches. Throws
   * EtcdCompacted when that revision is gone and EtcdUnavailable when the connection breaks. A connection may also die
   * in silence: whoever watches reads again from time to time.
   */
  async *watch(
    request: KeyRange & { fromRevision: number },
    signal: AbortSignal,
  ): AsyncGenerator<WatchAnswer> {
    const ended = new AbortController()
    try {
      const all = AbortSignal.any([signal, ended.signal])
      for await (const text of await this.#openWatch(request, all)) {
        const answer = readWatchLine(text)
        if (answer !== undefined) yield answer
      }
      throw new EtcdUnavailable('etcd ended a watch')
    } catch (error) {
      signal.throwIfAborted()
      throw isOurs(error) ? error : new EtcdUnavailable('a watch broke', { cause: error })
    } finally {
      ended.abort()
    }
  }

  #openWatch(
    request: KeyRange & { fromRevision: number },
    signal: AbortSignal,
  ): Promise<AsyncIterable<string>> {
    return this.#authenticated(() =>
      this.#atEach(async (endpoint) => {
        const opened = await this.#http.lines(
          this.#request(endpoint, 'watch', encodeWatch(request)),
          signal,
        )
        if (opened.status === 200) return opened.lines
        const lines: string[] = []
        for await (const line of opened.lines) lines.push(line)
        throw refusal(opened.status, lines.join('\n'))
      }),
    )
  }

  #call(path: string, body: object): Promise<WireAnswer> {
    return this.#authenticated(() => this.#callWithToken(path, body))
  }

  /**
   * Tokens end after minutes, and whenever users or roles change: then there is a new one, once. A token of later than all that etcd has
   * applied, as after it was restored from a backup, gets no answer at all: without an answer the next call has a new one, too.
   */
  async #authenticated<T>(work: () => Promise<T>): Promise<T> {
    const { user } = this.#options
    if (user === undefined) return await work()
    if (this.#token === undefined) await this.#authenticate(user)
    const token = this.#token
    try {
      return await work()
    } catch (error) {
      if (!isStaleToken(error)) {
        if (!isOurs(error) || error instanceof EtcdUnavailable) this.#forget(token)
        throw error
      }
      if (this.#token === token) await this.#authenticate(user)
      return await work()
    }
  }

  #forget(token: string | undefined): void {
    if (this.#token === token) this.#token = undefined
  }

  async #authenticate(user: { name: string; password: string }): Promise<void> {
    this.#token = undefined
    try {
      const answer = await this.#callWithToken('auth/authenticate', user, AUTHENTICATE_MS)
      this.#token = answer.token ?? ''
    } catch (error) {
      // Authentication is not switched on: then nobody asks for a token either.
      if (!(error instanceof EtcdRefused && error.grpcCode === FAILED_PRECONDITION)) throw error
      this.#token = ''
    }
  }

  #callWithToken(path: string, body: object, timeoutMsAtLeast = 0): Promise<WireAnswer> {
    return this.#atEach(async (endpoint) => {
      const request = this.#request(endpoint, path, body)
      const timeoutMs = Math.max(request.timeoutMs, timeoutMsAtLeast)
      const { status, text } = await this.#http.send({ ...request, timeoutMs })
      if (status !== 200) throw refusal(status, text)
      const answer = JSON.parse(text) as WireAnswer & { result?: WireAnswer }
      // What is a stream to gRPC has one answer here, in an envelope.
      return answer.result ?? answer
    }, path === CHANGE)
  }

  /** The endpoint that answered last is asked first, and each once. */
  async #atEach<T>(work: (endpoint: string) => Promise<T>, isChange = false): Promise<T> {
    const { endpoints } = this.#options
    // Others may find another one meanwhile: each is asked once all the same.
    const first = this.#index
    let cause: unknown
    for (let tried = 0; tried < endpoints.length; tried += 1) {
      const index = (first + tried) % endpoints.length
      try {
        const answer = await work(endpoints[index]!)
        this.#index = index
        return answer
      } catch (error) {
        // What another one was asked for before may have been done, whatever this one says of it.
        if (isFinal(error) && !(isChange && tried > 0)) throw error
        cause = error
      }
    }
    throw new EtcdUnavailable(`etcd does not answer: ${sayWhy(cause)}`, { cause })
  }

  #request(endpoint: string, path: string, body: object): HttpRequest {
    const { timeoutMs = TIMEOUT_MS, tls } = this.#options
    return {
      method: 'POST',
      url: `${endpoint.replace(/\/+$/, '')}/v3/${path}`,
      headers: {
        'content-type': 'application/json',
        ...(this.#token ? { authorization: this.#token } : {}),
      },
      body: JSON.stringify(body),
      timeoutMs,
      maxBytes: ANSWER_BYTES_MAX,
      ...(tls ? { tls } : {}),
    }
  }
}

/** Undefined for lines that say nothing. */
function readWatchLine(text: string): WatchAnswer | undefined {
  const { result, error } = JSON.parse(text) as WireWatchLine
  if (error) throw errorOf(error)
  if (result === undefined) return undefined
  if (result.canceled) {
    const { compact_revision: compacted, cancel_reason: reason } = result
    if (compacted !== undefined) throw new EtcdCompacted(`compacted at revision ${compacted}`)
    throw new EtcdUnavailable(`etcd ended a watch: ${reason ?? 'no reason given'}`)
  }
  return { ...decodeHeader(result), events: decodeEvents(result.events) }
}

/** An answer that is none of etcd's counts as no answer. */
function refusal(status: number, text: string): Error {
  try {
    return errorOf(JSON.parse(text) as WireError)
  } catch {
    const said = text.trim().slice(0, SAID_MAX)
    return new Error(`an answer that is none of etcd's, status ${status}${said && `: ${said}`}`)
  }
}

function errorOf({ error, message, code, grpc_code: grpcCode }: WireError): Error {
  const said = message ?? error ?? 'etcd does not say why'
  const number = code ?? grpcCode ?? 2
  if (number === OUT_OF_RANGE && said.includes('compacted')) return new EtcdCompacted(said)
  return new EtcdRefused(said, number)
}

function isFinal(error: unknown): boolean {
  if (error instanceof EtcdCompacted) return true
  return error instanceof EtcdRefused && !TRY_ANOTHER.includes(error.grpcCode)
}

function isStaleToken(error: unknown): boolean {
  if (!(error instanceof EtcdRefused)) return false
  return (
    error.grpcCode === UNAUTHENTICATED || /auth store is old|user name is empty/.test(error.message)
  )
}

function isOurs(error: unknown): boolean {
  return [EtcdUnavailable, EtcdRefused, EtcdCompacted].some((kind) => error instanceof kind)
}

function sayWhy(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  return cause instanceof Error ? `${error.message}: ${cause.message}` : error.message
}
