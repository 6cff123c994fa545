// What the guard and its server tell each other: the guard by a variable of the environment, the server by a line.
import { LOG_LEVELS, type LogLevel } from '../kit/log-levels.ts'

/** The file descriptor of a server that leads to its guard. At its end the guard is gone. */
export const LEASH_FD = 3

/** Where a server listens. */
export interface Ports {
  port: number
  adminPort: number
}

/** How often the server was started again since the guard began, and what for last. */
export interface Restarts {
  count: number
  last?: { signal: string; ms: number }
}

/** What a server is told when it starts. */
export interface Life {
  restarts: Restarts
  /** What the one before it listened on; absent until one did. */
  ports?: Ports
  /** What it wanted its successor to know; the guard does not look at it. */
  memory?: unknown
}

/** What a server tells once it listens. */
export interface Listening extends Ports {
  logLevel: LogLevel
  memory?: unknown
}

/** The text of the variable. */
export function writeLife(life: Life): string {
  return JSON.stringify(life)
}

/** Reads what writeLife wrote. */
export function readLife(text: string): Life {
  return JSON.parse(text) as Life
}

/** The first whole line that a server wrote, when it is what it should be. */
export function readListening(text: string): Listening | undefined {
  const [line, rest] = text.split('\n', 2)
  if (line === undefined || rest === undefined) return undefined
  const { port, adminPort, logLevel, memory } = JSON.parse(line) as Partial<Listening>
  const known = LOG_LEVELS.find((level) => level === logLevel)
  if (port === undefined || adminPort === undefined || known === undefined) return undefined
  return { port, adminPort, logLevel: known, memory }
}
