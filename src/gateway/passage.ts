// One request on its way through the pipeline: what is known of it so far, and whether its client still waits.
import type { AccessRecord } from './access-log.ts'
import type { Exchange, ExchangeWatcher } from './exchange.ts'
import type { Turn } from './turns.ts'

/** Why nobody waits any more. */
class ClientGone extends Error {
  override readonly name = 'ClientGone'
}

/** When a request came, by both clocks, and its id. */
export interface Arrival {
  requestId: string
  /** Milliseconds since 1970. */
  receivedMs: number
  monotonicMs: number
}

/** One request. Its fields fill up from the head to the end of the reply. */
export class Passage implements ExchangeWatcher {
  readonly exchange: Exchange
  readonly requestId: string
  readonly method: string
  readonly url: string
  readonly receivedMs: number
  readonly startMs: number
  operation = ''
  accessKeyId = ''
  status = 0
  errorCode = ''
  bytesIn = 0
  bytesOut = 0
  ms = 0
  /** Its answer is JSON, whatever it is. */
  isAdmin = false
  /** The client went away before it had the whole reply. */
  departed = false
  /** Held until the client has the reply, where nobody waits for that. */
  turn: Turn | undefined
  /** Made when somebody asks: most requests are answered before anybody wants to know. */
  #departure: AbortController | undefined
  #waiting: { resolve(): void; reject(reason: Error): void } | undefined
  #onOver: ((passage: Passage) => void) | undefined

  constructor(exchange: Exchange, { requestId, receivedMs, monotonicMs }: Arrival) {
    this.exchange = exchange
    this.requestId = requestId
    this.receivedMs = receivedMs
    this.startMs = monotonicMs
    this.method = exchange.method
    this.url = exchange.target
    exchange.watcher = this
  }

  /** Aborted when the client goes away. */
  get signal(): AbortSignal {
    if (this.#departure === undefined) {
      this.#departure = new AbortController()
      if (this.departed) this.#departure.abort(goneAway())
    }
    return this.#departure.signal
  }

  /** Resolves when the system has the whole reply, which must have been ended; rejects when the client goes away before. */
  async whenSent(): Promise<void> {
    const { exchange } = this
    if (exchange.isSent) return
    if (this.departed || exchange.isClosed) throw goneAway()
    await new Promise<void>((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  /** Resolves when the reply takes more bytes; rejects when the client goes away before. Without a signal: it is asked for often. */
  async whenDrained(): Promise<void> {
    const { exchange } = this
    if (this.departed || exchange.isClosed) throw goneAway()
    await new Promise<void>((resolve, reject) => {
      this.#waiting = { resolve, reject }
      exchange.onceDrained(resolve)
    })
  }

  /** Calls `onOver` when the system has the whole reply, or the client went away before. For who does not wait. */
  whenOver(onOver: (passage: Passage) => void): void {
    if (this.departed || this.exchange.isClosed) onOver(this)
    else this.#onOver = onOver
  }

  /** Path as sent, without the query: that may hold a signature. */
  get path(): string {
    const mark = this.url.indexOf('?')
    return mark < 0 ? this.url : this.url.slice(0, mark)
  }

  /** What the log is told. */
  record(): AccessRecord {
    return {
      requestId: this.requestId,
      remoteAddress: this.exchange.peers.remoteAddress,
      method: this.method,
      path: this.path,
      operation: this.operation || undefined,
      accessKeyId: this.accessKeyId || undefined,
      status: this.status,
      errorCode: this.errorCode || undefined,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      ms: Math.round(this.ms * 10) / 10,
    }
  }

  /** The reply is through, or never will be. */
  close(): void {
    if (this.exchange.isSent) {
      this.#waiting?.resolve()
    } else if (!this.departed) {
      this.departed = true
      this.#departure?.abort(goneAway())
      this.#waiting?.reject(goneAway())
    }
    const onOver = this.#onOver
    this.#onOver = undefined
    onOver?.(this)
  }
}

function goneAway(): ClientGone {
  return new ClientGone('the client went away')
}
