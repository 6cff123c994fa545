// Stripe arithmetic against a slow twin that counts bytes one by one.
import fc from 'fast-check'
import t from 'tap'
import {
  cellBytesOf,
  layoutBlob,
  runsOf,
  sliceRange,
  stripeBytesOf,
} from '../../../src/objects/stripe.ts'

t.test(
  'every byte of a blob lies in exactly one cell, and shards are as long as their cells',
  async (t) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 1, max: 6 }),
        (bytes, dataCount) => {
          const layout = layoutBlob(bytes, { dataCount }, 1024)
          let total = 0
          let shard = 0
          for (let index = 0; index < layout.stripeCount; index += 1) {
            total += stripeBytesOf(layout, index)
            shard += cellBytesOf(layout, index)
            if (stripeBytesOf(layout, index) > dataCount * cellBytesOf(layout, index)) return false
          }
          return total === bytes && shard === layout.shardBytes && layout.lastCellBytes <= 1024
        },
      ),
    )
    t.pass()
  },
)

t.test('cells of a code are whole blocks, copies are kept to the byte', async (t) => {
  t.equal(layoutBlob(1, { dataCount: 4 }).lastCellBytes, 128)
  t.equal(layoutBlob(1, { dataCount: 1 }).lastCellBytes, 1)
  t.equal(layoutBlob(128 * 1024, { dataCount: 1 }).stripeCount, 1)
  t.equal(layoutBlob(512 * 1024 + 1, { dataCount: 4 }).stripeCount, 2)
})

t.test('the slices of a range are its bytes, in order', async (t) => {
  const range = fc.tuple(
    fc.nat(9999),
    fc.nat(9999),
    fc.integer({ min: 1, max: 10_000 }),
    fc.integer({ min: 1, max: 5 }),
  )
  fc.assert(
    fc.property(range, ([one, other, bytes, dataCount]) => {
      const first = Math.min(one, other) % bytes
      const last = Math.max(first, Math.max(one, other) % bytes)
      const layout = layoutBlob(bytes, { dataCount }, 512)
      let next = first
      for (const slice of sliceRange(layout, { first, last })) {
        const start = slice.stripe * dataCount * 512
        const cell = cellBytesOf(layout, slice.stripe)
        if (start + slice.from !== next || slice.to <= slice.from) return false
        if (slice.firstCell * cell > slice.from || (slice.lastCell + 1) * cell < slice.to)
          return false
        next = start + slice.to
      }
      return next === last + 1
    }),
  )
  t.pass()
})

t.test('runs have every cell that the slices of a range want, once, and no other', async (t) => {
  const range = fc.tuple(fc.nat(9999), fc.nat(9999), fc.integer({ min: 1, max: 5 }))
  fc.assert(
    fc.property(range, ([one, other, dataCount]) => {
      const layout = layoutBlob(10_000, { dataCount }, 512)
      const asked = { first: Math.min(one, other), last: Math.max(one, other) }
      const slices = [...sliceRange(layout, asked)]
      const wanted = slices.flatMap(({ stripe, firstCell, lastCell }) =>
        Array.from({ length: lastCell - firstCell + 1 }, (_, at) => `${firstCell + at}/${stripe}`),
      )
      const cells = runsOf(slices).flatMap(({ slot, first, count }) =>
        Array.from({ length: count }, (_, at) => `${slot}/${first + at}`),
      )
      return wanted.sort().join() === cells.sort().join()
    }),
  )
  t.pass()
})
