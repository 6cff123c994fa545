// The order of texts is that of their bytes, beyond the BMP too.
import { equal } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { compareAsUtf8 } from '../../../src/kit/utf8-order.ts'

const text = fc
  .array(
    fc.constantFrom('a', 'b', '\u00ff', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'),
    {
      maxLength: 6,
    },
  )
  .map((characters) => characters.join(''))

t.test('two texts are ordered as their bytes are', async () => {
  fc.assert(
    fc.property(text, text, (left, right) => {
      const wanted = Buffer.compare(Buffer.from(left), Buffer.from(right))
      equal(Math.sign(compareAsUtf8(left, right)), wanted)
    }),
    { seed: 20_261_122, numRuns: 5000 },
  )
})
