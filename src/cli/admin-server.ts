// The admin port: metrics for Prometheus, and whether the process lives and is ready. No S3, no secrets.
import fastify, { type FastifyInstance } from 'fastify'
import type { Registry } from '../kit/metrics.ts'

/** How the store stands, for /health/ready. */
export interface Readiness {
  ready: boolean
  /** One sentence each, empty when nothing is missing. */
  degraded: readonly string[]
}

/** A server that is not listening yet. */
export function createAdminServer(
  registry: Pick<Registry, 'contentType' | 'metrics'>,
  readiness: () => Readiness | Promise<Readiness>,
): FastifyInstance {
  const server = fastify({ logger: false, forceCloseConnections: true })
  server.get('/metrics', async (_request, reply) => {
    return reply.type(registry.contentType).send(await registry.metrics())
  })
  server.get('/health/live', async () => ({ status: 'live' }))
  server.get('/health/ready', async (_request, reply) => {
    const { ready, degraded } = await readiness()
    const status = ready ? (degraded.length > 0 ? 'degraded' : 'ready') : 'not ready'
    return reply.code(ready ? 200 : 503).send({ status, degraded })
  })
  return server
}
