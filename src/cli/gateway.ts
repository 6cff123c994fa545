// kintsugi gateway: S3 over the nodes of a cluster.
import type { FastifyInstance } from 'fastify'
import { type ClusterGateway, openClusterGateway } from '../cluster/gateway.ts'
import { processEnvironment, unknownVariables } from '../config.ts'
import { GATEWAY_OPTIONS, type GatewayConfig, loadGatewayConfig } from '../config-cluster.ts'
import { portTaken } from '../exit.ts'
import { openLog } from '../kit/log.ts'
import { Registry } from '../kit/metrics.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import { createAdminServer, type Readiness } from './admin-server.ts'
import { endOnSignals } from './end-on-signals.ts'
import { orExit } from './etcd-exit.ts'
import { type CommandWords, loadConfig } from './load-config.ts'

/** Serves until SIGTERM or SIGINT. Throws Exit when it can not start. */
export async function gatewayProcess(words: CommandWords): Promise<void> {
  const world = realWorld()
  const config = await loadConfig(words, loadGatewayConfig, world)
  const log = openLog(config.logLevel)
  for (const name of unknownVariables(processEnvironment(), GATEWAY_OPTIONS)) {
    log.warn({ name }, 'there is no such option: the variable is not used')
  }
  const registry = new Registry()
  let gateway: ClusterGateway | undefined
  const admin = createAdminServer(registry, () => gateway?.readiness() ?? NOT_YET)
  // Before the gateway: it may have to wait for the first nodes of its cluster, and whoever looks shall see that.
  const adminEndpoint = await listenAdmin(admin, config)
  const member = {
    close: async (options: { deadlineMs: number }) => await gateway?.close(options),
  }
  endOnSignals({ what: 'the gateway', member, admin, log })
  gateway = await stayAlive(orExit(openClusterGateway(config, { world, log, registry })))
  printGateway(gateway, adminEndpoint)
}

const NOT_YET: Readiness = {
  ready: false,
  degraded: ['The gateway is starting: it waits for etcd, or for the first nodes of the cluster.'],
}

async function listenAdmin(
  admin: FastifyInstance,
  { address, adminPort: port }: GatewayConfig,
): Promise<string> {
  try {
    return await admin.listen({ host: address, port })
  } catch (error) {
    throw portTaken(error, { address, port, option: '--admin-port' })
  }
}

function printGateway({ endpoint, clusterId, readiness }: ClusterGateway, admin: string): void {
  const lines = [
    `S3 endpoint   ${endpoint}`,
    `Admin         ${admin}`,
    `Cluster       ${clusterId}`,
    ...readiness().degraded,
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
