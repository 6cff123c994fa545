// Reads multipart/form-data as forms of S3 have it: fields, then the file, which is handed on as it comes.
// Written here because a store must know the length of a file before its first byte: it follows from that of the
// request only if it is known to the byte where in the request the file begins.
import { asBuffer, kibibytes, mebibytes } from '../../kit/bytes.ts'
import type { FormFields } from '../call.ts'
import { S3Error } from '../s3-error.ts'

/** Everything before the file, parts with their headers. AWS allows 20 KB of fields. */
const HEAD_BYTES_MAX = kibibytes(64)

const DELIMITER_START = '\r\n--'
const HEADERS_END = Buffer.from('\r\n\r\n')
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** So much of what stands after the file is taken; a client that sends more loses its connection. */
const REST_BYTES_MAX = mebibytes(8)

/** A form whose fields were read and whose file comes next. */
export interface Form {
  fields: FormFields
  /** As the browser names it, without directories; undefined when the file has none. */
  filename: string | undefined
  /** Bytes of the body before the first of the file. */
  headBytes: number
  /** Bytes after the file, when nothing but the end of the form follows. */
  tailBytes: number
  /** The file up to its delimiter; to be read once. */
  file: AsyncGenerator<Uint8Array>
  /** Takes what is left of the body, and throws it away: fields after the file do not count. */
  skipRest(): Promise<void>
  /** No more will be read. */
  close(): Promise<void>
}

/** The boundary that a Content-Type names. Throws MalformedPOSTRequest when it names none. */
export function parseBoundary(contentType: string): string {
  const [, quoted, token] = /;\s*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(contentType) ?? []
  const boundary = quoted ?? token ?? ''
  if (boundary === '' || boundary.length > 70) throw malformed()
  return boundary
}

/** Reads as far as the file. Throws when there is none, and for a form that is not well-formed. */
export async function openForm(body: AsyncIterable<Uint8Array>, boundary: string): Promise<Form> {
  const source = body[Symbol.asyncIterator]()
  const close = async (): Promise<void> => {
    await source.return?.()
  }
  try {
    const head = new FormHead(boundary)
    const start = await readHead(source, head)
    const chunks = resume(start, source)
    const delimiter = Buffer.from(DELIMITER_START + boundary)
    return {
      fields: head.fields,
      filename: head.filename,
      headBytes: head.bytes,
      tailBytes: delimiter.length + '--\r\n'.length,
      file: untilDelimiter(chunks, delimiter),
      skipRest: () => skip(chunks),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The first bytes of the file, as far as they came with what stands before it. */
async function readHead(source: AsyncIterator<Uint8Array>, head: FormHead): Promise<Uint8Array> {
  for (;;) {
    const next = await source.next()
    if (next.done === true) throw head.ended ? noFile() : malformed()
    const start = head.push(next.value)
    if (start !== undefined) return start
  }
}

async function* resume(
  first: Uint8Array,
  source: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield first
  for (;;) {
    const next = await source.next()
    if (next.done === true) return
    yield next.value
  }
}

async function skip(chunks: AsyncGenerator<Uint8Array>): Promise<void> {
  let skipped = 0
  while (skipped < REST_BYTES_MAX) {
    const next = await chunks.next()
    if (next.done === true) return
    skipped += next.value.length
  }
}

async function* untilDelimiter(
  chunks: AsyncGenerator<Uint8Array>,
  delimiter: Buffer,
): AsyncGenerator<Uint8Array> {
  let held: Buffer = Buffer.alloc(0)
  for (;;) {
    const next = await chunks.next()
    if (next.done === true) throw malformed()
    const bytes = held.length === 0 ? asBuffer(next.value) : Buffer.concat([held, next.value])
    const end = bytes.indexOf(delimiter)
    const sure = end >= 0 ? end : bytes.length - openEnd(bytes, delimiter)
    if (sure > 0) yield bytes.subarray(0, sure)
    if (end >= 0) return
    held = bytes.subarray(sure)
  }
}

/** How many bytes at the end of `bytes` may be the beginning of `delimiter`. */
function openEnd(bytes: Buffer, delimiter: Buffer): number {
  let at = bytes.indexOf('\r', Math.max(0, bytes.length - delimiter.length + 1))
  while (at >= 0) {
    const tail = bytes.subarray(at)
    if (tail.equals(delimiter.subarray(0, tail.length))) return tail.length
    at = bytes.indexOf('\r', at + 1)
  }
  return 0
}

/** What stands before the file: push() bytes until it returns those of the file. */
class FormHead {
  readonly fields: Record<string, string> = Object.create(null)
  filename: string | undefined
  /** Whether the form was closed without a file. */
  ended = false
  readonly #delimiter: Buffer
  // A line break in front: so the first delimiter is one like every other.
  readonly #held = Buffer.alloc(HEAD_BYTES_MAX)
  #filled = this.#held.write('\r\n')
  /** Everything before it is understood. */
  #at = 0
  /** Nothing that is looked for begins before it. */
  #from = 0
  /** No headers end before it: looking through them again for each byte that comes would take minutes. */
  #headersFrom = 0
  /** The field whose value comes next. */
  #name: string | undefined

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(DELIMITER_START + boundary)
  }

  /** Bytes of the request before the file. */
  get bytes(): number {
    return this.#at - 2
  }

  /** Takes what came; returns its rest once the file has begun. Throws S3Error. */
  push(bytes: Uint8Array): Uint8Array | undefined {
    if (this.ended) return undefined
    const before = this.#filled
    const taken = Math.min(bytes.length, HEAD_BYTES_MAX - before)
    this.#held.set(bytes.subarray(0, taken), before)
    this.#filled += taken
    for (;;) {
      const step = this.#name === undefined ? this.#takeHeaders() : this.#takeValue(this.#name)
      if (step === 'file') return bytes.subarray(this.#at - before)
      if (step === 'more') break
    }
    if (taken < bytes.length && !this.ended) throw new S3Error('MaxPostPreDataLengthExceededError')
    return undefined
  }

  #takeHeaders(): 'file' | 'field' | 'more' {
    const start = this.#find(this.#delimiter)
    if (start === undefined) return 'more'
    this.#from = start
    const afterDelimiter = start + this.#delimiter.length
    const end = this.#findHeadersEnd(afterDelimiter)
    const next = this.#held.toString(
      'latin1',
      afterDelimiter,
      Math.min(afterDelimiter + 2, this.#filled),
    )
    if (next === '--') this.ended = true
    if (end === undefined || this.ended) return 'more'
    if (next !== '\r\n') throw malformed()
    this.#move(end + HEADERS_END.length)
    const { name, filename } = readDisposition(this.#text(afterDelimiter, end))
    if (name === 'file') {
      this.filename = filename
      return 'file'
    }
    if (name in this.fields) throw twice(name)
    this.#name = name
    return 'field'
  }

  #takeValue(name: string): 'field' | 'more' {
    const end = this.#find(this.#delimiter)
    if (end === undefined) return 'more'
    this.fields[name] = this.#text(this.#at, end)
    this.#name = undefined
    this.#move(end)
    return 'field'
  }

  #find(wanted: Buffer): number | undefined {
    const found = this.#held.subarray(0, this.#filled).indexOf(wanted, this.#from)
    if (found >= 0) return found
    this.#from = Math.max(this.#from, this.#filled - wanted.length + 1)
    return undefined
  }

  #findHeadersEnd(afterDelimiter: number): number | undefined {
    const from = Math.max(afterDelimiter, this.#headersFrom)
    const found = this.#held.subarray(0, this.#filled).indexOf(HEADERS_END, from)
    if (found >= 0) return found
    this.#headersFrom = Math.max(from, this.#filled - HEADERS_END.length + 1)
    return undefined
  }

  #text(start: number, end: number): string {
    try {
      return utf8.decode(this.#held.subarray(start, end))
    } catch (cause) {
      throw new S3Error('MalformedPOSTRequest', {}, { cause })
    }
  }

  #move(to: number): void {
    this.#at = to
    this.#from = to
  }
}

/** Name in lower case (S3 does not tell cases apart) and file name of a part. */
function readDisposition(headers: string): { name: string; filename: string | undefined } {
  const line = /\r\ncontent-disposition:[ \t]*form-data([^\r\n]*)/i.exec(headers)?.[1]
  if (line === undefined) throw malformed()
  const parameters = new Map<string, string>()
  for (const [, name = '', quoted, token = ''] of line.matchAll(PARAMETER)) {
    parameters.set(name.toLowerCase(), quoted === undefined ? token : unquote(quoted))
  }
  const name = parameters.get('name')?.toLowerCase() ?? ''
  if (name === '') throw malformed()
  const filename = parameters.get('filename')
  return { name, filename: filename === undefined ? undefined : baseName(filename) }
}

const PARAMETER = /;[ \t]*([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/g

/** Browsers write quotes as %22; curl puts a backslash before them. */
function unquote(text: string): string {
  return text.replace(/\\(["\\])/g, '$1').replaceAll('%22', '"')
}

/** Old browsers send the whole path. */
function baseName(filename: string): string {
  return filename.slice(Math.max(filename.lastIndexOf('/'), filename.lastIndexOf('\\')) + 1)
}

function twice(name: string): S3Error {
  const message = `The form has more than one field named '${name}'.`
  return new S3Error('InvalidArgument', { ArgumentName: name }, { message })
}

function noFile(): S3Error {
  const message = 'POST requires exactly one file upload per request.'
  return new S3Error('InvalidArgument', { ArgumentName: 'file', ArgumentValue: '0' }, { message })
}

/** The refusal of a body that is no form. */
export function malformed(message?: string): S3Error {
  return new S3Error('MalformedPOSTRequest', {}, message === undefined ? {} : { message })
}
