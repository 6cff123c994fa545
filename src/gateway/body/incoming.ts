// The bytes of a request as they come off the socket, with an end to waiting for a client that falls silent.
import type { Clock } from '../../kit/world.ts'
import type { BodyReader, Exchange } from '../exchange.ts'
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

/** Where the bytes come from. */
export type BodySource = Pick<Exchange, 'readBody' | 'pauseBody' | 'resumeBody' | 'leaveBody'>

/** Reads the body; what it yields is lent. Throws IncompleteBody when it breaks off and RequestTimeout when nothing comes any more, or too slowly. */
export async function* readIncoming(
  source: BodySource,
  options: IncomingOptions,
): AsyncGenerator<Uint8Array> {
  options.onStart()
  const arrivals = new Arrivals(source)
  const watch = new SilenceWatch(options.clock, options.idleMs)
  const { idleMs, bytesPerSecondMin } = options
  let received = 0
  try {
    for (;;) {
      // Of a body that came with its head nothing is waited for.
      const bytes =
        arrivals.shift() ??
        (arrivals.isOver ? undefined : await watch.during(() => arrivals.next()))
      if (bytes === undefined) break
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
    arrivals.stop()
  }
}

/** Chunks that may wait before the client is told to wait: they are as long as one read of the socket, 64 KiB. */
const WAITING_CHUNKS = 2

/** The chunks of a body as the socket gives them, for one who asks for them one by one. */
class Arrivals implements BodyReader {
  readonly #source: BodySource
  readonly #waiting: Uint8Array[] = []
  #isPaused = false
  #ended: { trouble: Error | undefined } | undefined
  #wake: (() => void) | undefined

  constructor(source: BodySource) {
    this.#source = source
    source.readBody(this)
  }

  /** All of it was given out, and it ended well. */
  get isOver(): boolean {
    return this.#waiting.length === 0 && this.#ended !== undefined && !this.#ended.trouble
  }

  /** A chunk that is there already. */
  shift(): Uint8Array | undefined {
    const chunk = this.#waiting.shift()
    if (this.#isPaused && this.#waiting.length === 0) {
      this.#isPaused = false
      this.#source.resumeBody(this)
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
    const chunk = this.shift()
    if (chunk === undefined && this.#ended?.trouble !== undefined) throw this.#ended.trouble
    return chunk
  }

  /** Nothing more is wanted. The socket is left as it is: a refusal has still to go out on it. */
  stop(): void {
    this.#source.leaveBody(this)
  }

  take(chunk: Uint8Array): void {
    this.#waiting.push(chunk)
    if (this.#waiting.length >= WAITING_CHUNKS && !this.#isPaused) {
      this.#isPaused = true
      this.#source.pauseBody(this)
    }
    this.#wake?.()
  }

  end(trouble: Error | undefined): void {
    this.#ended ??= { trouble }
    this.#wake?.()
  }
}

// One error for all bodies: making one with its stack for each would cost more than the watch itself.
const ENDED = new Error('the body has ended')

/** Fails a wait that lasts too long. One sleeper for the whole body, not one timer for each chunk. */
class SilenceWatch {
  readonly #clock: Clock
  readonly #idleMs: number
  /** Made with the sleeper: a body that is there as a whole needs neither. */
  #stopped: AbortController | undefined
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
        if (this.#stopped === undefined) {
          this.#stopped = new AbortController()
          void this.#watch(this.#stopped.signal)
        }
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
    this.#stopped?.abort(ENDED)
  }

  async #watch(signal: AbortSignal): Promise<void> {
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
