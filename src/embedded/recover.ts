// The last resort: metadata partitions of which no replica is left are made again from the last dump and from what shards say
// of themselves. No shard is written or deleted, and no partition that has a replica is touched. What was made counts with
// one decision of the coordinator at the end, so that it can be begun again after a crash at any point.
import { loadServeConfig, type ServeConfig } from '../config.ts'
import { prepareDigests } from '../digest/digest.ts'
import { Exit } from '../exit.ts'
import { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import { rebuildRows } from '../metadata/rebuild/rebuild-rows.ts'
import type { RebuildReport } from '../metadata/rebuild/remains.ts'
import type { ClusterState, Coordinator, Replica } from '../placement/coordinator.ts'
import { replaceReplicas } from '../placement/coordinator-changes.ts'
import { chooseReplicas } from '../placement/coordinator-replicas.ts'
import type { Drive } from '../storage-node/drive.ts'
import { findDumps } from '../storage-node/dump/dump-files.ts'
import { MetadataHost } from '../storage-node/metadata-host/metadata-host.ts'
import { gatherBlobs, wholeShards } from './find-blobs.ts'
import { readNewest } from './newest-dump.ts'
import { ReadShards } from './read-shards.ts'
import { type RemadeCoordinator, remakeCoordinator } from './remake-coordinator.ts'
import { inspectOne, startStore } from './start-store.ts'

/** What is to be done. */
export interface RecoverRequest {
  directories: readonly string[]
  /** `plan`: only look what is lost. `rehearse`: make everything but keep nothing. */
  mode: 'plan' | 'rehearse' | 'recover'
  /** Drives that are missing are gone for good: a state of the coordinator that only they had is made again. */
  withoutMissing?: boolean
}

/** A lost partition and what became of it. */
export interface RecoveredPartition {
  partition: number
  /** When the dump was taken that it begins with; absent: there is none. */
  dumpMs?: number
  /** Entries of logs that were applied to the dump. */
  replayed?: number
  /** Absent as long as it is only planned. */
  report?: RebuildReport
}

/** How it ended; no partitions: none was lost. */
export interface RecoverOutcome {
  mode: RecoverRequest['mode']
  /** Absent: the coordinator's state was there. Without `recover` nothing is known of the partitions before it is made. */
  coordinator?: RemadeCoordinator
  partitions: RecoveredPartition[]
  /** Names of buckets by id, for who reads the report. */
  buckets: Record<number, string>
}

interface RecoverParts {
  world: World
  log: Log
}

interface Opened extends RecoverParts {
  drives: readonly Drive[]
  shards: ReadShards
  host: MetadataHost
  state: ClusterState
}

/** Rows written to a replica at once. */
const BATCH_ROWS = 256

/** Recovers what is lost in the store of these drives. Throws Exit, with code 3 while a store runs on them. */
export async function recover(
  request: RecoverRequest,
  parts: RecoverParts,
): Promise<RecoverOutcome> {
  await prepareDigests()
  await refuseNothing(request.directories, parts.world)
  const config = await loadServeConfig({
    ...{ directories: request.directories, options: {}, environment: {} },
    readFile: async () => '',
  })
  const { directories, mode, withoutMissing = false } = request
  const write = mode === 'recover'
  const { region } = config
  const remade = await remakeCoordinator({ directories, write, withoutMissing, region }, parts)
  if (remade && !write) return { mode, coordinator: remade, partitions: [], buckets: {} }
  const outcome = await recoverPartitions(request, config, parts)
  return remade ? { ...outcome, coordinator: remade } : outcome
}

async function recoverPartitions(
  request: RecoverRequest,
  config: ServeConfig,
  parts: RecoverParts,
): Promise<RecoverOutcome> {
  const opened = new ClosingStack()
  const { drives, coordinator } = await startStore(config, parts)
  for (const drive of drives) opened.defer(() => drive.close())
  opened.defer(() => coordinator.close())
  return await opened.guard(async () => {
    const made = new Map<number, readonly Replica[]>()
    const outcome = await withMetadata({ ...parts, drives, coordinator }, (all) =>
      recoverAll(request, all, made),
    )
    // Only now does anybody believe what was made.
    if (made.size > 0) await coordinator.decide(replaceReplicas(made, parts.world.clock.now()))
    await opened.close()
    return outcome
  })
}

/** A start makes a store of empty directories: not here. */
async function refuseNothing(directories: readonly string[], world: World): Promise<void> {
  if (directories.length === 0) throw new Exit(2, 'the directories of all drives are to be given.')
  for (const path of directories) if ((await inspectOne(path, world)).kind === 'formatted') return
  throw new Exit(4, `${directories.join(', ')}: none of these directories is a kintsugi drive.`)
}

/** Opens shards and metadata, and closes both before the coordinator is asked for anything. */
async function withMetadata(
  parts: RecoverParts & {
    drives: readonly Drive[]
    coordinator: Coordinator
  },
  work: (opened: Opened) => Promise<RecoverOutcome>,
): Promise<RecoverOutcome> {
  const { world, log, drives, coordinator } = parts
  const opened = new ClosingStack()
  return await opened.guard(async () => {
    const shards = await ReadShards.open(drives, { world, log }, opened)
    const { state } = coordinator
    shards.refuseTooFew(state)
    const replicaCount = state.map.code.parityCount + 1
    const byId = new Map(drives.map((drive) => [drive.id, drive]))
    const host = await MetadataHost.open(
      { drives: byId, coordinator, log, replicaCount },
      { world },
    )
    opened.defer(() => host.close())
    const outcome = await work({ world, log, drives, shards, host, state: coordinator.state })
    await opened.close()
    return outcome
  })
}

async function recoverAll(
  { mode }: RecoverRequest,
  opened: Opened,
  made: Map<number, readonly Replica[]>,
): Promise<RecoverOutcome> {
  const { host, state, shards, world, drives } = opened
  refuseAbsent(host)
  const dumps = await findDumps(drives, world)
  const partitions: RecoveredPartition[] = []
  for (const partition of host.lost.keys()) {
    const found = await readNewest(dumps, partition, opened)
    const dumped = found ? { dumpMs: found.takenMs, replayed: found.replayed } : {}
    if (mode === 'plan') {
      partitions.push({ partition, ...dumped })
      continue
    }
    const blobs = await gatherBlobs(
      shards.all((store, driveId) => wholeShards(partition, { driveId, store, map: state.map })),
    )
    shards.refuseTooFew(state)
    const { rows, report } = await rebuildRows({
      ...(found ? { dump: found } : {}),
      blobs,
      buckets: bucketsOf(state),
      nowMs: world.clock.now(),
    })
    partitions.push({ partition, ...dumped, report })
    if (mode !== 'recover') continue
    const { map, metaPartitions } = state
    // A start puts a drive aside whose shards do not open.
    const usable = { ...map, drives: map.drives.filter(({ id }) => shards.has(id)) }
    const replicas = chooseReplicas(usable, partition, map.code.parityCount + 1, world.random)
    const position = { epoch: metaPartitions[partition]!.epoch + 1, sequence: 1 }
    const batches = Array.from({ length: Math.ceil(rows.length / BATCH_ROWS) }, (_, at) =>
      rows.slice(at * BATCH_ROWS, (at + 1) * BATCH_ROWS),
    )
    await host.rebuild(partition, { position, rows: batches }, replicas)
    made.set(partition, replicas)
  }
  const names = Object.values(state.buckets).map(({ id, name }) => [id, name] as const)
  return { mode, partitions, buckets: Object.fromEntries(names) }
}

/** A drive that is not here may hold every acknowledged row: it is waited for, never replaced by a guess. */
function refuseAbsent(host: MetadataHost): void {
  const absent = [...host.lost].filter(([, why]) => why === 'absent').map(([id]) => id)
  if (absent.length === 0) return
  throw new Exit(
    4,
    `metadata partitions ${absent.join(', ')} have replicas on drives that are missing or do not open: bring those back first.`,
  )
}

/** The buckets that there are, and whether they keep versions. */
export function bucketsOf({ buckets }: ClusterState): Map<number, { versioned: boolean }> {
  return new Map(
    Object.values(buckets).map(({ id, settings }) => [
      id,
      { versioned: settings?.versioning === 'enabled' },
    ]),
  )
}
