// How long moving takes is told of what can move, and only as long as something does.
import t from 'tap'
import { foretellMoves } from '../../../../src/storage-node/upkeep/move-forecast.ts'

t.test('at the speed of the pass', async (t) => {
  const moves = { movedBytes: 10_000, movableBytes: 50_000 }
  t.same(foretellMoves(10_000, moves), { bytesPerSecond: 1_000, leftMs: 50_000 })
  t.same(foretellMoves(1_000, moves), { bytesPerSecond: 10_000, leftMs: undefined }, 'too early')
  t.same(foretellMoves(10_000, { ...moves, movableBytes: 0 }).leftMs, 0)
})

t.test('nothing is foretold where nothing moves', async (t) => {
  const nothing = { bytesPerSecond: undefined, leftMs: undefined }
  t.same(foretellMoves(0, { movedBytes: 0, movableBytes: 5 }), nothing)
  const inVain = { bytesPerSecond: 0, leftMs: undefined }
  t.same(foretellMoves(10_000, { movedBytes: 0, movableBytes: 5 }), inVain)
})
