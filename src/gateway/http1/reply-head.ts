// The head of a reply as text.
import { STATUS_CODES } from 'node:http'

/** What a head is made of beside status and headers. */
export interface ReplyTerms {
  /** `Date: …` with the end of its line. */
  dateLine: string
  /** How long a connection is kept without requests. */
  keepAliveMs: number
  /** HTTP/1.0 knows no chunks, and is told that the connection goes on. */
  isOld: boolean
  /** The connection can be used again, unless the headers say otherwise. */
  mayKeep: boolean
  /** HEAD: the reply has no body, whatever its head says. */
  isHead: boolean
}

/** A head, and what it says of the bytes that follow. */
export interface ReplyHead {
  text: string
  /** As announced; undefined where only the end tells. */
  bodyBytes: number | undefined
  isChunked: boolean
  isBodiless: boolean
  keepsConnection: boolean
}

const INVALID_VALUE = /[^\t\x20-\x7e\x80-\xff]/
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Names of headers that can be sent: few, and met in every reply. */
const knownNames = new Set<string>()
const KNOWN_NAMES_MAX = 1_000

const statusLines = new Map<number, string>()

/** Composes a head; `headers` are names and values one behind the other. Throws for those that can not be sent. */
export function composeReplyHead(
  status: number,
  headers: readonly string[],
  terms: ReplyTerms,
): ReplyHead {
  let text = statusLine(status)
  let length: string | undefined
  let keepsConnection = terms.mayKeep
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!
    const value = headers[at + 1]!
    if (!knownNames.has(name)) learnName(name)
    if (INVALID_VALUE.test(value)) throw new TypeError(`the value of ${name} can not be sent`)
    // The pipeline says that a connection ends; all else of it is said below.
    if (name === 'connection') keepsConnection = false
    else text += `${name}: ${value}\r\n`
    if (name === 'content-length') length = value
  }
  const isEmpty = status === 204 || status === 304
  const isBodiless = terms.isHead || isEmpty
  const isChunked = length === undefined && !isBodiless && !terms.isOld
  if (length === undefined && !isBodiless && terms.isOld) keepsConnection = false
  if (isChunked) text += 'transfer-encoding: chunked\r\n'
  text += terms.dateLine
  text += keepsConnection ? keepLine(terms.keepAliveMs) : 'connection: close\r\n'
  const bodyBytes = length === undefined ? undefined : Number(length)
  return { text: `${text}\r\n`, bodyBytes, isChunked, isBodiless, keepsConnection }
}

function learnName(name: string): void {
  if (!TOKEN.test(name) || name !== name.toLowerCase())
    throw new TypeError(`a header can not be called ${JSON.stringify(name)}`)
  if (knownNames.size < KNOWN_NAMES_MAX) knownNames.add(name)
}

function statusLine(status: number): string {
  const known = statusLines.get(status)
  if (known !== undefined) return known
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`
  statusLines.set(status, line)
  return line
}

function keepLine(keepAliveMs: number): string {
  return `connection: keep-alive\r\nkeep-alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n`
}
