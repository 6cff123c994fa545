// The sockets of the gateway: listens, hands requests to the pipeline, bounds what a connection may do, drains.
// fastify holds the server; nothing of its routing or parsing may touch an S3 request: every reply is hijacked.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import fastify, { type FastifyInstance } from 'fastify'
import { asBuffer, kibibytes } from '../kit/bytes.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import type { World } from '../kit/world.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import type { AdminApi } from './admin-api.ts'
import type { Credentials } from './auth/credentials.ts'
import type { Operation } from './call.ts'
import { answerParserError } from './client-error.ts'
import type { ClusterApi } from './cluster-api.ts'
import { noMetrics, openMetrics } from './metrics.ts'
import type { OperationName } from './operation-names.ts'
import { Pipeline, type PipelineLimits } from './pipeline.ts'
import type { TlsKeys } from './tls-files.ts'

/** Bounds of the gateway. */
export interface GatewayLimits extends PipelineLimits {
  connections: number
  /** A request whose head takes longer is given up. */
  headersMs: number
  /** A connection without requests is closed after it: longer than balancers keep theirs (pitfall 48). */
  keepAliveMs: number
  /** A connection on which nothing at all moves for so long is broken off: a client that does not read. */
  socketIdleMs: number
}

const LIMITS: GatewayLimits = {
  connections: 10_000,
  headersMs: 60_000,
  keepAliveMs: 76_000,
  socketIdleMs: 10 * 60_000,
  inFlight: 256,
  waiting: 256,
  waitMs: 30_000,
  bodyIdleMs: 60_000,
  formBytesPerSecondMin: kibibytes(4),
}

/** AWS takes 8 KiB; presigned URLs with session tokens and long metadata shall not fail for a few bytes. */
const HEADER_BYTES_MAX = kibibytes(64)

export interface GatewayOptions {
  /** Hosts under which buckets are sub-domains: `photos.localhost` with domain `localhost`. */
  domains: readonly string[]
  /** Any region is accepted in signatures unless `enforced`. */
  region: { name: string; enforced: boolean }
  credentials: Credentials
  /** AWS's own answers only, where the store is otherwise more generous (docs/operations.md). */
  strict: boolean
  limits?: Partial<GatewayLimits> | undefined
  /** https when given. */
  tls?: TlsKeys | undefined
}

export interface GatewayParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  objects: ObjectStore
  operations: Readonly<Record<OperationName, Operation>>
  registry?: Registry | undefined
  /** Serves /_kintsugi/v1/ when given. */
  admin?: AdminApi | ClusterApi | undefined
}

/** A gateway that serves S3 once it listens. */
export interface Gateway {
  /** Port 0 takes a free one. Rejects with the system's `code`, such as EADDRINUSE. */
  listen(where: { address: string; port: number }): Promise<{ port: number }>
  /** Takes no more requests, lets those under way finish, breaks off what is left after `deadlineMs`. */
  close(options: { deadlineMs: number }): Promise<void>
  /** New connections use the new certificate. Throws when it does not fit its key. */
  reloadTls(keys: TlsKeys): void
}

/** Builds a gateway. */
export function createGateway(options: GatewayOptions, parts: GatewayParts): Gateway {
  const limits = { ...LIMITS, ...options.limits }
  const metrics = parts.registry === undefined ? noMetrics : openMetrics(parts.registry)
  const pipeline = new Pipeline({ ...options, limits }, { ...parts, metrics })
  const server = openServer(options.tls, limits)
  const app = openApp(server, parts)
  serveRequests(server, app, pipeline)
  return {
    listen: async ({ address, port }) => {
      await app.listen({ host: address, port })
      return { port: (server.address() as AddressInfo).port }
    },
    close: ({ deadlineMs }) => closeGateway(deadlineMs, { app, server, pipeline }, parts),
    reloadTls: (keys) => {
      if ('setSecureContext' in server) server.setSecureContext(keys)
    },
  }
}

function openServer(tls: TlsKeys | undefined, limits: GatewayLimits): Server | TlsServer {
  const http = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: limits.headersMs,
    keepAliveTimeout: limits.keepAliveMs,
    // Uploads take as long as they take; silence is what ends them (body/incoming.ts).
    requestTimeout: 0,
    highWaterMark: kibibytes(256),
  }
  const server =
    tls === undefined
      ? createServer(http)
      : createTlsServer({ ...http, ...tls, handshakeTimeout: 30_000 })
  server.timeout = limits.socketIdleMs
  server.maxConnections = limits.connections
  // Node drops headers beyond 2,000 without a word, signed ones and lengths among them. Their bytes are bounded above.
  server.maxHeadersCount = 0
  return server
}

function openApp(server: Server, { world, log }: GatewayParts): FastifyInstance {
  const newId = (bytes: number): Buffer => asBuffer(world.random.bytes(bytes))
  const hostId = newId(32).toString('base64')
  return fastify({
    serverFactory: (handler) => server.on('request', handler),
    // fastify never sees the URL: what it would refuse, fold or decode is S3's to judge.
    rewriteUrl: () => '/',
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: (error, socket) => {
      const requestId = newId(8).toString('hex').toUpperCase()
      log.debug({ requestId, error: String(error) }, 'what came was no request')
      answerParserError(error, socket as Socket, {
        requestId,
        hostId,
        headerBytesMax: HEADER_BYTES_MAX,
        nowMs: world.clock.now(),
      })
    },
  })
}

function serveRequests(server: Server, app: FastifyInstance, pipeline: Pipeline): void {
  const waitForContinue = new WeakSet<IncomingMessage>()
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waitForContinue.add(request)
    server.emit('request', request, response)
  })
  // Expectations that nobody knows are passed over, as on AWS.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    server.emit('request', request, response)
  })
  app.addHook('onRequest', (request, reply, _done) => {
    reply.hijack()
    const { raw } = request
    raw.url = request.originalUrl
    const exchange = {
      request: raw,
      response: reply.raw,
      awaitsContinue: waitForContinue.has(raw),
    }
    void pipeline.handle(exchange).then(() => {
      if (pipeline.closing) server.closeIdleConnections()
    })
  })
}

async function closeGateway(
  deadlineMs: number,
  { app, server, pipeline }: { app: FastifyInstance; server: Server; pipeline: Pipeline },
  { world, log }: GatewayParts,
): Promise<void> {
  pipeline.closing = true
  const drained = new AbortController()
  const cut = world.clock.sleep(deadlineMs, drained.signal).then(
    () => {
      log.warn({ deadlineMs }, 'requests under way were broken off: the time to close was over')
      server.closeAllConnections()
    },
    () => undefined, // Everything was drained before the deadline.
  )
  await app.close()
  drained.abort()
  await cut
}
