// kintsugi gateway: S3 over the nodes of a cluster, in this process, or in several that it starts.
import { type ClusterGateway, openClusterGateway } from '../cluster/gateway.ts'
import { processEnvironment, unknownVariables, WORKER_VARIABLE } from '../config.ts'
import { GATEWAY_OPTIONS, type GatewayConfig, loadGatewayConfig } from '../config-cluster.ts'
import { type Log, openLog } from '../kit/log.ts'
import { Registry } from '../kit/metrics.ts'
import { realWorld, stayAlive, type World } from '../kit/world.ts'
import { readWorkerStart } from '../workers/worker-end.ts'
import { createAdminServer, listenAdmin } from './admin-server.ts'
import { endOnSignals } from './end-on-signals.ts'
import { orExit } from './etcd-exit.ts'
import { gatewayByWorkers } from './gateway-by-workers.ts'
import { gatewayLines, NOT_YET, printGateway } from './gateway-lines.ts'
import { gatewayWorker } from './gateway-worker.ts'
import { letHeapGrow } from './let-heap-grow.ts'
import { type CommandWords, loadConfig } from './load-config.ts'

/** Serves until SIGTERM or SIGINT. Throws Exit when it can not start. */
export async function gatewayProcess(words: CommandWords): Promise<void> {
  letHeapGrow()
  const world = realWorld()
  const config = await loadConfig(words, loadGatewayConfig, world)
  const parts = { world, log: openLog(config.logLevel) }
  const start = processEnvironment()[WORKER_VARIABLE]
  if (start !== undefined) return await gatewayWorker(config, readWorkerStart(start), parts)
  for (const name of unknownVariables(processEnvironment(), GATEWAY_OPTIONS)) {
    parts.log.warn({ name }, 'there is no such option: the variable is not used')
  }
  if (config.processes > 1) return await gatewayByWorkers(config, parts)
  await serveAlone(config, parts)
}

async function serveAlone(
  config: GatewayConfig,
  { world, log }: { world: World; log: Log },
): Promise<void> {
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
  printGateway({ endpoint: gateway.endpoint, lines: gatewayLines(gateway) }, adminEndpoint)
}
