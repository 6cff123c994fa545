// A reply goes out: head, then text or stream, as fast as the client takes it and not faster.
import { kibibytes } from '../kit/bytes.ts'
import { nextAtHand } from '../kit/chunks-at-hand.ts'
import { giveBack } from '../kit/lent-bytes.ts'
import type { Clock } from '../kit/world.ts'
import type { Reply } from './call.ts'
import type { Exchange } from './exchange.ts'
import { isWorthKeeping, linger } from './linger.ts'
import type { Passage } from './passage.ts'

/** What goes with every reply, whether its connection goes on, and who hears that it was sent. */
export interface SendOptions {
  /** x-amz-id-2 of every reply. */
  hostId: string
  /** True when the connection must not be used again. */
  lastOnConnection: boolean
  clock: Clock
  /** Called when the client has the whole reply; what comes after only winds the connection up. */
  onSent(): void
}

/** Status and headers as they go out, and how the connection goes on. */
interface Head {
  status: number
  /** Names and values one behind the other. */
  headers: string[]
}

type BodyOf<Kind extends NonNullable<Reply['body']>['kind']> = Extract<
  Reply['body'],
  { kind: Kind }
>

/**
 * Sends a reply without a stream and does not wait until the client has it; false when this one has to be waited for.
 * Throws what can not be sent of its headers.
 */
export function sendAtOnce(
  passage: Passage,
  reply: Reply,
  options: Pick<SendOptions, 'hostId' | 'lastOnConnection'>,
): boolean {
  const { body } = reply
  if (body?.kind === 'trickle' || (body?.kind === 'stream' && passage.method !== 'HEAD'))
    return false
  if (!isWorthKeeping(passage.exchange)) return false
  sendText(passage, composeHead(passage, reply, options, true), body)
  endReply(passage.exchange)
  return true
}

/** Sends `reply`. Throws when the client goes away or the stream fails; the connection is destroyed then. */
export async function sendReply(
  passage: Passage,
  reply: Reply,
  options: SendOptions,
): Promise<void> {
  const { body } = reply
  const keep = isWorthKeeping(passage.exchange)
  const head = composeHead(passage, reply, options, keep)
  if (body?.kind === 'stream' && passage.method !== 'HEAD') await sendStream(passage, head, body)
  else if (body?.kind === 'trickle') await sendTrickle(passage, head, body)
  else sendText(passage, head, body)
  if (keep) {
    endReply(passage.exchange)
    await passage.whenSent()
    options.onSent()
    return
  }
  passage.exchange.flushHead()
  await linger(passage.exchange, options.clock, options.onSent)
}

function composeHead(
  { requestId }: Passage,
  reply: Reply,
  { hostId, lastOnConnection }: Pick<SendOptions, 'hostId' | 'lastOnConnection'>,
  keep: boolean,
): Head {
  const headers = ['x-amz-request-id', requestId, 'x-amz-id-2', hostId, 'server', 'Kintsugi']
  const length = lengthOf(reply)
  for (const name in reply.headers) {
    if (length === undefined || name !== 'content-length') headers.push(name, reply.headers[name]!)
  }
  if (length !== undefined) headers.push('content-length', length)
  if (!keep || lastOnConnection) headers.push('connection', 'close')
  return { status: reply.status, headers }
}

/** Content-Length where the body says it; undefined leaves it to the headers of the reply. */
function lengthOf({ status, headers, body }: Reply): string | undefined {
  if (body?.kind === 'text') return String(Buffer.byteLength(body.text))
  if (body?.kind === 'bytes') return String(body.bytes.length)
  if (body?.kind === 'stream') return String(body.bytes)
  if (body?.kind === 'trickle') return undefined
  if (status === 204 || status === 304 || headers?.['content-length'] !== undefined)
    return undefined
  return '0'
}

function sendText(passage: Passage, { status, headers }: Head, body: Reply['body']): void {
  const { exchange } = passage
  exchange.writeHead(status, headers)
  if (body === undefined || passage.method === 'HEAD') return
  const bytes = bytesOf(body)
  if (bytes === undefined) return
  exchange.write(bytes)
  passage.bytesOut += bytes.length
}

/** A text as bytes: Node would send the head together with a text, and encode the UTF-8 in it once more. */
function bytesOf(body: NonNullable<Reply['body']>): Uint8Array | undefined {
  if (body.kind === 'bytes') return body.bytes
  return body.kind === 'text' ? Buffer.from(body.text) : undefined
}

/** Each text goes out when it comes; there is too little of it for back-pressure. */
async function sendTrickle(
  passage: Passage,
  { status, headers }: Head,
  { chunks }: BodyOf<'trickle'>,
): Promise<void> {
  const { exchange } = passage
  exchange.writeHead(status, headers)
  for await (const text of chunks) {
    exchange.write(text)
    passage.bytesOut += Buffer.byteLength(text)
  }
}

/** So much may lie between the store and a client that is slow to take it. */
const SENT_AHEAD_BYTES = kibibytes(256)

/** The first chunk is awaited before the head is sent: until then the reply can still become an error. */
async function sendStream(
  passage: Passage,
  { status, headers }: Head,
  { bytes, chunks: source }: BodyOf<'stream'>,
): Promise<void> {
  const { exchange } = passage
  const chunks = source[Symbol.asyncIterator]()
  let left = bytes
  let whole = false
  try {
    let next = await chunks.next()
    if (passage.departed) passage.signal.throwIfAborted()
    exchange.writeHead(status, headers)
    while (next.done !== true) {
      const some = takeSome(next.value, chunks)
      const length = bytesOfAll(some)
      left -= length
      if (left < 0) break
      passage.bytesOut += length
      writeLent(exchange, some)
      if (exchange.unsentBytes > SENT_AHEAD_BYTES) await passage.whenDrained()
      // What is written to who is gone is dropped at once, and would never be in the way.
      if (passage.departed) passage.signal.throwIfAborted()
      next = await chunks.next()
    }
    if (left !== 0)
      throw new Error(
        `the stream of a reply is ${Math.abs(left)} bytes ${left < 0 ? 'longer' : 'shorter'} than announced`,
      )
    whole = true
  } finally {
    if (!whole) await chunks.return?.()
  }
}

/** `first` and what is there behind it: one call of the system for several chunks costs less than one for each. */
function takeSome(first: Uint8Array, chunks: AsyncIterator<Uint8Array>): Uint8Array[] {
  const some = [first]
  let bytes = first.length
  while (bytes <= SENT_AHEAD_BYTES) {
    const chunk = nextAtHand(chunks)
    if (chunk === undefined) break
    some.push(chunk)
    bytes += chunk.length
  }
  return some
}

function bytesOfAll(chunks: readonly Uint8Array[]): number {
  let bytes = 0
  for (const chunk of chunks) bytes += chunk.length
  return bytes
}

/** Bytes that are lent are given back once the kernel has them. */
function writeLent(exchange: Exchange, chunks: readonly Uint8Array[]): void {
  exchange.writeAll(chunks, (error) => {
    if (!error) for (const chunk of chunks) giveBack(chunk)
  })
}

function endReply(exchange: Exchange): void {
  // What is left of a body is small: it is read and forgotten, and the connection can be used again.
  exchange.discardBody()
  exchange.end()
}
