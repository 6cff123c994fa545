// One server process and bare sockets to it: tests over the wire write every byte of a request themselves.
import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import type { Test } from 'tap'
import { type ServerOptions, startServer, TEST_KEYS, type TestServer } from '../support/server.ts'
import {
  authorize,
  basicTime,
  type ChunkSeed,
  encodeQuery,
  type HeaderList,
  type Signer,
} from './signing.ts'

/** Bucket that every server has. */
export const BUCKET = 'wire'

export interface Wire {
  server: TestServer
  secure: boolean
  port: number
  /** What goes into the Host header. */
  host: string
}

/** Runs `body` with a server that has one bucket; then it must live, stop well, and have told no secret. */
export async function withWire(
  t: Test,
  given: ServerOptions & { secure?: boolean; region?: string },
  body: (wire: Wire) => Promise<void>,
): Promise<void> {
  const cwd = await mkdtemp(join(tmpdir(), 'kintsugi-wire-'))
  const environment = { KINTSUGI_BUCKETS: BUCKET, ...given.environment }
  const server = await startServer({ cwd, ...given, environment })
  const { port } = new URL(server.endpoint)
  const addressed = { port: Number(port), host: `localhost:${port}` }
  const wire = { server, ...addressed, secure: given.secure ?? false }
  try {
    await body(wire)
    const signer = { region: given.region ?? 'us-east-1' }
    t.equal((await ask(wire, { path: `/${BUCKET}`, signer })).status, 200, 'the server lives')
    t.equal(await server.stop(), 0, 'the server stops well')
    t.notOk(server.log().includes(TEST_KEYS.secretAccessKey), 'the log has no secret')
    t.notMatch(server.log(), /"level":[56]0/, 'nothing unexpected was logged')
  } finally {
    await server.kill()
    await rm(cwd, { recursive: true, force: true })
  }
}

/** One request; what is not told is right. */
export interface Ask {
  method?: string
  /** As it goes over the wire, without its query. */
  path?: string
  query?: Record<string, string>
  /** Names in lower case. All are signed but `unsigned`. */
  headers?: Record<string, string> | HeaderList
  unsigned?: HeaderList
  /** Bytes, or what makes them of the signature of the head. */
  body?: string | Uint8Array | ((seed: ChunkSeed) => Uint8Array)
  /** Content-Length; the body's own unless told, none when false. */
  length?: number | string | false
  /** x-amz-content-sha256. */
  payload?: string
  /** False: anonymous. */
  signer?: Signer | false
  /** Host header; false: none. */
  host?: string | false
  keepAlive?: boolean
}

export interface Answer {
  status: number
  headers: Record<string, string>
  body: Buffer
  text: string
}

/** The bytes of a request. */
export function compose(wire: Wire, wanted: Ask): Buffer {
  const { method = 'GET', path = '/', signer = {} } = wanted
  const query = encodeQuery(wanted.query ?? {})
  const time = basicTime(signer === false ? undefined : signer.ms)
  const payloadHash = wanted.payload ?? 'UNSIGNED-PAYLOAD'
  const given = Array.isArray(wanted.headers)
    ? wanted.headers
    : Object.entries(wanted.headers ?? {})
  const signed: [string, string][] = [
    ...(wanted.host === false ? [] : [['host', wanted.host ?? wire.host] as [string, string]]),
    ...(signer === false
      ? []
      : ([
          ['x-amz-date', time],
          ['x-amz-content-sha256', payloadHash],
        ] as [string, string][])),
    ...given,
  ]
  const { authorization, seed } = authorize(
    { method, path, query, headers: signed, payloadHash },
    signer || {},
    time,
  )
  const body = bodyBytes(wanted.body, seed)
  const headers: [string, string][] = [...signed, ...(wanted.unsigned ?? [])] as [string, string][]
  if (signer !== false) headers.push(['authorization', authorization])
  const length = wanted.length ?? (wanted.body === undefined ? false : body.length)
  if (length !== false) headers.push(['content-length', String(length)])
  if (!wanted.keepAlive) headers.push(['connection', 'close'])
  const target = query === '' ? path : `${path}?${query}`
  return Buffer.concat([composeHead(`${method} ${target} HTTP/1.1`, headers), body])
}

/** A head out of its first line and headers; values are bytes as Latin-1. */
export function composeHead(line: string, headers: HeaderList): Buffer {
  const lines = [line, ...headers.map(([name, value]) => `${name}: ${value}`)]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

function bodyBytes(body: Ask['body'], seed: ChunkSeed): Uint8Array {
  if (body === undefined) return Buffer.alloc(0)
  if (typeof body === 'function') return body(seed)
  return typeof body === 'string' ? Buffer.from(body) : body
}

/** Sends one request on a connection of its own and reads its answer. */
export async function ask(
  wire: Wire,
  wanted: Ask,
  options: { end?: boolean } = {},
): Promise<Answer> {
  const methods = [wanted.method ?? 'GET']
  const socket = openSocket(wire)
  const parts: Buffer[] = []
  let bytes = 0
  socket.on('data', (part: Buffer) => {
    parts.push(part)
    bytes += part.length
    // Once it is answered nothing holds the connection: the server need not linger for the rest of a body.
    // Refusals are short; what is long is not looked at with every piece of it.
    if (bytes < 1_000_000 && isWhole(Buffer.concat(parts), methods)) socket.destroy()
  })
  const closed = collect(socket)
  socket.write(compose(wire, wanted))
  if (options.end) socket.end()
  const [answer] = readAnswers(await closed, methods)
  if (answer === undefined) throw new Error('the connection was closed without an answer')
  return answer
}

function isWhole(stream: Buffer, methods: readonly string[]): boolean {
  try {
    return readAnswers(stream, methods).length > 0
  } catch {
    return false // Some of it has still to come.
  }
}

/** Sends bytes and reads answers until the server closes. `methods` are those of the requests in order. */
export async function talk(
  wire: Wire,
  bytes: Uint8Array,
  methods: readonly string[] = [],
  options: { end?: boolean } = {},
): Promise<Answer[]> {
  return readAnswers(await talkBytes(wire, bytes, options), methods)
}

/** The same without understanding what comes back. With `end` no more bytes are promised. */
export async function talkBytes(
  wire: Wire,
  bytes: Uint8Array,
  { end = false } = {},
): Promise<Buffer> {
  const socket = openSocket(wire)
  const closed = collect(socket)
  socket.write(bytes)
  if (end) socket.end()
  return closed
}

/** A connection whose errors are part of the test. */
export function openSocket({ port, secure }: Wire): Socket {
  const where = { port, host: '127.0.0.1', allowHalfOpen: true }
  const socket = secure ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where)
  socket.on('error', () => {}) // A reset after the answer is the server's way to close.
  return socket
}

/** Everything that comes until the server closes. */
export async function collect(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  socket.once('end', () => socket.end())
  await new Promise((resolve) => socket.once('close', resolve))
  return Buffer.concat(parts)
}

/** Cuts a stream of answers by their Content-Length. */
export function readAnswers(stream: Buffer, methods: readonly string[]): Answer[] {
  const answers: Answer[] = []
  let rest = stream
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) throw new Error(`no whole head: ${rest.toString('latin1').slice(0, 200)}`)
    const [first = '', ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n')
    const headers = Object.fromEntries(lines.map(splitHeader))
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1])
    const bodiless =
      methods[answers.length] === 'HEAD' || status < 200 || status === 204 || status === 304
    const { body, after } = takeBody(rest.subarray(end + 4), bodiless ? {} : headers)
    rest = after
    if (status >= 200) answers.push({ status, headers, body, text: body.toString('utf8') })
  }
  return answers
}

function takeBody(bytes: Buffer, headers: Record<string, string>): { body: Buffer; after: Buffer } {
  if (headers['transfer-encoding'] === 'chunked') return takeChunks(bytes)
  const length = Number(headers['content-length'] ?? 0)
  if (bytes.length < length) throw new Error(`${bytes.length} of ${length} bytes came`)
  return { body: bytes.subarray(0, length), after: bytes.subarray(length) }
}

function takeChunks(bytes: Buffer): { body: Buffer; after: Buffer } {
  const chunks: Buffer[] = []
  let at = 0
  for (;;) {
    const line = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16)
    if (line < 0 || bytes.length < line + 2 + size + 2) throw new Error('a chunk is not whole')
    chunks.push(bytes.subarray(line + 2, line + 2 + size))
    at = line + 2 + size + 2
    if (size === 0) return { body: Buffer.concat(chunks), after: bytes.subarray(at) }
  }
}

function splitHeader(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
}

/** Text of an element, references resolved; undefined when there is none. */
export function elementOf({ text }: Pick<Answer, 'text'>, name: string): string | undefined {
  const found = new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(text)?.[1]
  return found === undefined ? undefined : unescapeXml(found)
}

/** Texts of all elements of this name. */
export function elementsOf({ text }: Pick<Answer, 'text'>, name: string): string[] {
  const found = text.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))
  return [...found].map(([, inner]) => unescapeXml(inner!))
}

const NAMED: Record<string, string> = { lt: '<', gt: '>', quot: '"', amp: '&', apos: "'" }

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (_, hex, decimal, name) => {
    if (name !== undefined) return NAMED[name] ?? ''
    return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16))
  })
}

/** The answer must be this S3 error, whole and with these elements (`true`: any text). */
export function wantError(
  t: Test,
  answer: Answer,
  status: number,
  code: string,
  elements: Record<string, string | true> = {},
  name = code,
): void {
  const { headers, text } = answer
  t.equal(`${answer.status} ${elementOf(answer, 'Code')}`, `${status} ${code}`, name)
  if (answer.status !== status) t.comment(text.slice(0, 500))
  t.ok(text.startsWith('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>'), `${name}: XML`)
  t.equal(headers['content-type'], 'application/xml', `${name}: type`)
  t.ok(headers['x-amz-request-id'], `${name}: has an id`)
  t.equal(elementOf(answer, 'RequestId'), headers['x-amz-request-id'], `${name}: RequestId`)
  t.equal(elementOf(answer, 'HostId'), headers['x-amz-id-2'], `${name}: HostId`)
  for (const [element, wanted] of Object.entries(elements)) {
    const actual = elementOf(answer, element)
    if (wanted === true) t.ok(actual !== undefined, `${name}: ${element}`)
    else t.equal(actual, wanted, `${name}: ${element}`)
  }
}

/** Keys in a bucket. */
export async function listed(wire: Wire, prefix = '', bucket = BUCKET): Promise<string[]> {
  const answer = await ask(wire, { path: `/${bucket}`, query: { 'list-type': '2', prefix } })
  if (answer.status !== 200) throw new Error(answer.text)
  return elementsOf(answer, 'Key')
}

/** PUT that must succeed. */
export async function put(
  wire: Wire,
  path: string,
  body: string | Uint8Array = 'hello',
  headers: Record<string, string> = {},
): Promise<Answer> {
  const answer = await ask(wire, { method: 'PUT', path, body, headers })
  if (answer.status !== 200) throw new Error(`PUT ${path}: ${answer.status} ${answer.text}`)
  return answer
}

/** Open files of the server, where the system tells. */
export function openFiles({ server }: Wire): number {
  return process.platform === 'linux' ? readdirSync(`/proc/${server.serverPid()}/fd`).length : 0
}
