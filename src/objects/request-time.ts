// How long one request waits for metadata: one time for all that it asks the store.
import type { Clock } from '../kit/world.ts'
import { WAITING_MS, WaitingTime } from '../metadata/waiting-time.ts'
import type { RequestWaits } from './object-store.ts'

/** Who has waited long for its turn has less time, but for as much as another node needs to lead, three times over. */
const TURN_MS_MAX = 10_000

/** The time of a request whose turn has come. */
export function timeOfRequest(
  request: RequestWaits,
  clock: Pick<Clock, 'monotonicMs'>,
): WaitingTime {
  const waitedMs = clock.monotonicMs() - request.startMs
  const ms = WAITING_MS - Math.min(waitedMs, TURN_MS_MAX)
  return new WaitingTime(clock, { ms, isForNobody: () => request.departed })
}
