// Refusing a body that is still to come (pitfall 46): the reply goes out, a little more of the body is taken, and
// only then is the connection closed. Closed at once, the client would see a reset and miss the reply.
import { giveBack } from '../kit/lent-bytes.ts'
import type { Clock } from '../kit/world.ts'
import type { BodyReader, Exchange } from './exchange.ts'

const LINGER_MS = 5_000
const LINGER_BYTES = 4 * 1024 * 1024
/** A body of which so little can still come is read to its end for the sake of the connection. */
export const SMALL_BODY_BYTES = 64 * 1024

/**
 * Whether the connection can carry another request: nothing of the body is left, or only a little. None whose client waited for 100 Continue and
 * gets something else, not even where the body is empty: botocore hears no answer to the next request on such a connection.
 */
export function isWorthKeeping(exchange: Exchange): boolean {
  if (exchange.awaitsContinue) return false
  if (exchange.isWhole) return true
  const { 'content-length': length } = exchange.sentHeaders
  return length !== undefined && Number(length) <= SMALL_BODY_BYTES
}

/** Ends a reply whose bytes are all written, after taking some of the body, for a limited time. */
export async function linger(exchange: Exchange, clock: Clock, onSent: () => void): Promise<void> {
  const over = new AbortController()
  let taken = 0
  const reader: BodyReader = {
    take: (bytes) => {
      taken += bytes.length
      giveBack(bytes)
      if (taken > LINGER_BYTES) exchange.pauseBody(reader)
    },
    end: () => over.abort(),
  }
  exchange.readBody(reader)
  onSent()
  // Rejects when the client has finished or gone: the sooner the better.
  await clock.sleep(LINGER_MS, over.signal).catch(() => undefined)
  exchange.end()
}
