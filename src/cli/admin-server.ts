// The admin port: metrics for Prometheus, and whether the process lives and is ready. No S3, no secrets.
import type { AddressInfo } from 'node:net'
import fastify, { type FastifyInstance } from 'fastify'
import { portTaken } from '../exit.ts'
import type { Registry } from '../kit/metrics.ts'
import { originOf } from '../kit/origin.ts'

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

/** Listens; returns the origin, with the address that is listened on. Throws Exit where that can not be. */
export async function listenAdmin(
  admin: FastifyInstance,
  { adminAddress: address, adminPort: wanted }: { adminAddress: string; adminPort: number },
): Promise<string> {
  try {
    await admin.listen({ host: address, port: wanted })
  } catch (error) {
    throw portTaken(error, { address, port: wanted, option: '--admin-port' })
  }
  const { port } = admin.server.address() as AddressInfo
  return originOf('http', { address, port })
}
