// The CRC of two byte strings in a row from the CRCs of each: how the FULL_OBJECT checksum of a
// multipart upload is known without reading its parts again.
// crc(left ++ right) = crc(left) * x^(8 * |right|) ^ crc(right), modulo the polynomial of the CRC.
import { assert } from '../kit/assert.ts'

/** The CRCs that can be combined. */
export type CrcName = 'CRC32' | 'CRC32C' | 'CRC64NVME'

/** A polynomial over GF(2) below x^width; bit width-1 is the coefficient of x^0, as these CRCs have it. */
type Polynomial = bigint

interface Field {
  width: number
  /** Without its highest term. */
  modulus: Polynomial
  /** x^(2^i) for i = 0, 1, 2, …, as far as needed up to now: at most about 56 entries. */
  squares: Polynomial[]
  /** The last length and its shift: the parts of an upload are nearly all equally long. */
  lastShift: { bytes: number; factor: Polynomial }
}

const fields: Record<CrcName, Field> = {
  CRC32: newField(32, 0xedb88320n),
  CRC32C: newField(32, 0x82f63b78n),
  CRC64NVME: newField(64, 0x9a6c9329ac4bc9b5n),
}

/** The big-endian CRC of left ++ right, where `right` is the CRC of `rightBytes` bytes. */
export function combineCrc(
  name: CrcName,
  left: Uint8Array,
  right: Uint8Array,
  rightBytes: number,
): Uint8Array {
  assert(Number.isSafeInteger(rightBytes) && rightBytes >= 0, 'a length is a whole number')
  const field = fields[name]
  const size = field.width / 8
  assert(left.length === size && right.length === size, `a ${name} has ${size} bytes`)
  const shifted = multiply(field, shiftFactor(field, rightBytes), fromBytes(left))
  return toBytes(shifted ^ fromBytes(right), size)
}

function newField(width: number, modulus: Polynomial): Field {
  const one = 1n << BigInt(width - 1)
  return { width, modulus, squares: [one >> 1n], lastShift: { bytes: 0, factor: one } }
}

/** x^(8 * bytes). */
function shiftFactor(field: Field, bytes: number): Polynomial {
  if (field.lastShift.bytes === bytes) return field.lastShift.factor
  let factor = 1n << BigInt(field.width - 1)
  let exponent = BigInt(bytes) * 8n
  for (let bit = 0; exponent > 0n; bit += 1, exponent >>= 1n) {
    if (exponent & 1n) factor = multiply(field, factor, squareAt(field, bit))
  }
  field.lastShift = { bytes, factor }
  return factor
}

function squareAt(field: Field, index: number): Polynomial {
  const { squares } = field
  while (squares.length <= index) {
    const last = squares[squares.length - 1]!
    squares.push(multiply(field, last, last))
  }
  return squares[index]!
}

function multiply(field: Field, left: Polynomial, right: Polynomial): Polynomial {
  let product = 0n
  let shifted = right
  for (let bit = 1n << BigInt(field.width - 1); bit > 0n; bit >>= 1n) {
    if (left & bit) product ^= shifted
    shifted = shifted & 1n ? (shifted >> 1n) ^ field.modulus : shifted >> 1n
  }
  return product
}

function fromBytes(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)
}

function toBytes(value: bigint, size: number): Uint8Array {
  return Buffer.from(value.toString(16).padStart(size * 2, '0'), 'hex')
}
