// The gateway's HTTP server on Node's own: its limits are Node's, and so is its parser.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { kibibytes } from '../../kit/bytes.ts'
import {
  BACKLOG,
  type BadRequest,
  type HttpHandlers,
  type HttpServer,
  type HttpServerOptions,
} from '../exchange.ts'
import { Handshakes } from '../handshakes.ts'
import { GatewayRequest } from './gateway-request.ts'
import { NodeExchange, NodeResponse } from './node-exchange.ts'

type Plain = Server<typeof GatewayRequest, typeof NodeResponse>
type Secure = TlsServer<typeof GatewayRequest, typeof NodeResponse>

/** A server on node:http, or node:https. */
export function createNodeServer(options: HttpServerOptions, handlers: HttpHandlers): HttpServer {
  const server = openServer(options)
  serveRequests(server, handlers)
  const handshakes = options.tls === undefined ? undefined : new Handshakes(server as Secure)
  server.on('clientError', (error, socket) => answerParserError(error, socket as Socket, handlers))
  return {
    listen: async ({ address, port }) => {
      server.listen({ host: address, port, backlog: BACKLOG })
      // Rejects when the server says `error` instead.
      await once(server, 'listening')
      return { port: (server.address() as AddressInfo).port }
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      handshakes?.close()
      await closed
    },
    closeIdle: () => server.closeIdleConnections(),
    closeAll: () => server.closeAllConnections(),
    reloadTls: (keys) => {
      if ('setSecureContext' in server) server.setSecureContext(keys)
    },
  }
}

function openServer(options: HttpServerOptions): Plain | Secure {
  const http = {
    IncomingMessage: GatewayRequest,
    ServerResponse: NodeResponse,
    maxHeaderSize: options.headBytesMax,
    headersTimeout: options.headersMs,
    keepAliveTimeout: options.keepAliveMs,
    // Uploads take as long as they take; silence is what ends them (body/incoming.ts).
    requestTimeout: 0,
    highWaterMark: kibibytes(256),
  }
  const server =
    options.tls === undefined
      ? createServer(http)
      : createTlsServer({ ...http, ...options.tls, handshakeTimeout: 30_000 })
  server.timeout = options.socketIdleMs
  server.maxConnections = options.connections
  // Node drops headers beyond 2,000 without a word, signed ones and lengths among them. Their bytes are bounded above.
  server.maxHeadersCount = 0
  return server
}

function serveRequests(server: Plain | Secure, { serve }: HttpHandlers): void {
  const serveAs =
    (awaitsContinue: boolean) =>
    (request: GatewayRequest, response: NodeResponse): void =>
      serve(new NodeExchange(request, response, awaitsContinue))
  server.on('request', serveAs(false))
  server.on('checkContinue', serveAs(true))
  // Expectations that nobody knows are passed over, as on AWS.
  server.on('checkExpectation', serveAs(false))
}

/** What Node's parser refuses never becomes a request: it is answered on the bare socket; one that already carries a reply is only closed. */
function answerParserError(trouble: BadRequest, socket: Socket, { refuse }: HttpHandlers): void {
  // Node keeps the reply that is being written there; two heads on one socket would be garbage.
  const replying = (socket as Socket & { _httpMessage?: { headersSent: boolean } })._httpMessage
  const answer = refuse(trouble, replying !== undefined)
  if (!socket.writable || trouble.code === 'ECONNRESET' || replying?.headersSent === true) {
    socket.destroy()
    return
  }
  socket.end(answer, 'latin1')
}
