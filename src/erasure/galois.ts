// Arithmetic in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1 (0x11d), whose generator is 2.
// Only matrices are computed with it; bytes of objects go through the kernels.
import { assert } from '../kit/assert.ts'

const MODULUS = 0x11d

/** Every element but 0 is a power of 2; the powers repeat after 255. */
const ORDER = 255

const powers = new Uint8Array(ORDER)
const logarithms = new Uint8Array(256)
for (let exponent = 0, value = 1; exponent < ORDER; exponent += 1) {
  powers[exponent] = value
  logarithms[value] = exponent
  value = value & 0x80 ? (value << 1) ^ MODULUS : value << 1
}

/** 2 to any whole power, negative ones too. */
export function powerOfTwo(exponent: number): number {
  return powers[((exponent % ORDER) + ORDER) % ORDER]!
}

/** Product in the field. */
export function multiply(left: number, right: number): number {
  if (left === 0 || right === 0) return 0
  return powerOfTwo(logarithms[left]! + logarithms[right]!)
}

/** The element that gives 1 when multiplied with `value`. */
export function inverse(value: number): number {
  assert(value !== 0, 'zero has no inverse')
  return powerOfTwo(-logarithms[value]!)
}
