// Rests of loops in the background: they last, and end with everything else.
import t from 'tap'
import { Rests } from '../../../src/kit/rests.ts'
import { realWorld, stayAlive } from '../../../src/kit/world.ts'

t.test('rests last, until everything stops', async (t) => {
  const rests = new Rests(realWorld().clock)
  t.equal(await stayAlive(rests.rest(1)), true)
  await stayAlive(rests.restOrThrow(1))
  const long = rests.rest(3_600_000)
  const other = t.rejects(rests.restOrThrow(3_600_000), /closing/)
  rests.stop()
  t.equal(await long, false)
  await other
  t.equal(await rests.rest(1), false, 'nor is there another')
  t.equal(rests.isOver, true)
})

t.test('a clock that fails is no end', async (t) => {
  const rests = new Rests({ sleep: () => Promise.reject(new Error('no clock')) })
  await t.rejects(rests.rest(1), /no clock/)
})
