// Stripe arithmetic against a slow twin that counts bytes one by one.
import fc from 'fast-check'
import t from 'tap'
import { MatrixId } from '../../../src/kit/erasure-code.ts'
import type { ByteRange } from '../../../src/objects/object-store.ts'
import {
  type BlobLayout,
  type CellRun,
  cellBytesOf,
  layoutBlob,
  runsAround,
  type StripeSlice,
  sliceOf,
  slotsOf,
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
      const code = { dataCount, parityCount: 2, matrix: MatrixId.CentredVandermonde }
      const slices = slicesOf(one, other, dataCount)
      const wanted = slices.flatMap((slice) =>
        slotsOf(slice).map((slot) => `${slot}/${slice.stripe}`),
      )
      const runs = runsAround(slices, code, new Set())
      return wanted.sort().join() === cellsOf(runs!).sort().join()
    }),
  )
  t.pass()
})

t.test('where a cell is lost there are as many of its stripe as make it again', async (t) => {
  const slots = fc.uniqueArray(fc.nat(7), { maxLength: 4 })
  const range = fc.tuple(fc.nat(9999), fc.nat(9999), fc.integer({ min: 1, max: 5 }), slots)
  fc.assert(
    fc.property(range, ([one, other, dataCount, lostSlots]) => {
      const code = { dataCount, parityCount: 2, matrix: MatrixId.CentredVandermonde }
      const slices = slicesOf(one, other, dataCount)
      const lost = new Set(lostSlots)
      const left = Array.from({ length: dataCount + 2 }, (_, slot) => slot).filter(
        (slot) => !lost.has(slot),
      )
      const runs = runsAround(slices, code, lost)
      const isHurt = slices.some((slice) => slotsOf(slice).some((slot) => lost.has(slot)))
      if (isHurt && left.length < dataCount) return runs === undefined
      const cells = cellsOf(runs!)
      return slices.every((slice) => {
        const there = cells.filter((cell) => cell.endsWith(`/${slice.stripe}`))
        const isThere = (slot: number): boolean => there.includes(`${slot}/${slice.stripe}`)
        const wanted = slotsOf(slice)
        const isUnasked = !cells.some((cell) => lost.has(Number(cell.split('/')[0])))
        return isUnasked && (wanted.every(isThere) || there.length >= dataCount)
      })
    }),
  )
  t.pass()
})

/** The slices, in order, that make up `range` (inside the blob). */
function sliceRange(layout: BlobLayout, range: ByteRange): StripeSlice[] {
  const full = layout.dataCount * layout.cellBytes
  const first = Math.floor(range.first / full)
  const count = Math.floor(range.last / full) - first + 1
  return Array.from({ length: count }, (_, at) => sliceOf(layout, range, first + at))
}

function slicesOf(one: number, other: number, dataCount: number): StripeSlice[] {
  const layout = layoutBlob(10_000, { dataCount }, 512)
  return sliceRange(layout, { first: Math.min(one, other), last: Math.max(one, other) })
}

function cellsOf(runs: readonly CellRun[]): string[] {
  return runs.flatMap(({ slot, first, count }) =>
    Array.from({ length: count }, (_, at) => `${slot}/${first + at}`),
  )
}
