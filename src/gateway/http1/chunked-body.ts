// A body in chunks (RFC 9112 section 7.1), in however many parts its bytes come. Extensions and trailers are checked,
// bounded and forgotten: nothing of S3 stands in them.
import { kibibytes } from '../../kit/bytes.ts'
import { badSyntax } from './bad-message.ts'
import { CR, IS_VALUE, LF, readFieldLines } from './field-lines.ts'

/** Extensions of all chunks together. */
const EXTENSION_BYTES_MAX = kibibytes(16)
const TRAILER_BYTES_MAX = kibibytes(16)
/** 2^52 - 1 bytes. */
const SIZE_DIGITS_MAX = 13

const SEMICOLON = 59

type State = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailer' | 'done'

/** Decodes one body. */
export class ChunkedBody {
  #state: State = 'size'
  #digits = 0
  /** Of the chunk, as far as it is known; then what is left of it. */
  #bytesLeft = 0
  #extensionBytes = 0
  #trailer: number[] = []

  get isDone(): boolean {
    return this.#state === 'done'
  }

  /**
   * Decodes from `start` up to `end`, or to the end of the body. Returns where it stopped; the data goes to `target` from its
   * beginning, which has room for as many bytes as are given. Throws BadMessage.
   */
  decode(bytes: Uint8Array, start: number, end: number, target: Uint8Array): Decoded {
    let at = start
    let filled = 0
    while (at < end && this.#state !== 'done') {
      if (this.#state === 'data') {
        const count = Math.min(this.#bytesLeft, end - at)
        target.set(bytes.subarray(at, at + count), filled)
        filled += count
        at += count
        this.#bytesLeft -= count
        if (this.#bytesLeft === 0) this.#state = 'data-cr'
      } else {
        this.#step(bytes[at]!)
        at += 1
      }
    }
    return { at, dataBytes: filled }
  }

  #step(byte: number): void {
    switch (this.#state) {
      case 'size':
        this.#readSize(byte)
        return
      case 'extension':
        this.#readExtension(byte)
        return
      case 'size-lf':
        if (byte !== LF) throw badSyntax('no end of the size of a chunk')
        this.#state = this.#bytesLeft === 0 ? 'trailer' : 'data'
        this.#digits = 0
        return
      case 'data-cr':
        if (byte !== CR) throw badSyntax('a chunk is longer than it says')
        this.#state = 'data-lf'
        return
      case 'data-lf':
        if (byte !== LF) throw badSyntax('a chunk is longer than it says')
        this.#state = 'size'
        return
      default:
        this.#readTrailer(byte)
    }
  }

  #readSize(byte: number): void {
    const digit = hexDigit(byte)
    if (digit >= 0) {
      this.#digits += 1
      if (this.#digits > SIZE_DIGITS_MAX) throw badSyntax('a chunk is too long')
      this.#bytesLeft = this.#bytesLeft * 16 + digit
      return
    }
    if (this.#digits === 0) throw badSyntax('a chunk without a size')
    if (byte === CR) this.#state = 'size-lf'
    else if (byte === SEMICOLON) this.#state = 'extension'
    else throw badSyntax('no size of a chunk')
  }

  #readExtension(byte: number): void {
    this.#extensionBytes += 1
    if (this.#extensionBytes > EXTENSION_BYTES_MAX) throw badSyntax('too many extensions')
    if (byte === CR) this.#state = 'size-lf'
    else if (IS_VALUE[byte] !== 1) throw badSyntax('no extension of a chunk')
  }

  #readTrailer(byte: number): void {
    const trailer = this.#trailer
    trailer.push(byte)
    if (trailer.length > TRAILER_BYTES_MAX) throw badSyntax('the trailers are too long')
    if (byte !== LF) return
    const length = trailer.length
    if (trailer[length - 2] !== CR) throw badSyntax('a line ends in LF alone')
    if (length > 2 && trailer[length - 3] !== LF) return
    readFieldLines(Uint8Array.from(trailer), 0, length - 2, () => {})
    this.#trailer = []
    this.#state = 'done'
  }
}

/** What decode() did. */
export interface Decoded {
  at: number
  dataBytes: number
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}
