// A gateway of several processes: this one serves no S3, it keeps the workers that do, and speaks for them on the admin port.
import { processEnvironment, WORKER_VARIABLE } from '../config.ts'
import type { GatewayConfig } from '../config-cluster.ts'
import { Exit, type ExitCode } from '../exit.ts'
import type { Log } from '../kit/log.ts'
import { computedCounter, computedGauge, Registry } from '../kit/metrics.ts'
import { stayAlive, type World } from '../kit/world.ts'
import { SummedMetrics } from '../workers/summed-metrics.ts'
import { WorkerProcesses, type WorkersEnd } from '../workers/worker-processes.ts'
import { createAdminServer, listenAdmin, type Readiness } from './admin-server.ts'
import { DRAIN_MS, endOnSignals } from './end-on-signals.ts'
import { NOT_YET, printGateway } from './gateway-lines.ts'

/** Serves until SIGTERM or SIGINT. Throws Exit when it can not start, or when its workers end again and again. */
export async function gatewayByWorkers(
  config: GatewayConfig,
  { world, log }: { world: World; log: Log },
): Promise<void> {
  const registry = new Registry()
  const summed = new SummedMetrics(registry)
  const { processes: count, port } = config
  const workers = new WorkerProcesses(
    { count, port, variable: WORKER_VARIABLE, environment: processEnvironment() },
    { world, log, onEnd: (pid) => summed.retire(pid) },
  )
  listWorkerMetrics(workers, registry)
  const metrics = async (): Promise<string> =>
    await summed.write(await workers.ask('metrics'), await registry.getMetricsAsJSON())
  const { contentType } = registry
  const admin = createAdminServer({ contentType, metrics }, () => readinessOf(workers, count))
  const adminEndpoint = await listenAdmin(admin, config)
  endOnSignals({ what: 'the gateway', member: workers, admin, log })
  const started = await stayAlive(workers.start())
  if ('kind' in started) return await giveUp(started, workers)
  const pids = `Processes     ${count} on one port (${workers.pids.join(', ')})`
  printGateway({ ...started, lines: [...started.lines, pids] }, adminEndpoint)
  await giveUp(await workers.failed, workers)
}

function listWorkerMetrics(workers: WorkerProcesses, registry: Registry): void {
  const serving = {
    name: 'kintsugi_workers_serving',
    help: 'Processes that serve the port now',
    value: () => workers.pids.length,
  }
  computedGauge(serving, registry)
  const restarts = {
    name: 'kintsugi_worker_restarts_total',
    help: 'How often one of them ended by itself and was started again',
    value: () => workers.restarts,
  }
  computedCounter(restarts, registry)
}

/** Ready as soon as one is: it has the port. */
async function readinessOf(workers: WorkerProcesses, count: number): Promise<Readiness> {
  const told = (await workers.ask('readiness')).map(({ answer }) => answer)
  if (told.length === 0) return NOT_YET
  const absent = count - told.length
  const degraded = new Set(told.flatMap((one) => one.degraded))
  if (absent > 0) degraded.add(`${absent} of ${count} processes do not answer, or start again.`)
  return { ready: told.some(({ ready }) => ready), degraded: [...degraded] }
}

async function giveUp(end: WorkersEnd, workers: WorkerProcesses): Promise<never> {
  await workers.close({ deadlineMs: DRAIN_MS })
  throw new Exit(end.kind === 'not-started' ? (end.code as ExitCode) : 1, end.sentence)
}
