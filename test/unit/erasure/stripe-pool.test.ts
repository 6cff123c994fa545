// The pool: stripes that do not overlap, in order of asking, from memory that never grows.
import t from 'tap'
import {
  type Stripe,
  StripePool,
  type StripePoolOptions,
} from '../../../src/erasure/stripe-pool.ts'

const CELL_BYTES = 1024
const STRIPE_BYTES = 3 * (CELL_BYTES + 192)

function newPool(stripes: number, options: Partial<StripePoolOptions> = {}): StripePool {
  const poolBytes = stripes * STRIPE_BYTES
  return new StripePool({ maxShards: 3, cellBytes: CELL_BYTES, poolBytes, ...options })
}

t.test('cells are apart from each other, aligned, and all in one memory', async (t) => {
  const pool = newPool(4)
  const stripes = await Promise.all([1, 2, 3, 4].map(() => pool.acquire()))
  const cells = stripes.flatMap((stripe) => stripe.cells)
  const starts = cells.map((cell) => cell.byteOffset).sort((left, right) => left - right)
  t.equal(cells.length, 12)
  t.ok(cells.every((cell) => cell.buffer === pool.memory.buffer && cell.length === CELL_BYTES))
  t.ok(starts.every((start) => start % 64 === 0))
  t.ok(starts.every((start, index) => index === 0 || start - starts[index - 1]! >= CELL_BYTES))
  t.equal(pool.freeStripes, 0)
})

t.test('who comes first is served first', async (t) => {
  const pool = newPool(1)
  const held = await pool.acquire()
  const order: string[] = []
  const wait = async (name: string): Promise<void> => {
    const stripe = await pool.acquire()
    order.push(name)
    stripe.release()
  }
  const waits = [wait('a'), wait('b'), wait('c')]
  t.same(order, [])
  held.release()
  await Promise.all(waits)
  t.same(order, ['a', 'b', 'c'])
})

t.test('who stops waiting leaves the queue', async (t) => {
  const pool = newPool(1)
  const held = await pool.acquire()
  const abort = new AbortController()
  const first = pool.acquire(abort.signal)
  const second = pool.acquire()
  abort.abort(new Error('gone'))
  await t.rejects(first, { message: 'gone' })
  held.release()
  t.ok(pool.holds(await second))
})

t.test('the memory used last is used first', async (t) => {
  const pool = newPool(10)
  const offsets = new Set<number>()
  for (let round = 0; round < 20; round += 1) {
    const [one, other] = [await pool.acquire(), await pool.acquire()]
    offsets.add(one.cells[0]!.byteOffset).add(other.cells[0]!.byteOffset)
    one.release()
    other.release()
  }
  t.equal(offsets.size, 2)
})

t.test('a stripe is held until its release, by its own pool, and released once', async (t) => {
  const pool = newPool(2)
  const first = await pool.acquire()
  t.ok(pool.holds(first))
  t.notOk(newPool(1).holds(first))
  first.release()
  const second = await pool.acquire()
  t.equal(second.cells, first.cells, 'the same room')
  t.notOk(pool.holds(first))
  t.throws(() => first.release(), { name: 'AssertionFailed' })
  t.notOk(pool.holds({ cells: second.cells, release: () => {} } satisfies Stripe))
})

t.test('a large pool costs nothing before it is used', async (t) => {
  const before = process.memoryUsage.rss()
  const pool = newPool(1, { poolBytes: 1024 * 1024 * 1024 })
  const stripe = await pool.acquire()
  stripe.cells[0]!.fill(1)
  t.ok(process.memoryUsage.rss() - before < 256 * 1024 * 1024)
})

t.test('sizes that make no pool are refused', async (t) => {
  t.throws(() => newPool(0), { name: 'AssertionFailed' })
  t.throws(() => newPool(1, { maxShards: 0 }), { name: 'AssertionFailed' })
  t.throws(() => newPool(1, { cellBytes: 0 }), { name: 'AssertionFailed' })
  t.throws(() => newPool(1, { poolBytes: 2 ** 32 }), { name: 'AssertionFailed' })
})
