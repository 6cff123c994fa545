// The head of a request, read as strictly as RFC 9112 allows: what two servers could read in two ways is refused.
import { METHODS } from 'node:http'
import { NameBag } from '../../kit/name-bag.ts'
import type { Headers } from '../call.ts'
import { badSyntax, badTarget } from './bad-message.ts'
import { CR, IS_TOKEN, LF, readFieldLines, SPACE } from './field-lines.ts'

/** What a head says. */
export interface RequestHead {
  method: string
  target: string
  headers: Headers
  /** HTTP/1.0. */
  isOld: boolean
  /** Bytes of the body; 0 where none was announced, or it comes in chunks. */
  bodyBytes: number
  isChunked: boolean
  /** The client does not want the connection to end with the reply. */
  keepsAlive: boolean
  awaitsContinue: boolean
}

/** CONNECT makes a tunnel of the connection: nobody here digs one. */
const KNOWN_METHODS = new Set(METHODS.filter((method) => method !== 'CONNECT'))

/**
 * Where the head that begins at `start` ends, behind its empty line; -1 when that has not come yet. Bytes before `from` were
 * looked at already. Throws BadMessage for a line that ends in LF alone: nothing else of what is wrong has to be told before the end.
 */
export function findHeadEnd(bytes: Uint8Array, start: number, from: number, end: number): number {
  for (let at = from; at < end; at += 1) {
    if (bytes[at] !== LF) continue
    if (at === start || bytes[at - 1] !== CR) throw badSyntax('a line ends in LF alone')
    if (at - start >= 3 && bytes[at - 2] === LF) return at + 1
  }
  return -1
}

/** Reads the head that lies from `start` up to `end`, which findHeadEnd() found. Throws BadMessage. */
export function readHead(bytes: Buffer, start: number, end: number): RequestHead {
  let at = start
  while (IS_TOKEN[bytes[at]!] === 1) at += 1
  const method = bytes.toString('latin1', start, at)
  if (bytes[at] !== SPACE || !KNOWN_METHODS.has(method)) throw badSyntax('no method')
  const targetStart = at + 1
  at = targetStart
  while (bytes[at]! > SPACE && bytes[at]! < DELETE) at += 1
  if (at === targetStart || bytes[at] !== SPACE) throw badTarget()
  const target = bytes.toString('latin1', targetStart, at)
  refuseTarget(method, target)
  const isOld = readVersion(bytes, at + 1)
  const headers = readFields(bytes, at + 1 + VERSION_LINE_BYTES, end - 2)
  if (headers.host === undefined && !isOld) throw badSyntax('no host')
  return headOf({ method, target, headers, isOld })
}

/** Where ASCII ends, for all that can be seen. */
const DELETE = 127

const VERSION = Buffer.from('HTTP/1.')
const VERSION_LINE_BYTES = VERSION.length + 3

/** Whether it is HTTP/1.0; throws unless that or HTTP/1.1 ends the line. */
function readVersion(bytes: Uint8Array, start: number): boolean {
  for (let index = 0; index < VERSION.length; index += 1) {
    if (bytes[start + index] !== VERSION[index]) throw badSyntax('no version')
  }
  const at = start + VERSION.length
  const minor = bytes[at]! - 48
  if ((minor !== 0 && minor !== 1) || bytes[at + 1] !== CR || bytes[at + 2] !== LF)
    throw badSyntax('no version that is known')
  return minor === 0
}

/** A path, a URL, or the asterisk of OPTIONS. */
function refuseTarget(method: string, target: string): void {
  if (target.startsWith('/') || /^https?:\/\/[\w.:[\]-]+(?:[/?]|$)/i.test(target)) return
  if (target === '*' && method === 'OPTIONS') return
  throw badTarget()
}

/** From here on a part of a string keeps the whole of it in memory: such parts are made from the bytes. */
const SLICED_LENGTH = 13

function readFields(bytes: Buffer, start: number, end: number): Headers {
  const text = bytes.toString('latin1', start, end)
  const headers = new NameBag()
  readFieldLines(bytes, start, end, (nameStart, nameEnd, valueStart, valueEnd) => {
    const name = text.slice(nameStart - start, nameEnd - start).toLowerCase()
    const value =
      valueEnd - valueStart < SLICED_LENGTH
        ? text.slice(valueStart - start, valueEnd - start)
        : bytes.toString('latin1', valueStart, valueEnd)
    const before = headers[name]
    if (before !== undefined && ONCE.has(name)) throw badSyntax(`${name} is there twice`)
    headers[name] = before === undefined ? value : `${before},${value}`
  })
  return headers
}

/** Said twice, two servers could believe one each. */
const ONCE = new Set(['host', 'content-length', 'transfer-encoding'])

function headOf(read: Pick<RequestHead, 'method' | 'target' | 'headers' | 'isOld'>): RequestHead {
  const { method, target, headers, isOld } = read
  const { 'content-length': length, 'transfer-encoding': transfer, connection, expect } = headers
  const isChunked = transfer !== undefined
  if (isChunked) {
    if (length !== undefined) throw badSyntax('a length and chunks')
    if (isOld || transfer.toLowerCase() !== 'chunked') throw badSyntax('no transfer that is known')
  }
  const bodyBytes = length === undefined ? 0 : readLength(length)
  const keepsAlive = connection === undefined ? !isOld : readConnection(connection, isOld)
  const awaitsContinue =
    expect !== undefined && !isOld && /(?:^|\W)100-continue(?:$|\W)/i.test(expect)
  return { method, target, headers, isOld, bodyBytes, isChunked, keepsAlive, awaitsContinue }
}

function readLength(text: string): number {
  const bytes = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(bytes)) throw badSyntax('no length that is a number')
  return bytes
}

/** `close` is stronger than `keep-alive`, which only HTTP/1.0 has to say. */
function readConnection(text: string, isOld: boolean): boolean {
  const options = text.toLowerCase().split(',')
  const has = (wanted: string): boolean => options.some((option) => option.trim() === wanted)
  return !has('close') && (!isOld || has('keep-alive'))
}
