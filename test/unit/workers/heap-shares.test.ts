// What each of several workers may let grow.
import t from 'tap'
import { shareHeap } from '../../../src/workers/heap-shares.ts'

t.test('together they have what one has', async (t) => {
  const flags = ['--initial-old-space-size=80', '--heap-growing-percent=150', '--no-warnings']
  t.same(shareHeap(flags, 1), ['--max-semi-space-size=16', ...flags])
  t.same(shareHeap(flags, 3), [
    '--max-semi-space-size=5',
    '--initial-old-space-size=27',
    ...flags.slice(1),
  ])
  t.same(shareHeap(flags, 64)[0], '--max-semi-space-size=2')
  t.same(shareHeap([], 4), ['--max-semi-space-size=4'])
})

t.test('what the user says comes last', async (t) => {
  t.same(shareHeap(['--max-semi-space-size=64'], 2).at(-1), '--max-semi-space-size=64')
})
