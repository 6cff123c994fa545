// What a listing shows of an object, read from its row without making the rest of it: a page looks at a thousand rows.
// A walk over the CBOR of object-row.ts. Where it meets what cbor-x would not write there, the row is decoded as a whole.
import { asBuffer } from '../../kit/bytes.ts'
import type { Checksum, ListedObject } from '../records.ts'
import { decodeObjectRow } from './object-row.ts'

const FORMAT = 1

/** What the row of a current object shows in a listing. */
export function decodeListedRow(row: Uint8Array): ListedObject {
  return new RowWalk(asBuffer(row)).read() ?? pick(decodeObjectRow(row))
}

function pick({ modifiedMs, bytes, etag, storageClass, checksum }: ListedObject): ListedObject {
  const listed: ListedObject = { modifiedMs, bytes, etag, storageClass }
  if (checksum) listed.checksum = { algorithm: checksum.algorithm, type: checksum.type }
  return listed
}

// Major types of CBOR (RFC 8949), in the upper three bits of the first byte of an item.
const UNSIGNED = 0
const BYTES = 2
const TEXT = 3
const LIST = 4
const MAP = 5
const TAG = 6
const SIMPLE = 7
const FLOAT_64 = 27
const LENGTH_32 = 26

/** How deep items lie in each other at most: a checksum in a part in a manifest is less. */
const DEPTH_MAX = 8

class RowWalk {
  readonly #row: Buffer
  #at = 1
  /** Set by #head(): major type, the five bits below it, and the number that they stand for. */
  #major = 0
  #minor = 0
  #count = 0
  #isOdd = false

  constructor(row: Buffer) {
    this.#row = row
  }

  /** Undefined where something is not as expected. */
  read(): ListedObject | undefined {
    if (this.#row[0] !== FORMAT) return undefined
    this.#head()
    if (this.#major !== MAP) return undefined
    const listed: ListedObject = { modifiedMs: -1, bytes: -1, etag: '', storageClass: 'STANDARD' }
    for (let left = this.#count; left > 0 && !this.#isOdd; left -= 1) this.#field(listed)
    const isWhole = listed.modifiedMs >= 0 && listed.bytes >= 0 && listed.etag !== ''
    return this.#isOdd || !isWhole || this.#at !== this.#row.length ? undefined : listed
  }

  #field(listed: ListedObject): void {
    const name = this.#name()
    if (name === 't') listed.modifiedMs = this.#number()
    else if (name === 'b') listed.bytes = this.#number()
    else if (name === 'e') listed.etag = this.#etag()
    else if (name === 's') listed.storageClass = this.#text()
    else if (name === 'k') listed.checksum = this.#checksum()
    else this.#skip(0)
  }

  #head(): void {
    const first = this.#row[this.#at++]
    if (first === undefined) {
      this.#isOdd = true
      return
    }
    this.#major = first >> 5
    this.#minor = first & 31
    if (this.#minor < 24) {
      this.#count = this.#minor
      return
    }
    const width = 2 ** (this.#minor - 24)
    if (this.#minor > FLOAT_64 || this.#at + width > this.#row.length) {
      this.#isOdd = true
      return
    }
    // Eight bytes are a float in rows, or a number that is skipped.
    this.#count = this.#minor > LENGTH_32 ? 0 : this.#row.readUIntBE(this.#at, width)
    this.#at += width
  }

  /** Names have one character. */
  #name(): string {
    this.#head()
    if (this.#major !== TEXT || this.#count !== 1) this.#isOdd = true
    return String.fromCharCode(this.#row[this.#at++] ?? 0)
  }

  #number(): number {
    this.#head()
    if (this.#major === UNSIGNED && this.#minor <= LENGTH_32) return this.#count
    if (this.#major === SIMPLE && this.#minor === FLOAT_64 && !this.#isOdd)
      return this.#row.readDoubleBE(this.#at - 8)
    this.#isOdd = true
    return 0
  }

  #etag(): string {
    const from = this.#body()
    if (this.#major === BYTES) return this.#row.toString('hex', from, this.#at)
    if (this.#major !== TEXT) this.#isOdd = true
    return this.#row.toString('utf8', from, this.#at)
  }

  #text(): string {
    const from = this.#body()
    if (this.#major !== TEXT) this.#isOdd = true
    return this.#row.toString('utf8', from, this.#at)
  }

  /** Of three: the value is not shown. */
  #checksum(): Pick<Checksum, 'algorithm' | 'type'> {
    this.#head()
    if (this.#major !== LIST || this.#count !== 3) this.#isOdd = true
    const [algorithm, type] = [this.#text(), this.#text()]
    this.#skip(0)
    return { algorithm, type } as Pick<Checksum, 'algorithm' | 'type'>
  }

  /** Past text or bytes; gives where they begin. */
  #body(): number {
    this.#head()
    const from = this.#at
    this.#at += this.#count
    if (this.#minor > LENGTH_32 || this.#at > this.#row.length) this.#isOdd = true
    return from
  }

  #skip(depth: number): void {
    this.#head()
    const isLong = this.#minor > LENGTH_32 && this.#major !== SIMPLE && this.#major > 1
    if (this.#isOdd || isLong || depth > DEPTH_MAX) {
      this.#isOdd = true
      return
    }
    if (this.#major === BYTES || this.#major === TEXT) this.#at += this.#count
    else if (this.#major === LIST || this.#major === MAP) {
      const items = this.#major === MAP ? 2 * this.#count : this.#count
      for (let left = items; left > 0 && !this.#isOdd; left -= 1) this.#skip(depth + 1)
    } else if (this.#major === TAG) this.#isOdd = true
  }
}
