// Servers that tell what they understood: the gateway's own and Node's, behind the same interface.
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import type {
  Exchange,
  HttpHandlers,
  HttpServer,
  HttpServerOptions,
} from '../../../../src/gateway/exchange.ts'
import { createOwnServer } from '../../../../src/gateway/http1/own-server.ts'
import { createNodeServer } from '../../../../src/gateway/node-http/node-server.ts'
import { giveBack } from '../../../../src/kit/lent-bytes.ts'
import { realWorld } from '../../../../src/kit/world.ts'

export const OPTIONS: HttpServerOptions = {
  tls: undefined,
  connections: 1_000,
  headBytesMax: 65_536,
  headersMs: 60_000,
  keepAliveMs: 60_000,
  socketIdleMs: 60_000,
}

export const BODY = 'bad request'

/** What is no request is told with its code. */
export const refuse: HttpHandlers['refuse'] = ({ code }) =>
  `HTTP/1.1 400 Bad\r\ncontent-length: ${BODY.length}\r\nx-code: ${code}\r\nconnection: close\r\n\r\n${BODY}`

/** What an echo tells of a request. */
export interface Heard {
  method: string
  target: string
  headers: Record<string, string>
  body: string
}

/** Reads the body and answers with all that was understood. */
export function echo(exchange: Exchange, onBody: (body: string) => void = () => {}): void {
  const parts: Buffer[] = []
  exchange.readBody({
    take: (bytes) => {
      parts.push(Buffer.from(bytes))
      giveBack(bytes)
    },
    end: (trouble) => {
      if (trouble !== undefined) {
        exchange.destroy()
        return
      }
      const { method, target, sentHeaders } = exchange
      const body = Buffer.concat(parts).toString('latin1')
      onBody(body)
      const text = Buffer.from(JSON.stringify({ method, target, headers: sentHeaders, body }))
      exchange.writeHead(200, ['content-length', String(text.length)])
      exchange.write(text)
      exchange.end()
    },
  })
}

/** Starts a server that is closed with the test. */
export async function openServer(
  t: Test,
  which: 'own' | 'own over streams' | 'node',
  serve: HttpHandlers['serve'] = (exchange) => echo(exchange),
  options: Partial<HttpServerOptions> = {},
): Promise<{ port: number; server: HttpServer }> {
  const all = { ...OPTIONS, ...options }
  const handlers = { serve, refuse }
  const server =
    which === 'node'
      ? createNodeServer(all, handlers)
      : createOwnServer(all, handlers, {
          clock: realWorld().clock,
          readsStreams: which === 'own over streams',
        })
  const { port } = await server.listen({ address: '127.0.0.1', port: 0 })
  t.teardown(() => {
    const closed = server.close()
    server.closeAll()
    return closed
  })
  return { port, server }
}

/** A client that wants whatever comes. */
export function openClient(port: number): { socket: Socket; all: Promise<string>; text(): string } {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1')
  })
  socket.on('error', () => {}) // A reset is a server's way to close: after the answer, or in place of one.
  socket.on('end', () => socket.end())
  // Not by once(), which rejects when there was an error.
  const all = new Promise<string>((resolve) => socket.on('close', () => resolve(text)))
  return { socket, all, text: () => text }
}

/** Sends parts one by one, says that no more come, and collects what comes back. */
export async function talk(port: number, parts: readonly (string | Uint8Array)[]): Promise<string> {
  const { socket, all } = openClient(port)
  socket.setNoDelay(true)
  for (const part of parts) {
    await new Promise<void>((resolve) => socket.write(part, () => resolve()))
    await new Promise((resolve) => setImmediate(resolve))
  }
  socket.end()
  return all
}

/** What the echoes in an answer heard, in order. */
export function heardIn(answer: string): Heard[] {
  return [...answer.matchAll(/^\{"method".*\}(?=HTTP|$)/gm)].map(([text]) => JSON.parse(text))
}
