// Reads answers of HTTP/1.1 off a connection that is kept: status, length, end. It knows as little of HTTP as servers of S3
// use towards their clients (RFC 9112), for what it costs is taken from the server that is measured.

/** One answer. */
export interface Answer {
  status: number
  /** As it stands in the head, quotes and all; empty without one. */
  etag: string
  /** Bytes of the body. */
  bytes: number
  /** The body, where it was wanted, and that of an error. */
  body: Buffer | undefined
  /** Whether the server closes the connection after it. */
  closes: boolean
}

/** What is asked of the next answer. */
export interface Expected {
  /** An answer to HEAD has a length and no body. */
  isHead: boolean
  keepsBody: boolean
}

/** A head or a line that is longer is no answer of S3. */
const HEAD_BYTES_MAX = 64 * 1024

/** What is kept whole is a page of a listing, or an error. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024

const END_OF_HEAD = Buffer.from('\r\n\r\n')

const END_OF_LINE = Buffer.from('\r\n')

const NOTHING = Buffer.alloc(0)

type State = 'head' | 'body' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'whole'

/** Takes bytes as they come and tells when an answer is whole. Throws Error on what is no HTTP. */
export class AnswerReader {
  #state: State = 'whole'
  /** A head or a line as far as it came. */
  #begun: Buffer = NOTHING
  #isHead = false
  #keepsBody = false
  #kept: Buffer[] = []
  #status = 0
  #closes = false
  #etag = ''
  #bytes = 0
  /** Bytes that are still to come of the body or of the chunk. */
  #left = 0

  /** A request was sent: what is left of an answer that was broken off is forgotten. */
  expect({ isHead, keepsBody }: Expected): void {
    this.#state = 'head'
    this.#isHead = isHead
    this.#keepsBody = keepsBody
    this.#begun = NOTHING
    this.#kept = []
    this.#bytes = 0
  }

  /** Takes what came; returns the answer once it is whole. */
  take(bytes: Buffer): Answer | undefined {
    let rest = this.#begun.length > 0 ? Buffer.concat([this.#begun, bytes]) : bytes
    this.#begun = NOTHING
    while (rest.length > 0) {
      if (this.#state === 'whole') throw new Error('bytes came that nobody asked for')
      const isOfBody = this.#state === 'body' || this.#state === 'chunk'
      rest = isOfBody ? this.#takeBody(rest) : this.#takeText(rest)
    }
    return this.#state === 'whole' ? this.#answer() : undefined
  }

  #answer(): Answer {
    const keeps = this.#keepsBody || this.#status >= 400
    const body = keeps ? Buffer.concat(this.#kept) : undefined
    return {
      status: this.#status,
      etag: this.#etag,
      bytes: this.#bytes,
      body,
      closes: this.#closes,
    }
  }

  /** Bytes of the body; returns what is left after them. */
  #takeBody(bytes: Buffer): Buffer {
    const taken = bytes.length <= this.#left ? bytes : bytes.subarray(0, this.#left)
    this.#left -= taken.length
    this.#bytes += taken.length
    if (this.#keepsBody || this.#status >= 400) {
      if (this.#bytes > KEPT_BYTES_MAX) throw new Error('an answer is too long')
      // What a socket gave is used again for what comes next.
      this.#kept.push(Buffer.from(taken))
    }
    if (this.#left === 0) this.#state = this.#state === 'body' ? 'whole' : 'chunk-end'
    return bytes.subarray(taken.length)
  }

  /** A head or a line; returns what is left after it. */
  #takeText(bytes: Buffer): Buffer {
    const mark = this.#state === 'head' ? END_OF_HEAD : END_OF_LINE
    const end = bytes.indexOf(mark)
    if (end < 0) {
      if (bytes.length > HEAD_BYTES_MAX) throw new Error('a head is too long')
      this.#begun = Buffer.from(bytes)
      return NOTHING
    }
    const text = bytes.toString('latin1', 0, end)
    if (this.#state === 'head') this.#readHead(text)
    else this.#readLine(text)
    return bytes.subarray(end + mark.length)
  }

  #readHead(head: string): void {
    const status = Number(head.slice(9, 12))
    if (!head.startsWith('HTTP/1.1 ') || !(status >= 100)) throw new Error('no answer of HTTP/1.1')
    // 100 Continue and its like: the answer is still to come.
    if (status < 200) return
    this.#status = status
    this.#etag = /\r\netag: *(\S+)/i.exec(head)?.[1] ?? ''
    this.#closes = /\r\nconnection: *close/i.test(head)
    if (this.#isHead || status === 204 || status === 304) this.#state = 'whole'
    else if (/\r\ntransfer-encoding: *chunked/i.test(head)) this.#state = 'chunk-size'
    else {
      const [, length] = /\r\ncontent-length: *(\d+)/i.exec(head) ?? []
      if (length === undefined) throw new Error('an answer without a length')
      this.#left = Number(length)
      this.#state = this.#left === 0 ? 'whole' : 'body'
    }
  }

  #readLine(line: string): void {
    if (this.#state === 'chunk-end') this.#state = 'chunk-size'
    else if (this.#state === 'chunk-size') {
      this.#left = Number.parseInt(line, 16)
      if (!(this.#left >= 0)) throw new Error('a chunk without a length')
      this.#state = this.#left === 0 ? 'trailers' : 'chunk'
    } else if (line === '') this.#state = 'whole'
  }
}
