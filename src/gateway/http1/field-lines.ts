// Field lines of heads and trailers (RFC 9112 section 5): a token, a colon, a value without control characters, CRLF.
// Nothing is mended: no folding, no bare CR or LF, no space before the colon. What one server mends another cuts apart.
import { badSyntax } from './bad-message.ts'

/** Carriage return: the first byte of the two that end a line. */
export const CR = 13
/** Line feed: the second one. */
export const LF = 10
/** Stands between the words of a request line, and around values, which it is no part of there. */
export const SPACE = 32
const TAB = 9
const COLON = 58

/** Which bytes a name or a method consists of (RFC 9110 section 5.6.2). */
export const IS_TOKEN = tableOf((byte) =>
  /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(byte)),
)
/** Which bytes a value consists of: visible ones, spaces, and all that is not ASCII. */
export const IS_VALUE = tableOf((byte) => byte === TAB || (byte >= SPACE && byte !== 127))

function tableOf(has: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (has(byte) ? 1 : 0))
}

/** Reads the lines of `bytes` from `start` up to `end`, all of them whole; `onField` gets where name and value lie. Throws BadMessage. */
export function readFieldLines(
  bytes: Uint8Array,
  start: number,
  end: number,
  onField: (nameStart: number, nameEnd: number, valueStart: number, valueEnd: number) => void,
): void {
  let at = start
  while (at < end) {
    const nameStart = at
    while (IS_TOKEN[bytes[at]!] === 1) at += 1
    const nameEnd = at
    if (nameEnd === nameStart || bytes[at] !== COLON) throw badSyntax('no name and colon')
    at += 1
    while (isBlank(bytes[at]!)) at += 1
    const valueStart = at
    while (IS_VALUE[bytes[at]!] === 1) at += 1
    // Nothing is read past `end`: a line that lacks its CRLF there ends in neither.
    if (at + 2 > end || bytes[at] !== CR || bytes[at + 1] !== LF) throw badSyntax('no end of line')
    let valueEnd = at
    while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1]!)) valueEnd -= 1
    onField(nameStart, nameEnd, valueStart, valueEnd)
    at += 2
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB
}
