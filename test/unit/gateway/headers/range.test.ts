// Range headers, one row per rule of pitfalls 70 to 77.
import t from 'tap'
import {
  invalidRange,
  parseCopySourceRange,
  parseRange,
} from '../../../../src/gateway/headers/range.ts'

const whole = { kind: 'whole' }
const unsatisfiable = { kind: 'unsatisfiable' }
const ranges = (...pairs: [first: number, last: number][]) => ({
  kind: 'ranges',
  ranges: pairs.map(([first, last]) => ({ first, last })),
})
const range = (first: number, last: number) => ({ kind: 'range', range: { first, last } })

t.test('Range of an object of 10 bytes', async (t) => {
  const rows: [header: string | undefined, expected: object, why: string][] = [
    [undefined, whole, 'no header'],
    ['bytes=0-4', range(0, 4), 'first and last'],
    ['bytes=4-4', range(4, 4), 'one byte'],
    ['bytes=5-', range(5, 9), 'open end'],
    ['bytes=0-', range(0, 9), 'open end from the start'],
    ['Bytes=0-0', range(0, 0), 'the unit in any case'],
    ['bytes=2-99999999999999999999', range(2, 9), 'last byte is clamped (pitfall 71)'],
    ['bytes=10-', unsatisfiable, 'first byte at the end (pitfall 71)'],
    ['bytes=99999999999999999999-', unsatisfiable, 'first byte far past the end (pitfall 71)'],
    ['bytes=-3', range(7, 9), 'suffix'],
    ['bytes=-99', range(0, 9), 'longer suffix is everything, as a range (pitfall 72)'],
    ['bytes=-0', unsatisfiable, 'suffix of nothing (pitfall 72)'],
    ['bytes=9-5', whole, 'backwards is ignored (pitfall 70)'],
    ['items=0-4', whole, 'other units are ignored (pitfall 70)'],
    ['bytes=0-1,4-5', ranges([0, 1], [4, 5]), 'several ranges'],
    ['bytes=0-1 , -1,\t4-', ranges([0, 1], [9, 9], [4, 9]), 'of any kind, with white space'],
    ['bytes= -1', whole, 'white space elsewhere is ignored as nonsense (pitfall 70)'],
    ['bytes=8-9,0-99,0-0', ranges([8, 9], [0, 9], [0, 0]), 'out of order and overlapping'],
    ['bytes=0-1,10-,5-5,-0', ranges([0, 1], [5, 5]), 'those past the end are left out'],
    ['bytes=10-,3-4', range(3, 4), 'only one is left'],
    ['bytes=10-,-0,99-100', unsatisfiable, 'all past the end'],
    ['bytes=0-1,5-2', whole, 'one that is backwards spoils all (pitfall 70)'],
    ['bytes=0-1,,2-3', whole, 'nonsense between others (pitfall 70)'],
    [`bytes=${'0-0,'.repeat(64)}1-1`, whole, 'more than 64'],
    ['bytes=a-b', whole, 'nonsense is ignored (pitfall 70)'],
    ['bytes=-', whole, 'nothing on both sides is ignored (pitfall 70)'],
    ['0-4', whole, 'no unit is ignored (pitfall 70)'],
  ]
  for (const [header, expected, why] of rows) t.same(parseRange(header, 10), expected, why)
})

t.test('as many ranges as may be asked for', async (t) => {
  const header = `bytes=${Array.from({ length: 64 }, (_, at) => `${at}-${at}`).join()}`
  t.equal(parseRange(header, 100).kind, 'ranges')
  t.same(parseRange('bytes=0-1,2-3', 10, 1), whole, 'one only, as AWS (pitfall 70)')
  t.same(parseRange('bytes=-1,-2', 0), whole, 'suffixes of nothing (pitfall 72)')
})

t.test('Range of an empty object (pitfall 72)', async (t) => {
  t.same(parseRange('bytes=-5', 0), whole, 'a suffix is everything: nothing')
  t.same(parseRange('bytes=0-', 0), unsatisfiable)
  t.same(parseRange('bytes=0-8388607', 0), unsatisfiable, 'the first request of the CRT client')
  t.same(parseRange('bytes=-0', 0), unsatisfiable)
})

t.test('a range past the end says how long the object is (pitfall 71)', async (t) => {
  const error = invalidRange('bytes=10-', 10)
  t.equal(error.status, 416)
  t.same(error.elements, { RangeRequested: 'bytes=10-', ActualObjectSize: '10' })
  t.equal(error.headers['content-range'], 'bytes */10')
})

t.test('the range of a part copy has both ends inside the source (pitfall 76)', async (t) => {
  t.same(parseCopySourceRange('bytes=2-9', 10), { first: 2, last: 9 })
  t.same(parseCopySourceRange(undefined, 10), { first: 0, last: 9 })
  const outside = 'Range specified is not valid for source object of size: 10'
  t.throws(() => parseCopySourceRange('bytes=2-10', 10), {
    code: 'InvalidArgument',
    message: outside,
  })
  for (const header of ['bytes=2-', 'bytes=-3', '0-3', 'bytes=5-2', 'bytes=0-1,3-4', '']) {
    const message = /^The x-amz-copy-source-range value must be of the form bytes=first-last /
    t.throws(() => parseCopySourceRange(header, 10), { code: 'InvalidArgument', message }, header)
  }
  const message = 'The specified copy range is invalid for the source object size'
  for (const [header, bytes] of [
    ['bytes=0-0', 0],
    ['bytes=10-11', 10],
  ] as const)
    t.throws(() => parseCopySourceRange(header, bytes), { code: 'InvalidRequest', message }, header)
})
