// Background work at a pace: one round at a time, until it is stopped.
import type { Log } from './log.ts'
import type { Clock } from './world.ts'

/** Work that goes on until stop() resolves. */
export interface Periodic {
  stop(): Promise<void>
}

/** Runs `round` every `pauseMs`, counted from the end of the last one. A round that throws is logged and tried again. */
export function repeat(
  name: string,
  pauseMs: number,
  round: (signal: AbortSignal) => Promise<unknown>,
  parts: { clock: Clock; log: Log },
): Periodic {
  const stopping = new AbortController()
  const ended = runRounds(name, pauseMs, round, stopping.signal, parts)
  return {
    stop: async () => {
      stopping.abort()
      await ended
    },
  }
}

async function runRounds(
  name: string,
  pauseMs: number,
  round: (signal: AbortSignal) => Promise<unknown>,
  signal: AbortSignal,
  { clock, log }: { clock: Clock; log: Log },
): Promise<void> {
  while (!signal.aborted) {
    // An aborted sleep only means that it is time to stop.
    await clock.sleep(pauseMs, signal).catch(() => undefined)
    if (signal.aborted) return
    try {
      await round(signal)
    } catch (error) {
      if (!signal.aborted)
        log.warn({ worker: name, error: String(error) }, 'a round of upkeep failed')
    }
  }
}
