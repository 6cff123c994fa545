// The sockets of the gateway: listens, hands requests to the pipeline, bounds what a connection may do, drains.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
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
import { GatewayResponse } from './exchange.ts'
import { GatewayRequest } from './gateway-request.ts'
import { noMetrics, openMetrics } from './metrics.ts'
import type { OperationName } from './operation-names.ts'
import { Pipeline, type PipelineLimits } from './pipeline.ts'
import { shareOf } from './process-bounds.ts'
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
  /** Processes that serve the port, this one among them: they have the limits together. */
  processes?: number | undefined
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
  const limits = { ...limitsAmong(options.processes ?? 1), ...options.limits }
  const metrics = parts.registry === undefined ? noMetrics : openMetrics(parts.registry)
  const pipeline = new Pipeline({ ...options, limits }, { ...parts, metrics })
  const server = openServer(options.tls, limits)
  answerGarbage(server, parts)
  serveRequests(server, pipeline)
  return {
    listen: async ({ address, port }) => {
      server.listen({ host: address, port })
      // Rejects when the server says `error` instead.
      await once(server, 'listening')
      return { port: (server.address() as AddressInfo).port }
    },
    close: ({ deadlineMs }) => closeGateway(deadlineMs, { server, pipeline }, parts),
    reloadTls: (keys) => {
      if ('setSecureContext' in server) server.setSecureContext(keys)
    },
  }
}

/** Turns are for as many requests at least: connections go to processes in turn, and do not all ask for the same. */
const IN_FLIGHT_MIN = 32

/** What each of so many processes has. */
function limitsAmong(count: number): GatewayLimits {
  const { inFlight, waiting, connections } = LIMITS
  return {
    ...LIMITS,
    inFlight: shareOf(inFlight, { count, least: IN_FLIGHT_MIN }),
    waiting: shareOf(waiting, { count, least: IN_FLIGHT_MIN }),
    connections: shareOf(connections, { count, least: 1_000 }),
  }
}

type Plain = Server<typeof GatewayRequest, typeof GatewayResponse>
type Secure = TlsServer<typeof GatewayRequest, typeof GatewayResponse>

function openServer(tls: TlsKeys | undefined, limits: GatewayLimits): Plain | Secure {
  const http = {
    IncomingMessage: GatewayRequest,
    ServerResponse: GatewayResponse,
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

/** What Node's parser refuses never becomes a request. */
function answerGarbage(server: Plain | Secure, { world, log }: GatewayParts): void {
  const newId = (bytes: number): Buffer => asBuffer(world.random.bytes(bytes))
  const hostId = newId(32).toString('base64')
  server.on('clientError', (error, socket) => {
    const requestId = newId(8).toString('hex').toUpperCase()
    log.debug({ requestId, error: String(error) }, 'what came was no request')
    answerParserError(error, socket as Socket, {
      requestId,
      hostId,
      headerBytesMax: HEADER_BYTES_MAX,
      nowMs: world.clock.now(),
    })
  })
}

function serveRequests(server: Plain | Secure, pipeline: Pipeline): void {
  pipeline.onEnd = () => {
    if (pipeline.closing) server.closeIdleConnections()
  }
  const serve = (request: GatewayRequest, response: GatewayResponse): void =>
    pipeline.handle({ request, response, awaitsContinue: false })
  server.on('request', serve)
  server.on('checkContinue', (request: GatewayRequest, response: GatewayResponse) =>
    pipeline.handle({ request, response, awaitsContinue: true }),
  )
  // Expectations that nobody knows are passed over, as on AWS.
  server.on('checkExpectation', serve)
}

async function closeGateway(
  deadlineMs: number,
  { server, pipeline }: { server: Plain | Secure; pipeline: Pipeline },
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
  await closeServer(server)
  drained.abort()
  await cut
}

/** Ends when the last connection does; one that never listened is closed. */
async function closeServer(server: Plain | Secure): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()))
}
