// The bytes of a request as they come off the socket, with an end to waiting for a client that falls silent.
import type { IncomingMessage } from 'node:http'
import { lendOwn } from '../../kit/lent-bytes.ts'
import type { Clock } from '../../kit/world.ts'
import { S3Error } from '../s3-error.ts'

export interface IncomingOptions {
  clock: Clock
  /** A client from which nothing comes for so long is given up. */
  idleMs: number
  /** One that lets itself be waited for longer than at this speed, after `idleMs` for the start, likewise. */
  bytesPerSecondMin?: number | undefined
  /** Called before the first byte is waited for: sends `100 Continue` when the client waits for it. */
  onStart(): void
  onBytes(count: number): void
}

/** Reads the body; what it yields is lent. Throws IncompleteBody when it breaks off and RequestTimeout when nothing comes any more, or too slowly. */
export async function* readIncoming(
  request: IncomingMessage,
  options: IncomingOptions,
): AsyncGenerator<Uint8Array> {
  options.onStart()
  const arrivals = new Arrivals(request)
  const watch = new SilenceWatch(options.clock, options.idleMs)
  const { idleMs, bytesPerSecondMin } = options
  let received = 0
  try {
    for (;;) {
      const bytes = arrivals.take() ?? (await watch.during(() => arrivals.next()))
      if (bytes === undefined) break
      options.onBytes(bytes.length)
      received += bytes.length
      if (bytesPerSecondMin !== undefined)
        watch.refuseOver(idleMs + (received * 1000) / bytesPerSecondMin)
      yield lendOwn(bytes)
    }
  } catch (error) {
    throw error instanceof S3Error ? error : new S3Error('IncompleteBody', {}, { cause: error })
  } finally {
    watch.stop()
    arrivals.stop()
  }
  if (!request.complete) throw new S3Error('IncompleteBody')
}

/** Chunks that may wait before the client is told to wait: they are as long as one read of the socket, 64 KiB. */
const WAITING_CHUNKS = 2

/**
 * The chunks of a request as the socket gives them. The stream's own iterator would join those that wait: one more copy of
 * every byte, and twice the garbage.
 */
class Arrivals {
  readonly #request: IncomingMessage
  readonly #waiting: Uint8Array[] = []
  #isPaused = false
  #ended: { error: unknown } | undefined
  #wake: (() => void) | undefined

  constructor(request: IncomingMessage) {
    this.#request = request
    request.on('data', this.#arrive)
    request.on('end', () => this.#end(undefined))
    request.on('error', (error) => this.#end(error))
    // Only where it says something: every request is closed, and to make an error costs more than all else of a small body.
    request.on('close', () => {
      if (this.#ended === undefined) this.#end(new Error('the request was broken off'))
    })
    if (request.readableEnded) this.#end(undefined)
    else if (request.destroyed) this.#end(new Error('the request was broken off'))
  }

  /** A chunk that is there already. */
  take(): Uint8Array | undefined {
    const chunk = this.#waiting.shift()
    if (this.#isPaused && this.#waiting.length === 0) {
      this.#isPaused = false
      this.#request.resume()
    }
    return chunk
  }

  /** The next chunk; undefined after the last one. Throws when the request breaks off. Called once at a time. */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#waiting.length === 0 && this.#ended === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const chunk = this.take()
    if (chunk === undefined && this.#ended?.error !== undefined) throw this.#ended.error
    return chunk
  }

  /** Nothing more is wanted. The socket is left as it is: a refusal has still to go out on it. */
  stop(): void {
    this.#request.off('data', this.#arrive)
    if (this.#ended !== undefined) return
    // Over a link the refusal may be out already, and the rest of the body be taken by who sent it (linger.ts).
    if (this.#request.listenerCount('data') === 0) this.#request.pause()
    else if (this.#isPaused) this.#request.resume()
  }

  readonly #arrive = (chunk: Uint8Array): void => {
    this.#waiting.push(chunk)
    if (this.#waiting.length >= WAITING_CHUNKS && !this.#isPaused) {
      this.#isPaused = true
      this.#request.pause()
    }
    this.#wake?.()
  }

  #end(error: unknown): void {
    this.#ended ??= { error }
    this.#wake?.()
  }
}

// One error for all bodies: making one with its stack for each would cost more than the watch itself.
const ENDED = new Error('the body has ended')

/** Fails a wait that lasts too long. One sleeper for the whole body, not one timer for each chunk. */
class SilenceWatch {
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #stopped = new AbortController()
  #waitingSinceMs: number | undefined
  /** All waits that are over. */
  #waitedMs = 0
  #giveUp: (() => void) | undefined

  constructor(clock: Clock, idleMs: number) {
    this.#clock = clock
    this.#idleMs = idleMs
  }

  async during<Value>(wait: () => Promise<Value>): Promise<Value> {
    const sinceMs = this.#clock.monotonicMs()
    this.#waitingSinceMs = sinceMs
    try {
      return await new Promise<Value>((resolve, reject) => {
        if (this.#giveUp === undefined) void this.#watch()
        this.#giveUp = () => reject(new S3Error('RequestTimeout'))
        wait().then(resolve, reject)
      })
    } finally {
      this.#waitingSinceMs = undefined
      this.#waitedMs += this.#clock.monotonicMs() - sinceMs
    }
  }

  /** Throws when all waits together have taken longer. */
  refuseOver(ms: number): void {
    if (this.#waitedMs > ms) throw new S3Error('RequestTimeout')
  }

  stop(): void {
    this.#stopped.abort(ENDED)
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stopped
    let leftMs = this.#idleMs
    while (leftMs > 0 && !signal.aborted) {
      try {
        await this.#clock.sleep(leftMs, signal)
      } catch {
        return // stop() was called: the body has ended.
      }
      const since = this.#waitingSinceMs ?? this.#clock.monotonicMs()
      leftMs = since + this.#idleMs - this.#clock.monotonicMs()
    }
    if (!signal.aborted) this.#giveUp?.()
  }
}
