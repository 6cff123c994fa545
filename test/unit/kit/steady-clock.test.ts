// Time that is put in order does not follow a clock that is set back.
import t from 'tap'
import { steadyClock } from '../../../src/kit/steady-clock.ts'
import type { Clock } from '../../../src/kit/world.ts'

t.test('a clock that is set back or forward leaves it alone', async (t) => {
  let wallMs = 1_000_000.7
  let monotonicMs = 500.5
  const clock: Clock = {
    now: () => wallMs,
    monotonicMs: () => monotonicMs,
    sleep: async () => undefined,
  }
  const steady = steadyClock(clock)
  t.equal(steady.now(), 1_000_000, 'it begins where the clock is, in whole milliseconds')
  monotonicMs += 250
  wallMs -= 3_600_000
  t.equal(steady.now(), 1_000_250, 'set back by an hour')
  monotonicMs += 250
  wallMs += 7_200_000
  t.equal(steady.now(), 1_000_500, 'set forward by two')
  t.equal(steady.monotonicMs(), clock.monotonicMs())
})
