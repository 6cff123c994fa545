// Values come over the link as they went, whichever way they are written.
import t from 'tap'
import { readValue, writeValue } from '../../../src/store-link/values.ts'
import { Seeded, seedOfRun } from '../../support/seeded.ts'

const passed = (value: unknown): unknown => readValue(writeValue(value))

/** As V8 clones values: by prototype, key and exact value. */
const SAMPLES: readonly unknown[] = [
  ...['', 'é€😀', '\ud800 alone', '\u2028', 0, 1.5, -1, 2 ** 53, Number.MAX_VALUE, 5e-324],
  ...[true, false, null, [], {}, [[], {}], [null], { a: { b: [1, 'two', { c: null }] } }],
  ...[-0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 12n, { big: 2n ** 70n }],
  ...[[undefined], [1, undefined, 2], { left: undefined }, { deep: [{ left: undefined }] }],
  ...[Uint8Array.of(0, 255, 3), { key: Uint8Array.of(7) }, new Map([['a', 1]]), new Set([2])],
  ...[new Date(5), { toJSON: 'a name as any' }],
]

const isV8 = (value: unknown): boolean => writeValue(value)[0] === 0xff

t.test('as they went', async (t) => {
  for (const sample of SAMPLES) {
    const found = passed(sample)
    t.strictSame(found, sample)
    t.same(Object.getOwnPropertyNames(found ?? 0), Object.getOwnPropertyNames(sample ?? 0))
  }
  t.ok(Object.is(passed(-0), -0))
  const sparse: unknown[] = [1]
  sparse[2] = 3
  t.notOk(1 in (passed(sparse) as unknown[]))
  t.throws(() => writeValue({ f: () => {} }), /could not be cloned/)
  t.throws(() => writeValue([Symbol('s')]), /could not be cloned/)
})

t.test('names as any client may choose them', async (t) => {
  const named = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c","":"d"}')
  for (const value of [named, { ...named, bytes: Uint8Array.of(1) }]) {
    const found = passed(value) as object
    t.same(Object.getOwnPropertyNames(found), Object.getOwnPropertyNames(value))
    t.equal(Object.getOwnPropertyDescriptor(found, '__proto__')?.value, 'a')
    t.equal(Object.getPrototypeOf(found), Object.prototype)
  }
})

t.test('what most calls say goes as JSON', async (t) => {
  t.notOk(isV8({ name: 'put', args: [{ key: 'k', bytes: 4096, digests: { md5: 'm' } }] }))
  t.ok(isV8({ name: 'put', args: [{ key: Uint8Array.of(1) }] }))
  t.ok(isV8({ name: 'find', args: [undefined, 1] }))
})

t.test('trees of values', async (t) => {
  const random = new Seeded(seedOfRun())
  const tree = (depth: number): unknown => {
    if (depth === 0 || random.below(3) === 0) return random.pick(SAMPLES)
    const parts = Array.from({ length: random.below(4) }, () => tree(depth - 1))
    return random.below(2) === 0 ? parts : Object.fromEntries(parts.map((part, at) => [at, part]))
  }
  for (let round = 0; round < 300; round += 1) {
    const value = tree(4)
    t.strictSame(passed(value), value)
  }
})
