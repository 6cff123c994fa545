// Decodes aws-chunked bodies: `size[;chunk-signature=…]` CRLF, bytes, CRLF, …, `0`, trailers.
// It takes bytes as they come off the socket, cut anywhere, and keeps none but an unfinished line.
import { S3Error } from '../s3-error.ts'

/** Longest line of framing: a size and a signature need 100 bytes. */
const CHUNK_LINE_BYTES_MAX = 1024
/** All trailers together. */
const TRAILER_BYTES_MAX = 8 * 1024
/** What AWS wants of every chunk but the last (pitfall 26). */
const STRICT_CHUNK_BYTES_MIN = 8192

const LINE_FEED = 0x0a

/** Checks the signatures of a body that was signed chunk by chunk: auth/chunk-chain.ts. */
export interface ChunkVerifier {
  update(bytes: Uint8Array): void
  verifyChunk(signature: string | undefined): void
  verifyTrailers(trailers: string, signature: string | undefined): void
}

/** What is known of a body before its first byte. */
export interface AwsChunkedOptions {
  /** Length after decoding, as the client announced it. */
  bytes: number
  /** Whether trailers may follow the last chunk. */
  trailers: boolean
  /** Undefined when the chunks are not signed. */
  verifier: ChunkVerifier | undefined
  /** Whether small chunks are refused, as AWS does. */
  strict: boolean
}

/** Where the decoder stands. */
type State = 'chunk-line' | 'data' | 'after-data' | 'trailers' | 'done'

/** One body. push() what arrives, pass on what it returns, then end(). Throws S3Error. */
export class AwsChunkedDecoder {
  /** Trailers by lower-case name; complete after end(). */
  readonly trailers = new Map<string, string>()
  readonly #options: AwsChunkedOptions
  #state: State = 'chunk-line'
  #line = ''
  #leftInChunk = 0
  #chunkCount = 0
  #chunkBytes = 0
  #left: number
  #signature: string | undefined
  #trailerSignature: string | undefined
  #trailerBytes = 0

  constructor(options: AwsChunkedOptions) {
    this.#options = options
    this.#left = options.bytes
  }

  /** The payload in `bytes`, as views on them. */
  push(bytes: Uint8Array): Uint8Array[] {
    const payload: Uint8Array[] = []
    let at = 0
    while (at < bytes.length) {
      at = this.#state === 'data' ? this.#takeData(bytes, at, payload) : this.#takeLine(bytes, at)
    }
    return payload
  }

  /** To be called when the body has ended: throws unless it was whole and its signatures hold. */
  end(): void {
    if (this.#line !== '') throw this.#state === 'trailers' ? malformedTrailer() : malformedChunk()
    if (this.#state === 'trailers') this.#endTrailers()
    if (this.#state !== 'done' || this.#left !== 0) throw new S3Error('IncompleteBody')
  }

  #takeData(bytes: Uint8Array, at: number, payload: Uint8Array[]): number {
    const end = Math.min(bytes.length, at + this.#leftInChunk)
    const data = bytes.subarray(at, end)
    payload.push(data)
    this.#options.verifier?.update(data)
    this.#leftInChunk -= data.length
    this.#left -= data.length
    if (this.#leftInChunk === 0) {
      this.#options.verifier?.verifyChunk(this.#signature)
      this.#state = 'after-data'
    }
    return end
  }

  #takeLine(bytes: Uint8Array, at: number): number {
    const feed = bytes.indexOf(LINE_FEED, at)
    const end = feed < 0 ? bytes.length : feed
    if (this.#line.length + end - at > CHUNK_LINE_BYTES_MAX) throw this.#lineTooLong()
    this.#line += Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('latin1')
    if (feed < 0) return end
    const line = this.#line.endsWith('\r') ? this.#line.slice(0, -1) : this.#line
    this.#line = ''
    this.#readLine(line)
    return feed + 1
  }

  #lineTooLong(): S3Error {
    return this.#state === 'trailers' ? malformedTrailer() : malformedChunk()
  }

  #readLine(line: string): void {
    if (this.#state === 'chunk-line') this.#readChunkLine(line)
    else if (this.#state === 'trailers') this.#readTrailer(line)
    // After data and after the end only empty lines may stand.
    else if (line !== '') throw malformedChunk()
    else if (this.#state === 'after-data') this.#state = 'chunk-line'
  }

  #readChunkLine(line: string): void {
    const [, size = '', extension = ''] = /^([0-9a-fA-F]{1,13})[ \t]*(;.*)?$/.exec(line) ?? []
    if (size === '') throw malformedChunk()
    this.#signature = /;[ \t]*chunk-signature=([0-9a-f]{64})[ \t]*(;|$)/.exec(extension)?.[1]
    const bytes = Number.parseInt(size, 16)
    if (bytes > this.#left) throw new S3Error('IncompleteBody')
    if (bytes > 0) {
      this.#beginChunk(bytes)
      return
    }
    this.#options.verifier?.verifyChunk(this.#signature)
    this.#state = 'trailers'
  }

  /** Another chunk of data begins, so the one before it was not the last. */
  #beginChunk(bytes: number): void {
    const tooSmall = this.#chunkCount > 0 && this.#chunkBytes < STRICT_CHUNK_BYTES_MIN
    if (tooSmall && this.#options.strict) {
      const elements = { Chunk: String(this.#chunkCount), BadChunkSize: String(this.#chunkBytes) }
      throw new S3Error('InvalidChunkSizeError', elements)
    }
    this.#chunkCount += 1
    this.#chunkBytes = bytes
    this.#leftInChunk = bytes
    this.#state = 'data'
  }

  #readTrailer(line: string): void {
    if (line === '') {
      // minio-go puts an empty line between the trailers and their signature.
      if (!this.#awaitsSignature()) this.#endTrailers()
      return
    }
    this.#trailerBytes += line.length
    const colon = line.indexOf(':')
    if (!this.#options.trailers || colon <= 0 || this.#trailerBytes > TRAILER_BYTES_MAX) {
      throw malformedTrailer()
    }
    const name = trimBlanks(line.slice(0, colon)).toLowerCase()
    const value = trimBlanks(line.slice(colon + 1))
    if (name === 'x-amz-trailer-signature') this.#trailerSignature = value
    else if (this.trailers.has(name)) throw malformedTrailer()
    else this.trailers.set(name, value)
  }

  #awaitsSignature(): boolean {
    const { verifier, trailers } = this.#options
    return verifier !== undefined && trailers && this.#trailerSignature === undefined
  }

  #endTrailers(): void {
    if (this.#awaitsSignature()) throw malformedTrailer()
    const { verifier, trailers } = this.#options
    if (trailers && verifier !== undefined) {
      const lines = [...this.trailers].map(([name, value]) => `${name}:${value}\n`)
      verifier.verifyTrailers(lines.join(''), this.#trailerSignature)
    }
    this.#state = 'done'
  }
}

/** Not trim(): it would take a byte 0xa0, which ends many a UTF-8 character, for a space. */
function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text[start])) start += 1
  while (end > start && isBlank(text[end - 1])) end -= 1
  return text.slice(start, end)
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}

function malformedChunk(): S3Error {
  const message = 'The chunk framing of the request body is malformed.'
  return new S3Error('IncompleteBody', {}, { message })
}

function malformedTrailer(): S3Error {
  return new S3Error('MalformedTrailerError')
}
