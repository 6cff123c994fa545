// A worker of a store in several processes: the gateway over a store that the first process has.
import type { ServeConfig } from './config.ts'
import { prepareDigests } from './digest/digest.ts'
import { ClosingStack } from './kit/closing-stack.ts'
import type { Log } from './kit/log.ts'
import { Registry } from './kit/metrics.ts'
import type { World } from './kit/world.ts'
import { serveS3 } from './serve-s3.ts'
import { LinkMemory } from './store-link/link-memory.ts'
import { linkStore } from './store-link/linked-store.ts'
import { openWorkerCache } from './store-link/worker-cache.ts'
import type { WorkerStart } from './workers/messages.ts'
import { attendFirst, openLink, tellServing } from './workers/worker-end.ts'

/** Serves until the first process tells it to close, or is gone. Throws Exit when it can not start. */
export async function openWorker(
  config: ServeConfig,
  { port, count }: WorkerStart,
  { world, log }: { world: World; log: Log },
): Promise<void> {
  await prepareDigests()
  const opened = new ClosingStack()
  const registry = new Registry()
  // Whoever can not ask the store serves nobody: the first process starts another one, if it is there.
  const memory = new LinkMemory()
  const blobCache = openWorkerCache(count, registry)
  const { clock } = world
  const linked = { onEnd: () => process.exit(1), memory, blobCache, clock }
  const store = await linkStore(openLink(memory), linked)
  const served = await serveS3({ ...config, port }, store, {
    ...{ world, log, registry, opened },
    processes: count,
  })
  attendFirst({
    answers: {
      metrics: () => registry.getMetricsAsJSON(),
      readiness: () => ({ ready: true, degraded: [] }),
    },
    close: async (options) => {
      await served.close(options)
      await opened.close()
    },
    log,
  })
  tellServing(served.endpoint, [])
}
