// How a process that serves ends when it is asked to: it drains, closes, and says so.
import type { FastifyInstance } from 'fastify'
import type { Log } from '../kit/log.ts'
import { stayAlive } from '../kit/world.ts'

/** SIGTERM drains within this time, so that everything is closed within ten seconds. */
export const DRAIN_MS = 8_000

/** What ends with a process. */
export interface EndingParts {
  /** For the log: `the node`. */
  what: string
  member: { close(options: { deadlineMs: number }): Promise<void> }
  admin: FastifyInstance
  log: Log
}

/** At SIGTERM and SIGINT, once. */
export function endOnSignals({ what, member, admin, log }: EndingParts): void {
  let ending = false
  const end = async (signal: string): Promise<void> => {
    if (ending) return
    ending = true
    log.info({ signal }, `${what} drains and closes`)
    await admin.close()
    await member.close({ deadlineMs: DRAIN_MS })
    log.info({}, `${what} is closed`)
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      // Nothing else may keep the process while the last of it waits for a timer: it would end before it is closed.
      stayAlive(end(signal)).catch((error) => {
        log.error({ error: String(error) }, `${what} did not close cleanly`)
        process.exit(1)
      })
    })
  }
}
