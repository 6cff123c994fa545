// A store that is started anew does not answer for a while: commands that wait for something wait for that, too, and
// say so.
import type { HealingStatus } from '../gateway/admin-api.ts'
import type { Clock } from '../kit/world.ts'
import { NoAnswer } from './admin-client.ts'

/** A store that answers nothing for so long is down. */
const OUTAGE_MS = 60_000

const ASK_AGAIN_MS = 1_000

/** What it takes to wait, and how people hear of it. */
export interface OutageParts {
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  say(sentence: string): void
}

/** The outages of the store while a command waits. */
export class Outages {
  readonly #parts: OutageParts
  #count = 0

  constructor(parts: OutageParts) {
    this.#parts = parts
  }

  /** How many there were. */
  get count(): number {
    return this.#count
  }

  /** What `ask` gives, asked again and again for a minute while the store does not answer; then it throws NoAnswer. */
  async over<T>(ask: () => Promise<T>): Promise<T> {
    const { clock, say } = this.#parts
    let sinceMs: number | undefined
    for (;;) {
      try {
        const answer = await ask()
        if (sinceMs !== undefined) say('the store answers again.')
        return answer
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error
        if (sinceMs === undefined) {
          sinceMs = clock.monotonicMs()
          this.#count += 1
          say(`${error.message}; it is waited for, ${OUTAGE_MS / 1000} s at most.`)
        }
        if (clock.monotonicMs() - sinceMs >= OUTAGE_MS) throw error
        await clock.sleep(ASK_AGAIN_MS)
      }
    }
  }
}

/** Whether another process tells `now` than told `before`: what is counted since its start only grows. */
export function isStartedAnew(before: HealingStatus, now: HealingStatus): boolean {
  const counts = ({ ended, checkedBlobs, checkedFiles, bytesRead }: HealingStatus): number[] => [
    ...[ended.check, ended.scrub, checkedBlobs, checkedFiles, bytesRead],
  ]
  const earlier = counts(before)
  return counts(now).some((count, at) => count < earlier[at]!)
}
