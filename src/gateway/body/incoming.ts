// The bytes of a request as they come off the socket, with an end to waiting for a client that falls silent.
import type { IncomingMessage } from 'node:http'
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

/** Reads the body. Throws IncompleteBody when it breaks off and RequestTimeout when nothing comes any more, or too slowly. */
export async function* readIncoming(
  request: IncomingMessage,
  options: IncomingOptions,
): AsyncGenerator<Uint8Array> {
  options.onStart()
  // Ending early must not destroy the socket: the refusal has still to go out on it.
  const chunks = request.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]()
  const watch = new SilenceWatch(options.clock, options.idleMs)
  const { idleMs, bytesPerSecondMin } = options
  let received = 0
  try {
    for (;;) {
      const next = await watch.during(() => chunks.next())
      if (next.done === true) break
      const bytes = next.value as Uint8Array
      options.onBytes(bytes.length)
      received += bytes.length
      if (bytesPerSecondMin !== undefined)
        watch.refuseOver(idleMs + (received * 1000) / bytesPerSecondMin)
      yield bytes
    }
  } catch (error) {
    throw error instanceof S3Error ? error : new S3Error('IncompleteBody', {}, { cause: error })
  } finally {
    watch.stop()
    // Not awaited: a read that waits for a silent client would hold it up for ever.
    void chunks.return?.()
  }
  if (!request.complete) throw new S3Error('IncompleteBody')
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
