// The bytes of a request as they come off the socket, with an end to waiting for a client that falls silent.
import type { Deadlines } from '../../kit/deadlines.ts'
import type { Clock } from '../../kit/world.ts'
import type { BodyReader, Exchange } from '../exchange.ts'
import { S3Error } from '../s3-error.ts'

/** How long a client may keep others waiting, and who is told of its bytes. */
export interface IncomingOptions {
  clock: Pick<Clock, 'monotonicMs'>
  /** Of all bodies together: a client from which nothing comes for so long is given up. */
  silence: Deadlines
  /** One that lets itself be waited for longer than at this speed, after one silence for the start, likewise. */
  bytesPerSecondMin: number
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
  const { clock, silence, bytesPerSecondMin } = options
  let received = 0
  let waitedMs = 0
  try {
    for (;;) {
      let bytes = arrivals.shift()
      // Of a body that came with its head nothing is waited for.
      if (bytes === undefined && !arrivals.isOver) {
        const sinceMs = clock.monotonicMs()
        bytes = await silence.within(arrivals.next(), refuseSilence)
        waitedMs += clock.monotonicMs() - sinceMs
      }
      if (bytes === undefined) break
      options.onBytes(bytes.length)
      received += bytes.length
      const waitMsMax = silence.ms + (received * 1000) / bytesPerSecondMin
      if (waitedMs > waitMsMax) refuseSilence()
      yield bytes
    }
  } catch (error) {
    throw error instanceof S3Error ? error : new S3Error('IncompleteBody', {}, { cause: error })
  } finally {
    arrivals.stop()
  }
}

function refuseSilence(): never {
  throw new S3Error('RequestTimeout')
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
