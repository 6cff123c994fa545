// Quantiles against all latencies in order, and sums of several counts.
import t from 'tap'
import { Latencies } from '../../../src/load/latencies.ts'
import { Seeded } from '../../support/seeded.ts'

t.test('quantiles are right to 1 part in 16', async (t) => {
  const random = new Seeded(11)
  const [left, right] = [new Latencies(), new Latencies()]
  const all: number[] = []
  for (let count = 0; count < 5_000; count += 1) {
    const ms = 2 ** (random.below(16_000) / 1_000) / 100
    all.push(ms)
    ;(count % 3 === 0 ? left : right).note(ms)
  }
  const sum = new Latencies(left.counts())
  sum.add(right.counts())
  all.sort((one, other) => one - other)
  for (const share of [0.01, 0.5, 0.9, 0.99, 0.999]) {
    const actual = all[Math.ceil(share * all.length) - 1]!
    const ratio = sum.quantileMs(share) / actual
    t.ok(ratio >= 1 / 1.05 && ratio <= 1.05, `${share}: ${ratio}`)
  }
  t.equal(sum.quantileMs(1), all.at(-1))
})

t.test('nothing and what is out of all bounds', async (t) => {
  t.equal(new Latencies().quantileMs(0.99), 0)
  const extreme = new Latencies()
  for (const ms of [0, 1e-9, 1e9]) extreme.note(ms)
  t.equal(extreme.quantileMs(1), 1e9)
})
