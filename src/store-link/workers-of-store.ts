// S3 over a store by several processes: this one keeps the store, workers speak S3 and ask it over links.
import { Exit, type ExitCode } from '../exit.ts'
import type { AdminApi } from '../gateway/admin-api.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import type { World } from '../kit/world.ts'
import type { Objects } from '../objects/objects.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { SummedMetrics } from '../workers/summed-metrics.ts'
import {
  WorkerProcesses,
  type WorkersEnd,
  type WorkersOptions,
} from '../workers/worker-processes.ts'
import { BucketNews } from './bucket-news.ts'
import type { Welcome } from './calls.ts'
import { Windows } from './flow.ts'
import { ObjectNews, type ObjectNewsParts } from './object-news.ts'
import { LinkServer } from './serve-link.ts'

/** The store that workers ask, with its administration, its credentials, and who tells of its changes. */
export interface StoreWorkersParts {
  world: World
  log: Log
  registry: Registry
  objects: Objects
  coordinator: Coordinator
  changes: ObjectNewsParts['changes']
  admin: AdminApi
  credentials: Welcome['credentials']
  /** They can not serve on. */
  onFailed(failed: Exit): void
}

/** S3 that workers serve. */
export interface ServedByWorkers {
  endpoint: string
  /** Of all processes, as text for Prometheus. */
  metrics(): Promise<string>
  pids(): number[]
  restarts(): number
  close(options: { deadlineMs: number }): Promise<void>
}

/** Starts them. Throws Exit when that can not be. */
export async function serveByWorkers(
  options: WorkersOptions,
  parts: StoreWorkersParts,
): Promise<ServedByWorkers> {
  const { registry } = parts
  const { credentials } = parts
  const news = new BucketNews(parts)
  const objectNews = new ObjectNews(parts)
  const windows = new Windows()
  const summed = new SummedMetrics(registry)
  const workers = new WorkerProcesses(options, {
    ...parts,
    onLink: (link, kill) =>
      new LinkServer(link, { ...parts, news, objectNews, windows, credentials, kill }),
    onEnd: (pid) => summed.retire(pid),
  })
  const close = async (closing: { deadlineMs: number }): Promise<void> => {
    await workers.close(closing)
    news.stop()
    objectNews.stop()
  }
  const started = await workers.start()
  if ('kind' in started) {
    await close({ deadlineMs: 0 })
    throw asExit(started)
  }
  void workers.failed.then((end) => parts.onFailed(asExit(end)))
  return {
    endpoint: started.endpoint,
    metrics: async () =>
      await summed.write(await workers.ask('metrics'), await registry.getMetricsAsJSON()),
    pids: () => workers.pids,
    restarts: () => workers.restarts,
    close,
  }
}

function asExit(end: WorkersEnd): Exit {
  return new Exit(end.kind === 'not-started' ? (end.code as ExitCode) : 1, end.sentence)
}
