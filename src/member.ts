// A store: parts built from config and world, started, closed in reverse order.
// Embedded: gateway, objects, metadata, placement and storage over local directories.
import { processEnvironment, type ServeConfig, WORKER_VARIABLE } from './config.ts'
import { prepareDigests } from './digest/digest.ts'
import { startDigestThreads, usualDigestThreads } from './digest/digest-passing.ts'
import { type AdminParts, openAdmin } from './embedded/admin.ts'
import { checkKeyFile } from './embedded/encryption-keys.ts'
import { openStore } from './embedded/open-store.ts'
import { refuseTaken } from './embedded/refuse-taken.ts'
import { type RememberedDrive, rememberDrives } from './embedded/remembered-drives.ts'
import type { Exit } from './exit.ts'
import type { StoreStatus } from './gateway/admin-api.ts'
import { ClosingStack } from './kit/closing-stack.ts'
import type { ErasureCode } from './kit/erasure-code.ts'
import type { Log } from './kit/log.ts'
import type { Registry } from './kit/metrics.ts'
import type { World } from './kit/world.ts'
import { watchUploads } from './objects/metrics.ts'
import { checkServing, createBuckets, serveS3 } from './serve-s3.ts'
import { type ServedByWorkers, serveByWorkers } from './store-link/workers-of-store.ts'

/** What the outside of a member is made of. */
export interface MemberParts {
  world: World
  log: Log
  registry: Registry
  /** How often the process was started again by its guard. */
  restarts: AdminParts['restarts']
  /** Its workers, if it has some, can not serve on. */
  onFailed(failed: Exit): void
  /** Drives of the server before this one, when that crashed. */
  remembered: readonly RememberedDrive[]
}

/** A running store. */
export interface Member {
  /** http://127.0.0.1:9000 */
  endpoint: string
  /** Of the processes that serve S3 where this one does not. */
  workerPids(): readonly number[]
  /** Of all processes, as text for Prometheus. */
  metrics(): Promise<string>
  drives: readonly { path: string }[]
  /** What the next server should know of them if this one crashes. */
  remember(): Promise<readonly RememberedDrive[]>
  code: ErasureCode
  /** Of new objects of the class REDUCED_REDUNDANCY. */
  reducedCode: ErasureCode
  /** `keptIn`: the file that holds the generated secret; undefined when the environment gave it. */
  credentials: { accessKeyId: string; keptIn?: string | undefined }
  /** True when several drives lie on one file system. */
  sharesDisk: boolean
  readiness(): { ready: boolean; degraded: readonly string[] }
  close(options: { deadlineMs: number }): Promise<void>
}

/** Opens or makes the store and serves it. Throws Exit with a sentence when that can not be. */
export async function openMember(config: ServeConfig, parts: MemberParts): Promise<Member> {
  await checkServing(config, parts.world)
  await checkKeyFile(config, parts.world)
  await prepareDigests()
  const opened = new ClosingStack()
  return await opened.guard(() => openParts(config, parts, opened))
}

async function openParts(
  config: ServeConfig,
  parts: MemberParts,
  opened: ClosingStack,
): Promise<Member> {
  const { restarts } = parts
  // Several processes have the cores for themselves.
  const threads = config.processes > 1 ? 0 : usualDigestThreads()
  const digesting = startDigestThreads(threads, parts.world.clock)
  opened.defer(() => digesting.close())
  const { storage, objects, orphans } = await openStore(
    config,
    { ...parts, beforeNew: () => tryPorts(config) },
    opened,
  )
  await createBuckets(objects, config)
  watchUploads({ ...parts, objects, clock: parts.world.clock })
  let workers: ServedByWorkers | undefined
  const processes = (): StoreStatus['processes'] =>
    workers && { pids: [process.pid, ...workers.pids()], restarts: workers.restarts() }
  const admin = openAdmin({ storage, objects, orphans, clock: storage.clock, restarts, processes })
  const served = { objects, credentials: storage.credentials, admin }
  if (config.processes > 1) {
    const { coordinator, changes } = storage
    const options = {
      ...{ count: config.processes - 1, port: config.port },
      ...{ variable: WORKER_VARIABLE, environment: processEnvironment() },
    }
    workers = await serveByWorkers(options, { ...parts, ...served, coordinator, changes })
  }
  const gateway = workers ?? (await serveS3(config, served, { ...parts, opened }))
  const { registry } = parts
  return {
    metrics: () => workers?.metrics() ?? registry.metrics(),
    workerPids: () => workers?.pids() ?? [],
    endpoint: gateway.endpoint,
    drives: storage.drives.list(),
    remember: () => rememberDrives(storage.drives.list(), parts.world),
    code: storage.coordinator.state.map.code,
    reducedCode: storage.reducedCode(),
    credentials: storage.credentials,
    sharesDisk: storage.sharesDisk,
    readiness: () => withAbsent(config.processes - 1, workers, storage.readiness()),
    close: async ({ deadlineMs }) => {
      await gateway.close({ deadlineMs })
      await opened.close()
    },
  }
}

/** Of a new store alone: one that is there is opened first, while the server before it may still be on its way out. */
function tryPorts({ address, port, adminAddress, adminPort }: ServeConfig): Promise<void> {
  return refuseTaken([
    { address, port, option: '--port' },
    { address: adminAddress, port: adminPort, option: '--admin-port' },
  ])
}

/** A port that fewer processes serve than should is served, and worse. */
function withAbsent(
  count: number,
  workers: ServedByWorkers | undefined,
  { ready, degraded }: ReturnType<Member['readiness']>,
): ReturnType<Member['readiness']> {
  const absent = workers === undefined ? 0 : count - workers.pids().length
  if (absent === 0) return { ready, degraded }
  const sentence = `${absent} of ${count} processes that serve S3 are being started again.`
  return { ready: ready && absent < count, degraded: [...degraded, sentence] }
}
