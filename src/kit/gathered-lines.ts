// Lines of the log on their way to standard error. Nothing waits for who reads them: pino's own way there tries without end, and
// everything with it, where nobody reads any more (EPIPE) or the disk under it is full (ENOSPC).
import { writeSync } from 'node:fs'
import { type DestinationStream, pino, symbols } from 'pino'
import { mebibytes } from './bytes.ts'
import { realWorld } from './world.ts'

// A line for each request would be a call of the system for each request.
const GATHERED_LENGTH = 8 * 1024
const GATHERED_MS = 200

/** So much is kept for a reader who is slow. What comes while there is more is lost. */
const UNREAD_BYTES_MAX = mebibytes(1)

/** The end of a process waits so long for such a reader. */
const LAST_TRIES = 100
const LAST_TRY_MS = 10

const STANDARD_ERROR = 2
const NONE = Buffer.alloc(0)

/** Writes some of it, as write(2): how much. */
type Write = (bytes: Uint8Array) => number

/**
 * Standard error, to which lines go together: warnings and errors at once, and what waits before them; the others a moment
 * later. The end of the process waits for them, unless it is killed. What can not be written is lost, and nothing else is.
 */
export class GatheredLines implements DestinationStream {
  readonly [symbols.needsMetadataGsym] = true
  /** Level of the line that is written next; pino sets it. */
  lastLevel = 0
  readonly #write: Write
  #lines = ''
  /** What was to be written when whoever reads it had no room. */
  #unread: Buffer = NONE
  #isFlushDue = false

  constructor(write: Write = (bytes) => writeSync(STANDARD_ERROR, bytes)) {
    this.#write = write
    process.once('exit', () => this.#flushAtLast())
  }

  write(line: string): void {
    if (this.#unread.length > UNREAD_BYTES_MAX) return
    this.#lines += line
    const isUrgent = this.lastLevel >= pino.levels.values.warn!
    if (isUrgent || this.#lines.length >= GATHERED_LENGTH) this.#flush()
    else this.#flushSoon()
  }

  #flush(): void {
    let bytes = Buffer.concat([this.#unread, Buffer.from(this.#lines)])
    this.#lines = ''
    this.#unread = NONE
    try {
      while (bytes.length > 0) bytes = bytes.subarray(this.#write(bytes))
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') return
      this.#unread = bytes
      this.#flushSoon()
    }
  }

  #flushSoon(): void {
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    void realWorld()
      .clock.sleep(GATHERED_MS)
      .then(() => {
        this.#isFlushDue = false
        this.#flush()
      })
  }

  #flushAtLast(): void {
    this.#flush()
    const pause = new Int32Array(new SharedArrayBuffer(4))
    for (let tries = 0; this.#unread.length > 0 && tries < LAST_TRIES; tries += 1) {
      Atomics.wait(pause, 0, 0, LAST_TRY_MS)
      this.#flush()
    }
  }
}
