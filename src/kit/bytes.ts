// Units of size and small questions about byte arrays.
import { assert } from './assert.ts'

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `count` KiB in bytes. */
export function kibibytes(count: number): number {
  return count * 1024
}

/** `count` MiB in bytes. */
export function mebibytes(count: number): number {
  return count * 1024 * 1024
}

/** `count` GiB in bytes. */
export function gibibytes(count: number): number {
  return count * 1024 ** 3
}

/** The smallest multiple of `unit` that is not below `value`. */
export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}

/** The same memory as a Buffer: no copy, and nothing new where it is one. */
export function asBuffer(bytes: Uint8Array): Buffer {
  if (bytes instanceof Buffer) return bytes
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * Copies `source` to byte `at` of memory that threads share. set() copies such memory byte by byte where the two are not aligned
 * alike, which takes eight times as long; fill() is a plain copy wherever they lie.
 */
export function copyToShared(source: Uint8Array, target: Uint8Array, at: number): void {
  if (source.length > 0) asBuffer(target).fill(source, at, at + source.length)
}

/** Writes a whole number as a little-endian u64, without the bigint that it would take otherwise. */
export function writeCount(target: Buffer, count: number, at: number): void {
  assert(Number.isSafeInteger(count), 'counts are whole')
  target.writeUInt32LE(count % 0x1_0000_0000, at)
  target.writeUInt32LE(Math.floor(count / 0x1_0000_0000), at + 4)
}

/** Order of bytes as LevelDB and S3 use it: negative, zero or positive. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  return Buffer.compare(left, right)
}

/** The first key after every key that begins with `prefix`; undefined when there is none (all 0xff). */
export function prefixSuccessor(prefix: Uint8Array): Uint8Array | undefined {
  let end = prefix.length
  while (end > 0 && prefix[end - 1] === 0xff) end -= 1
  if (end === 0) return undefined
  const successor = Uint8Array.from(prefix.subarray(0, end))
  successor[end - 1]! += 1
  return successor
}

/** `1.5 MiB`. */
export function showBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}

/** Bytes that are there, for who takes them as they come; of no bytes no chunk. */
export async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes
}
