// What nodes say of themselves in the heads of requests and answers, and how it is signed: docs/formats/node-protocol.md.
// Pure: text in, text out. Nothing here is secret but the keys.
import type { IncomingHttpHeaders } from 'node:http'
import {
  authenticate,
  deriveKey,
  exchangeKeys,
  isSameCode,
  nameSecret,
} from '../../digest/message-auth.ts'

/** Versions of the protocol that this program speaks. */
export const VERSIONS: Versions = { oldest: 3, newest: 3 }

/** Where sessions begin. Its own format never changes: any two versions can tell each other that they are too far apart. */
export const HELLO_PATH = '/kintsugi/node/hello'

/** Headers of all requests and answers. */
const PREFIX = 'kintsugi-'

/** A range of versions of the protocol. */
export interface Versions {
  oldest: number
  newest: number
}

/** Who speaks with whom. Ids are 1 to 64 letters, digits, dots, dashes and underscores. */
export interface Pair {
  clusterId: string
  from: string
  to: string
}

/** Asks for a session. `nonce`: 32 hex digits, used once. */
export interface Hello {
  from: string
  to: string
  versions: Versions
  nonce: string
  /** Names the secret that it is signed with. */
  secret: string
}

/** Gives one, or says which versions would be spoken. `nonce` is the answerer's own. */
export interface Welcome {
  session: string
  nonce: string
  /** 0: none of those that were offered. */
  version: number
  versions: Versions
  /** The clock of the answerer when it answered: deadlines are counted on it. Whole milliseconds since some start. */
  clockMs: number
}

/** The head of one exchange of a session. */
export interface ExchangeHead {
  path: string
  version: number
  session: string
  /** A number that no other exchange of the session has. */
  sequence: number
  /** On the clock of the node that is asked: it does nothing for the exchange afterwards. */
  deadlineMs: number
}

/** The keys of one exchange. */
export interface ExchangeKeys {
  request: Uint8Array
  answer: Uint8Array
}

type Headers = Record<string, string>

const ID = /^[A-Za-z0-9._-]{1,64}$/
const HEX_16 = /^[0-9a-f]{16}$/
const HEX_32 = /^[0-9a-f]{32}$/
const NUMBER = /^(0|[1-9][0-9]{0,15})$/
const RANGE = /^([0-9]{1,5})-([0-9]{1,5})$/

/** Whether `text` can name a node or a cluster. */
export function isNodeId(text: string): boolean {
  return ID.test(text)
}

/** The key that two nodes of a cluster share, in the direction of asking. */
export function pairKey(secret: Uint8Array, { clusterId, from, to }: Pair): Buffer {
  return deriveKey(secret, `kintsugi node pair ${clusterId} ${from} ${to}`, new Uint8Array(0))
}

/** The key of one session: fresh as long as one of both nonces is. */
export function sessionKey(pair: Uint8Array, hello: Hello, welcome: Welcome): Buffer {
  const salt = Buffer.from(hello.nonce + welcome.nonce + welcome.session, 'hex')
  return deriveKey(pair, `kintsugi node session ${welcome.version}`, salt)
}

/** The keys of the frames of an exchange. */
export function keysOf(session: Uint8Array, head: ExchangeHead): ExchangeKeys {
  return exchangeKeys(session, `exchange ${head.sequence}`)
}

/** Headers of a hello, signed with the key of the pair. */
export function writeHello(hello: Hello, key: Uint8Array): Headers {
  return signed(
    {
      from: hello.from,
      to: hello.to,
      versions: rangeText(hello.versions),
      nonce: hello.nonce,
      secret: hello.secret,
    },
    { key, context: 'hello' },
  )
}

/** A hello whose signature holds under one of `secrets`, with the key of its pair; undefined for anything else. */
export function readHello(
  headers: IncomingHttpHeaders,
  clusterId: string,
  secrets: readonly Uint8Array[],
): { hello: Hello; key: Uint8Array } | undefined {
  const read = reading(headers)
  const versions = parseRange(read('versions'))
  const hello = {
    from: matching(read('from'), ID),
    to: matching(read('to'), ID),
    nonce: matching(read('nonce'), HEX_32),
    secret: matching(read('secret'), HEX_16),
  }
  const secret = secrets.find((candidate) => nameSecret(candidate) === hello.secret)
  if (!isWhole(hello) || versions === undefined || secret === undefined) return undefined
  const key = pairKey(secret, { clusterId, from: hello.from, to: hello.to })
  const said = { ...hello, versions }
  return isSigned(writeHello(said, key), read) ? { hello: said, key } : undefined
}

/** Headers of a welcome: signed with the key of the pair, and only an answer to this hello. */
export function writeWelcome(welcome: Welcome, hello: Hello, key: Uint8Array): Headers {
  return signed(
    {
      session: welcome.session,
      nonce: welcome.nonce,
      version: String(welcome.version),
      versions: rangeText(welcome.versions),
      clock: String(welcome.clockMs),
    },
    { key, context: `welcome to ${hello.nonce}` },
  )
}

/** A welcome that answers `hello`; undefined for anything else. */
export function readWelcome(
  headers: IncomingHttpHeaders,
  hello: Hello,
  key: Uint8Array,
): Welcome | undefined {
  const read = reading(headers)
  const session = matching(read('session'), HEX_32)
  const nonce = matching(read('nonce'), HEX_32)
  const version = parseNumber(read('version'))
  const versions = parseRange(read('versions'))
  const clockMs = parseNumber(read('clock'))
  const welcome = { session, nonce, version, versions, clockMs }
  if (!isWhole(welcome)) return undefined
  return isSigned(writeWelcome(welcome, hello, key), read) ? welcome : undefined
}

/** Headers of an exchange, signed with the key of its session. */
export function writeHead(head: ExchangeHead, key: Uint8Array): Headers {
  return signed(
    {
      version: String(head.version),
      session: head.session,
      sequence: String(head.sequence),
      deadline: String(head.deadlineMs),
    },
    { key, context: `POST ${head.path}` },
  )
}

/** What the head of an exchange says; undefined when it is none. Nothing of it is true before isHeadOf(). */
export function readHead(path: string, headers: IncomingHttpHeaders): ExchangeHead | undefined {
  const read = reading(headers)
  const head = {
    path,
    version: parseNumber(read('version')),
    session: matching(read('session'), HEX_32),
    sequence: parseNumber(read('sequence')),
    deadlineMs: parseNumber(read('deadline')),
  }
  return isWhole(head) ? head : undefined
}

/** Whether a head was signed with this key. */
export function isHeadOf(
  head: ExchangeHead,
  headers: IncomingHttpHeaders,
  key: Uint8Array,
): boolean {
  return isSigned(writeHead(head, key), reading(headers))
}

/** The newest version that both ranges have; 0 when there is none. */
export function commonVersion(ours: Versions, theirs: Versions): number {
  const newest = Math.min(ours.newest, theirs.newest)
  return newest >= Math.max(ours.oldest, theirs.oldest) ? newest : 0
}

/** Adds what is signed as `mac`: the context, then every field in its order. No field has a line break. */
function signed(
  fields: Record<string, string>,
  { key, context }: { key: Uint8Array; context: string },
): Headers {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`)
  const mac = authenticate(key, [`kintsugi ${context}`, ...lines].join('\n')).toString('hex')
  const all = Object.entries({ ...fields, mac })
  return Object.fromEntries(all.map(([name, value]) => [PREFIX + name, value]))
}

function isSigned(wanted: Headers, read: (name: string) => string | undefined): boolean {
  const actual = read('mac') ?? ''
  return isSameCode(Buffer.from(wanted[`${PREFIX}mac`] ?? ''), Buffer.from(actual))
}

function reading(headers: IncomingHttpHeaders): (name: string) => string | undefined {
  return (name) => {
    const value = headers[PREFIX + name]
    return typeof value === 'string' ? value : undefined
  }
}

function matching(text: string | undefined, pattern: RegExp): string | undefined {
  return text !== undefined && pattern.test(text) ? text : undefined
}

function parseNumber(text: string | undefined): number | undefined {
  const value = Number(matching(text, NUMBER))
  return Number.isSafeInteger(value) ? value : undefined
}

function parseRange(text: string | undefined): Versions | undefined {
  const found = RANGE.exec(text ?? '')
  return found === null ? undefined : { oldest: Number(found[1]), newest: Number(found[2]) }
}

function rangeText({ oldest, newest }: Versions): string {
  return `${oldest}-${newest}`
}

/** Whether every field is there. */
function isWhole<Fields extends object>(
  fields: Fields,
): fields is { [Name in keyof Fields]: Exclude<Fields[Name], undefined> } {
  return Object.values(fields).every((value) => value !== undefined)
}
