// Keys of clients (SSE-C) stand in headers and queries that a refusal explains: what is shown of those is without them (pitfall 119).
import { NameBag } from '../../kit/name-bag.ts'
import type { Headers } from '../call.ts'
import type { AuthRequest } from './auth-request.ts'

/** In place of a key; the same where it is percent-encoded. */
const HIDDEN = '...'

/** Whether a header or a parameter of this name carries a key; its MD5 is none. */
export function isCustomerKey(name: string): boolean {
  return name.toLowerCase().endsWith('-customer-key')
}

/** The request as it may be shown to whoever sent it, or to who stands behind them. */
export function withoutKeys(request: AuthRequest): AuthRequest {
  const { address, headers, rawHeaders } = request
  const pairs = address.pairs.map(([name, value]) => [name, shownValue(name, value)] as const)
  return {
    ...request,
    address: { ...address, pairs },
    headers: shownHeaders(headers),
    rawHeaders: shownHeaders(rawHeaders),
  }
}

function shownHeaders(headers: Headers): Headers {
  const shown = new NameBag()
  for (const name in headers) shown[name] = shownValue(name, headers[name] ?? '')
  return shown
}

function shownValue(name: string, value: string): string {
  return isCustomerKey(name) ? HIDDEN : value
}
