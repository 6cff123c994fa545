// One of several processes that are a gateway together: it serves S3, and tells the first process how it does.
import { join } from 'node:path'
import { openClusterGateway } from '../cluster/gateway.ts'
import type { GatewayConfig } from '../config-cluster.ts'
import { mebibytes } from '../kit/bytes.ts'
import type { Log } from '../kit/log.ts'
import { Registry } from '../kit/metrics.ts'
import { stayAlive, type World } from '../kit/world.ts'
import type { WorkerStart } from '../workers/messages.ts'
import { orTell } from '../workers/or-tell.ts'
import { attendFirst, tellServing } from '../workers/worker-end.ts'
import { orExit } from './etcd-exit.ts'
import { gatewayLines } from './gateway-lines.ts'

// Of stripes that are written, all processes together have what one alone has; with less than this one is no use.
const POOL_BYTES = mebibytes(192)
const POOL_BYTES_MIN = mebibytes(32)

/** Serves until the first process tells it to close. */
export async function gatewayWorker(
  config: GatewayConfig,
  { index, count, port }: WorkerStart,
  { world, log }: { world: World; log: Log },
): Promise<void> {
  const registry = new Registry()
  const poolBytes = Math.max(POOL_BYTES_MIN, Math.floor(POOL_BYTES / count))
  const own = { ...config, port, ...ownState(config, index) }
  const opening = openClusterGateway(own, { world, log, registry, poolBytes })
  const gateway = await orTell(stayAlive(orExit(opening)))
  attendFirst({
    answers: {
      metrics: () => registry.getMetricsAsJSON(),
      readiness: () => gateway.readiness(),
    },
    close: (options) => gateway.close(options),
    log,
  })
  tellServing(gateway.endpoint, gatewayLines(gateway))
}

/** Processes that remember in one place would write over what the other remembers. */
function ownState(
  { stateDirectory }: GatewayConfig,
  index: number,
): Pick<GatewayConfig, 'stateDirectory'> {
  if (stateDirectory === undefined) return {}
  return { stateDirectory: index === 0 ? stateDirectory : join(stateDirectory, `worker-${index}`) }
}
