// A reply goes out: head, then text or stream, as fast as the client takes it and not faster.
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import type { Clock } from '../kit/world.ts'
import type { Reply } from './call.ts'
import type { Exchange } from './exchange.ts'
import { isWorthKeeping, linger } from './linger.ts'

export interface SendOptions {
  /** Headers that every reply carries. */
  headers: Record<string, string>
  /** True when the connection must not be used again. */
  lastOnConnection: boolean
  clock: Clock
  onBytes(count: number): void
  /** Called when the client has the whole reply; what comes after only winds the connection up. */
  onSent(): void
  /** Aborted when the client goes away. */
  signal: AbortSignal
}

/** Sends `reply`. Throws when the client goes away or the stream fails; the connection is destroyed then. */
export async function sendReply(
  exchange: Exchange,
  reply: Reply,
  options: SendOptions,
): Promise<void> {
  const keep = isWorthKeeping(exchange)
  const headers = composeHeaders(reply, options, keep)
  if (reply.body?.kind === 'stream' && exchange.request.method !== 'HEAD') {
    await sendStream(exchange, { ...reply, headers, body: reply.body }, options)
  } else if (reply.body?.kind === 'trickle') {
    await sendTrickle(exchange, { ...reply, headers, body: reply.body }, options)
  } else {
    sendText(exchange, { ...reply, headers }, options)
  }
  if (keep) {
    await endReply(exchange, options)
    return
  }
  exchange.response.flushHeaders()
  await linger(exchange, options.clock, options.onSent)
}

function composeHeaders(
  reply: Reply,
  { headers, lastOnConnection }: SendOptions,
  keep: boolean,
): Record<string, string> {
  const all: Record<string, string> = { ...headers, ...reply.headers, ...lengthHeaders(reply) }
  if (!keep || lastOnConnection) all.connection = 'close'
  return all
}

function lengthHeaders({ status, headers, body }: Reply): Record<string, string> {
  if (body?.kind === 'text') return { 'content-length': String(Buffer.byteLength(body.text)) }
  if (body?.kind === 'stream') return { 'content-length': String(body.bytes) }
  if (body?.kind === 'trickle') return {}
  if (status === 204 || status === 304 || headers?.['content-length'] !== undefined) return {}
  return { 'content-length': '0' }
}

type HeadedReply = Reply & { headers: Record<string, string> }

function sendText(
  { request, response }: Exchange,
  { status, headers, body }: HeadedReply,
  { onBytes }: SendOptions,
): void {
  response.writeHead(status, headers)
  if (body?.kind !== 'text' || request.method === 'HEAD') return
  // As bytes: Node would send the head together with a text, and encode the UTF-8 in it once more.
  const bytes = Buffer.from(body.text)
  response.write(bytes)
  onBytes(bytes.length)
}

/** Each text goes out when it comes; there is too little of it for back-pressure. */
async function sendTrickle(
  { response }: Exchange,
  { status, headers, body }: HeadedReply & { body: Extract<Reply['body'], { kind: 'trickle' }> },
  { onBytes }: SendOptions,
): Promise<void> {
  response.writeHead(status, headers)
  for await (const text of body.chunks) {
    response.write(text)
    onBytes(Buffer.byteLength(text))
  }
}

/** The first chunk is awaited before the head is sent: until then the reply can still become an error. */
async function sendStream(
  { response }: Exchange,
  { status, headers, body }: HeadedReply & { body: Extract<Reply['body'], { kind: 'stream' }> },
  { onBytes, signal }: SendOptions,
): Promise<void> {
  const chunks = body.chunks[Symbol.asyncIterator]()
  let left = body.bytes
  let whole = false
  try {
    let next = await chunks.next()
    signal.throwIfAborted()
    response.writeHead(status, headers)
    while (next.done !== true) {
      left -= next.value.length
      if (left < 0) break
      onBytes(next.value.length)
      if (!response.write(next.value)) await once(response, 'drain', { signal })
      next = await chunks.next()
    }
    if (left !== 0) throw new Error(`the stream of a reply is ${-left} bytes longer than announced`)
    whole = true
  } finally {
    if (!whole) await chunks.return?.()
  }
}

async function endReply({ request, response }: Exchange, options: SendOptions): Promise<void> {
  // What is left of the body is small: it is read and forgotten, and the connection can be used again.
  request.resume()
  response.end()
  await finished(response)
  options.onSent()
}
