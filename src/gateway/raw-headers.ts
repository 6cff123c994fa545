// Headers as Node hands them out, made ready: names in lower case, duplicates joined, values read as UTF-8 (pitfall 50).
import { NameBag } from '../kit/name-bag.ts'
import { storedEncoding } from './body/body-claims.ts'
import type { Headers } from './call.ts'

/** Names in lower case, duplicates joined by a comma, values as the bytes were sent (Latin-1). */
export function collectHeaders(rawHeaders: readonly string[]): Headers {
  const headers = new NameBag()
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase()
    const value = rawHeaders[at + 1]!
    const before = headers[name]
    headers[name] = before === undefined ? value : `${before},${value}`
  }
  return headers
}

/** The same headers with their values as text. */
export function decodeHeaders(raw: Headers): Headers {
  for (const name in raw) if (!isAscii(raw[name]!)) return decodeAll(raw)
  return raw
}

function decodeAll(raw: Headers): Headers {
  const headers = new NameBag()
  for (const name in raw) headers[name] = decodeValue(raw[name]!)
  return headers
}

/** Headers as operations see them: Content-Encoding is the object's, not the framing's (pitfall 27). */
export function withoutFraming(headers: Headers): Headers {
  const encoding = headers['content-encoding']
  if (encoding === undefined) return headers
  const stored = storedEncoding(encoding)
  if (stored === encoding) return headers
  const kept = new NameBag()
  for (const name in headers) if (name !== 'content-encoding') kept[name] = headers[name]
  if (stored !== undefined) kept['content-encoding'] = stored
  return kept
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Whether a value of Latin-1 is the same as text. */
function isAscii(value: string): boolean {
  return Buffer.byteLength(value) === value.length
}

function decodeValue(value: string): string {
  if (isAscii(value)) return value
  try {
    return utf8.decode(Buffer.from(value, 'latin1'))
  } catch {
    return value // Old clients send Latin-1: then that is what it is.
  }
}
