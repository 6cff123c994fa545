// Which way is preferred, by what ways cost.
import t from 'tap'
import { FasterWay, type Way } from '../../../src/kit/faster-way.ts'

/** How often each way was gone, of so many times. */
function go(faster: FasterWay, costs: readonly [number, number], times: number): [number, number] {
  const gone: [number, number] = [0, 0]
  for (let time = 0; time < times; time += 1) {
    const way: Way = faster.choose()
    gone[way] += 1
    faster.note(way, costs[way])
  }
  return gone
}

t.test(
  'both are tried, then the cheaper one is gone, and the other one again now and then',
  async (t) => {
    for (const [costs, better] of [
      [[1, 2], 0],
      [[2, 1], 1],
    ] as const) {
      const faster = new FasterWay()
      t.same(go(faster, costs, 32), [16, 16])
      const gone = go(faster, costs, 320)
      t.equal(gone[better], 310)
    }
  },
)

t.test('what becomes cheaper is preferred then', async (t) => {
  const faster = new FasterWay()
  go(faster, [1, 2], 100)
  go(faster, [1, 0.5], 1000)
  t.equal(go(faster, [1, 0.5], 320)[1], 310)
})

t.test('once is no custom: what came between counts for little', async (t) => {
  const faster = new FasterWay()
  go(faster, [1, 1.5], 64)
  faster.note(0, 1_000_000)
  t.equal(go(faster, [1, 1.5], 320)[0], 310)
})
