// The gateway as a whole: an HTTP server whose requests go to the pipeline, with the bounds of both, until it is drained.
import { asBuffer, kibibytes } from '../kit/bytes.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import type { Clock, World } from '../kit/world.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import type { AdminApi } from './admin-api.ts'
import type { Credentials } from './auth/credentials.ts'
import type { Operation } from './call.ts'
import { composeRefusal } from './client-error.ts'
import type { ClusterApi } from './cluster-api.ts'
import type { HttpHandlers, HttpServer, HttpServerOptions } from './exchange.ts'
import { createOwnServer } from './http1/own-server.ts'
import { noMetrics, openMetrics } from './metrics.ts'
import { createNodeServer } from './node-http/node-server.ts'
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
  // An uplink of 64 kbit/s on which ten parts are sent at once, as SDKs do, has 800 bytes a second for each.
  bodyBytesPerSecondMin: 512,
  formBytesPerSecondMin: kibibytes(4),
}

/** AWS takes 8 KiB; presigned URLs with session tokens and long metadata shall not fail for a few bytes. */
const HEADER_BYTES_MAX = kibibytes(64)

/** How a gateway is set up. A limit that is named is that of this process; others are its share of the usual ones. */
export interface GatewayOptions {
  /** Hosts under which buckets are sub-domains: `photos.localhost` with domain `localhost`. */
  domains: readonly string[]
  /** Any region is accepted in signatures unless `enforced`. */
  region: { name: string; enforced: boolean }
  credentials: Credentials
  /** AWS's own answers only, where the store is otherwise more generous (docs/operations.md). */
  strict: boolean
  limits?: Partial<GatewayLimits> | undefined
  /** Processes that serve the port, this one among them: they share the limits that `limits` does not name. */
  processes?: number | undefined
  /** Who reads and writes HTTP: the gateway's own rooms on bare sockets, or Node. */
  http?: 'own' | 'node' | undefined
  /** https when given. */
  tls?: TlsKeys | undefined
}

/** What the gateway is made of. Without `registry` nothing is counted. */
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
  const server = openServer(options, limits, {
    handlers: { serve: (exchange) => pipeline.handle(exchange), refuse: refusals(parts) },
    clock: parts.world.clock,
  })
  pipeline.onEnd = () => {
    if (pipeline.closing) server.closeIdle()
  }
  return {
    listen: (where) => server.listen(where),
    close: ({ deadlineMs }) => closeGateway(deadlineMs, { server, pipeline }, parts),
    reloadTls: (keys) => server.reloadTls(keys),
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

function openServer(
  { tls, http }: GatewayOptions,
  { connections, headersMs, keepAliveMs, socketIdleMs }: GatewayLimits,
  { handlers, clock }: { handlers: HttpHandlers; clock: Clock },
): HttpServer {
  const limits = { connections, headersMs, keepAliveMs, socketIdleMs }
  const options: HttpServerOptions = { tls, headBytesMax: HEADER_BYTES_MAX, ...limits }
  if (http === 'node') return createNodeServer(options, handlers)
  return createOwnServer(options, handlers, { clock })
}

/** Answers to what is no request. */
function refusals({ world, log }: GatewayParts): HttpHandlers['refuse'] {
  const newId = (bytes: number): Buffer => asBuffer(world.random.bytes(bytes))
  const hostId = newId(32).toString('base64')
  return (trouble, inBody) => {
    const requestId = newId(8).toString('hex').toUpperCase()
    log.debug({ requestId, error: String(trouble) }, 'what came was no request')
    const nowMs = world.clock.now()
    return composeRefusal(trouble, {
      ...{ requestId, hostId, nowMs, inBody },
      headerBytesMax: HEADER_BYTES_MAX,
    })
  }
}

async function closeGateway(
  deadlineMs: number,
  { server, pipeline }: { server: HttpServer; pipeline: Pipeline },
  { world, log }: GatewayParts,
): Promise<void> {
  pipeline.closing = true
  const drained = new AbortController()
  const cut = world.clock.sleep(deadlineMs, drained.signal).then(
    () => {
      log.warn({ deadlineMs }, 'requests under way were broken off: the time to close was over')
      server.closeAll()
    },
    () => undefined, // Everything was drained before the deadline.
  )
  await server.close()
  drained.abort()
  await cut
}
