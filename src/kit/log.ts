// The log: pino, one JSON object a line, on standard error. No secret ever enters it.
import { type DestinationStream, pino, symbols } from 'pino'
import type { LogLevel } from './log-levels.ts'
import { realWorld } from './world.ts'

/** What a room may do with the log. The first argument is data, the second a sentence. */
export interface Log {
  debug(data: object, sentence: string): void
  info(data: object, sentence: string): void
  warn(data: object, sentence: string): void
  error(data: object, sentence: string): void
  /** A log that adds `data` to every line. */
  child(data: object): Log
  /** Whether a line of that level would be written; asked by who would go to some length for it. Without it, yes. */
  isLevelEnabled?(level: LogLevel): boolean
}

// An error has nothing that JSON would show by itself.
const serializers = { error: pino.stdSerializers.err, cause: pino.stdSerializers.err }

/** A log that writes to standard error, or to `destination`. */
export function openLog(
  level: LogLevel,
  destination: DestinationStream = new GatheredLines(),
): Log {
  return pino({ level, base: null, serializers }, destination)
}

// A line for each request would be a call of the system for each request.
const GATHERED_BYTES = 8 * 1024
const GATHERED_MS = 200

/**
 * Standard error, to which lines go together: warnings and errors at once, and what waits before them; the others a moment
 * later. The end of the process waits for them, unless it is killed.
 */
class GatheredLines implements DestinationStream {
  readonly [symbols.needsMetadataGsym] = true
  /** Level of the line that is written next; pino sets it. */
  lastLevel = 0
  readonly #lines = pino.destination({ dest: 2, sync: true, minLength: GATHERED_BYTES })
  #isFlushDue = false

  constructor() {
    process.once('exit', () => this.#lines.flushSync())
  }

  write(line: string): void {
    this.#lines.write(line)
    if (this.lastLevel >= pino.levels.values.warn!) this.#lines.flushSync()
    else if (!this.#isFlushDue) this.#flushSoon()
  }

  #flushSoon(): void {
    this.#isFlushDue = true
    void realWorld()
      .clock.sleep(GATHERED_MS)
      .then(() => {
        this.#isFlushDue = false
        this.#lines.flushSync()
      })
  }
}

/** A log that says nothing, for tests. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
}
