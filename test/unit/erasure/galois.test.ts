// The field, checked against multiplication done bit by bit.
import t from 'tap'
import { inverse, multiply, powerOfTwo } from '../../../src/erasure/galois.ts'

t.test('products are those of polynomials modulo 0x11d', async (t) => {
  const wrong: string[] = []
  for (let left = 0; left < 256; left += 1) {
    for (let right = 0; right < 256; right += 1) {
      if (multiply(left, right) !== multiplyBits(left, right)) wrong.push(`${left} * ${right}`)
    }
  }
  t.same(wrong, [])
})

t.test('every element but 0 has an inverse and is a power of 2', async (t) => {
  const powers = new Set<number>()
  for (let value = 1; value < 256; value += 1) {
    if (multiply(value, inverse(value)) !== 1) t.fail(`inverse of ${value}`)
    powers.add(powerOfTwo(value))
  }
  t.equal(powers.size, 255)
  t.throws(() => inverse(0), { name: 'AssertionFailed' })
})

t.test('powers of 2 take any exponent', async (t) => {
  t.equal(powerOfTwo(0), 1)
  t.equal(powerOfTwo(8), 0x1d)
  t.equal(powerOfTwo(255 * 3 + 1), 2)
  t.equal(multiply(powerOfTwo(-7), powerOfTwo(7)), 1)
})

function multiplyBits(left: number, right: number): number {
  let product = 0
  for (let bit = 7; bit >= 0; bit -= 1) {
    product <<= 1
    if (product & 0x100) product ^= 0x11d
    if ((right >> bit) & 1) product ^= left
  }
  return product
}
