// Processes that serve one port have together what one alone has, and none less than a request needs.
import t from 'tap'
import { processBound, shareOf, shareProcessBounds } from '../../../src/gateway/process-bounds.ts'
import { Overloaded } from '../../../src/kit/semaphore.ts'

t.test('a share is a part, but never too little', async (t) => {
  t.equal(shareOf(256, { count: 1, least: 32 }), 256)
  t.equal(shareOf(256, { count: 3, least: 32 }), 85)
  t.equal(shareOf(256, { count: 60, least: 32 }), 32)
  t.equal(shareOf(8, { count: 2, least: 32 }), 8)
})

t.test('what others have is never free here', async (t) => {
  const some = processBound({ permits: 64, permitsMin: 4, maxWaiting: 0 })
  const few = processBound({ permits: 16, permitsMin: 8 })
  shareProcessBounds(4)
  t.same([some.free, few.free], [16, 8])
  await some.acquire(16)
  await t.rejects(some.acquire(1), Overloaded)
  some.release(16)
  t.equal(some.free, 16)
})

t.test('who serves alone shares nothing', async (t) => {
  const bound = processBound({ permits: 64, permitsMin: 4 })
  shareProcessBounds(1)
  t.equal(bound.free, 64)
})
