// One request over node:http or node:https, for what fetch can not do: certificates of a client, and answers that come
// line by line for as long as they are wanted. Used by kit/world.ts alone.
import { type IncomingMessage, request as requestPlain } from 'node:http'
import { Agent, request as requestTls } from 'node:https'

/** Who we are to a server and whom we believe, as PEM. Without `ca` those that the system trusts. */
export interface ClientTls {
  ca?: string
  /** With its key, for servers that ask who we are. */
  cert?: string
  key?: string
}

/** What is sent. */
export interface ExchangeRequest {
  method: string
  url: string
  headers: Record<string, string>
  body?: string
  tls?: ClientTls
}

// Connections are kept by the certificates that they were made with.
const agents = new WeakMap<ClientTls, Agent>()

/** Sends a request and resolves with the head of the answer. `signal` ends all of it, the answer too. */
export function exchange(request: ExchangeRequest, signal: AbortSignal): Promise<IncomingMessage> {
  const { url, method, headers, body = '', tls } = request
  const withLength = { ...headers, 'content-length': `${Buffer.byteLength(body)}` }
  const common = { method, headers: withLength, signal }
  return new Promise((resolve, reject) => {
    const sent = url.startsWith('https:')
      ? requestTls(url, { ...common, ...(tls ? { agent: agentFor(tls) } : {}) })
      : requestPlain(url, common)
    sent.once('response', resolve)
    sent.on('error', reject)
    sent.end(body)
  })
}

/** The lines of an answer as they come, without their ends. Throws when one has more than `maxBytes`. */
export async function* linesOf(answer: IncomingMessage, maxBytes: number): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let bytes = 0
  try {
    for await (const part of answer as AsyncIterable<Buffer>) {
      let from = 0
      for (let end = part.indexOf(10); end >= 0; end = part.indexOf(10, from)) {
        yield Buffer.concat([...parts, part.subarray(from, end)]).toString('utf8')
        parts = []
        bytes = 0
        from = end + 1
      }
      bytes += part.length - from
      if (bytes > maxBytes) throw new Error(`a line is longer than ${maxBytes} bytes`)
      if (from < part.length) parts.push(part.subarray(from))
    }
    if (bytes > 0) yield Buffer.concat(parts).toString('utf8')
  } finally {
    answer.destroy()
  }
}

function agentFor(tls: ClientTls): Agent {
  const known = agents.get(tls)
  if (known) return known
  const agent = new Agent({ ...tls, keepAlive: true })
  agents.set(tls, agent)
  return agent
}
