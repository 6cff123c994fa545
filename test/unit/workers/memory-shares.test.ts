// What each of several workers may let grow.
import t from 'tap'
import { oneArena, shareHeap } from '../../../src/workers/memory-shares.ts'

t.test('together they have what one has', async (t) => {
  const flags = ['--initial-old-space-size=80', '--heap-growing-percent=150', '--no-warnings']
  t.same(shareHeap(flags, 1), ['--max-semi-space-size=16', '--v8-pool-size=4', ...flags])
  t.same(shareHeap(flags, 3), [
    '--max-semi-space-size=5',
    '--v8-pool-size=1',
    '--initial-old-space-size=27',
    ...flags.slice(1),
  ])
  t.same(shareHeap([], 64), ['--max-semi-space-size=2', '--v8-pool-size=1'])
  t.same(shareHeap([], 2), ['--max-semi-space-size=8', '--v8-pool-size=2'])
})

t.test('what the user says comes last', async (t) => {
  t.same(shareHeap(['--max-semi-space-size=64'], 2).at(-1), '--max-semi-space-size=64')
  t.same(oneArena({ MALLOC_ARENA_MAX: '8' }), { MALLOC_ARENA_MAX: '8' })
  t.same(oneArena({}), { MALLOC_ARENA_MAX: '1' })
})
