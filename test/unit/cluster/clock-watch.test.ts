// A process whose clock is wrong says so: by the clocks of most nodes, and long before anything is refused.
import t from 'tap'
import { ClockWatch } from '../../../src/cluster/clock-watch.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'

const MINUTE_MS = 60_000

/** Nodes whose clocks are ahead of ours by so much; undefined: it does not answer. */
function openWatch(aheadMs: Record<string, number | undefined>) {
  const world = realWorld()
  const clocks = new ClockWatch({
    ...{ world, log: silentLog, nodes: () => Object.keys(aheadMs) },
    askClock: async (id) => {
      const ahead = aheadMs[id]
      if (ahead === undefined) throw new Error('away')
      return world.clock.now() + ahead
    },
  })
  t.teardown(() => clocks.stop())
  return { clocks, aheadMs }
}

t.test('clocks that agree, and one node whose clock does not', async (t) => {
  const { clocks } = openWatch({ a: 20, b: -30, c: 60 * MINUTE_MS })
  t.equal(clocks.sentence, undefined, 'not asked yet')
  await clocks.look()
  t.equal(clocks.sentence, undefined)
})

t.test('a clock that is behind, more and more, and is set right', async (t) => {
  const { clocks, aheadMs } = openWatch({ a: 2 * MINUTE_MS, b: 2 * MINUTE_MS, c: undefined })
  await clocks.look()
  t.match(
    clocks.sentence,
    /^The clock here is 2\.0 min behind.*from 5 min on nothing can be written/,
  )
  aheadMs.a = aheadMs.b = 6 * MINUTE_MS
  await clocks.look()
  t.match(clocks.sentence, /6\.0 min behind.*nothing can be written here until it is right/)
  aheadMs.a = aheadMs.b = undefined
  await clocks.look()
  t.match(clocks.sentence, /6\.0 min/, 'nobody says anything else')
  aheadMs.a = 0
  await clocks.look()
  t.equal(clocks.sentence, undefined)
})

t.test('a clock that is ahead', async (t) => {
  const { clocks } = openWatch({ a: -7 * MINUTE_MS })
  await clocks.look()
  t.match(clocks.sentence, /7\.0 min ahead/)
})
