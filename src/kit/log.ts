// The log: pino, one JSON object a line, on standard error. No secret ever enters it.
import { type DestinationStream, pino } from 'pino'
import { GatheredLines } from './gathered-lines.ts'
import type { LogLevel } from './log-levels.ts'

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

/** A log that says nothing, for tests. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
}
