// Numbers, names and bytes one after the other: how messages between nodes are written and read. Little-endian.
import { asBuffer } from '../../kit/bytes.ts'
import { BadMessage } from './trouble.ts'

/** Collects fields. */
export class FieldWriter {
  readonly #parts: Uint8Array[] = []

  u8(value: number): this {
    return this.raw(Uint8Array.of(value))
  }

  u16(value: number): this {
    const bytes = Buffer.allocUnsafe(2)
    bytes.writeUInt16LE(value)
    return this.raw(bytes)
  }

  u32(value: number): this {
    const bytes = Buffer.allocUnsafe(4)
    bytes.writeUInt32LE(value)
    return this.raw(bytes)
  }

  /** A whole number up to 2^53 - 1 in eight bytes. */
  u64(value: number): this {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeBigUInt64LE(BigInt(value))
    return this.raw(bytes)
  }

  /** Bytes as they are: their length is known, or they are the last field. */
  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes)
    return this
  }

  /** Bytes behind their length. */
  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes)
  }

  text(text: string): this {
    return this.bytes(Buffer.from(text))
  }

  /** All fields, in new memory. */
  end(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

/** Takes fields apart. Throws BadMessage where there are too few bytes, or too many at the end. */
export class FieldReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = asBuffer(bytes)
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#pass(1))
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.#pass(2))
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#pass(4))
  }

  u64(): number {
    const value = Number(this.#bytes.readBigUInt64LE(this.#pass(8)))
    if (!Number.isSafeInteger(value)) throw new BadMessage('a number is too large')
    return value
  }

  /** The next bytes: the same memory. */
  raw(count: number): Buffer {
    const from = this.#pass(count)
    return this.#bytes.subarray(from, from + count)
  }

  bytes(): Buffer {
    return this.raw(this.u32())
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  /** All that is left. */
  rest(): Buffer {
    return this.raw(this.#bytes.length - this.#at)
  }

  /** There must be nothing left. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new BadMessage('a message is too long')
  }

  /** Where the next `count` bytes begin. */
  #pass(count: number): number {
    const from = this.#at
    if (count > this.#bytes.length - from) throw new BadMessage('a message is cut short')
    this.#at += count
    return from
  }
}

/** What stands behind its count. Throws BadMessage where it is said to be more than `most`. */
export function readMany<Value>(
  fields: FieldReader,
  most: number,
  read: (fields: FieldReader) => Value,
): Value[] {
  const count = fields.u32()
  if (count > most) throw new BadMessage('a message has too many parts')
  return Array.from({ length: count }, () => read(fields))
}
