// A wall clock that goes on steadily from where it began: what happens later has the greater time, whatever becomes of
// the machine's own clock meanwhile. For what is put in order and shown; not for what other machines know.
import type { Clock } from './world.ts'

/** Begins at the time that `clock` has now and then follows only its monotonic time. */
export function steadyClock(clock: Clock): Clock {
  const beganMs = clock.now() - clock.monotonicMs()
  return {
    now: () => Math.floor(beganMs + clock.monotonicMs()),
    monotonicMs: () => clock.monotonicMs(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  }
}
