// What a node has of its own: its drives, opened and cared for, with the shards on them. The map is told of them, and of
// what happens to them, whenever etcd is there.

import { LiveDrives, type ReplicasOnDrives } from '../embedded/live-drives.ts'
import { CareOfDrives, DriveObservers } from '../embedded/open-care.ts'
import { openSpaceWatch, startSpaceWatch } from '../embedded/space.ts'
import type { Tuning } from '../embedded/tuning.ts'
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import { repeat } from '../kit/periodic.ts'
import { Turns } from '../kit/turns.ts'
import type { World } from '../kit/world.ts'
import { type Coordinator, CoordinatorUnavailable } from '../placement/coordinator.ts'
import { markOut } from '../placement/coordinator-changes.ts'
import type { ShardLists, StorageNode } from '../storage-node/contract.ts'
import type { ReplicaHost } from '../storage-node/replicated/replica-host.ts'
import type { SpaceWatch } from '../storage-node/space/space-watch.ts'
import { type DriveHome, enterMap, lockNodeDrives, markServing } from './node-drives.ts'
import { type LeftOut, tellUnserved } from './unserved-drives.ts'

/** Outside of a node's storage. */
export interface NodeStorageParts {
  world: World
  log: Log
  registry: Registry
  coordinator: Coordinator
  tuning?: Tuning
  /** The node had drives before. */
  hasServed?: boolean | undefined
}

/** The drives of a node, opened. */
export interface NodeStorage {
  /** Shards on these drives; nobody waits for drives that hang. */
  node: StorageNode
  lists: ShardLists
  drives: LiveDrives
  /** Drives that could not be opened at the start. */
  leftOut: LeftOut
  space: SpaceWatch
  care: CareOfDrives
  /** Whoever tells the map of drives, or makes new ones, takes turns. */
  entering: Turns
  /** As it was handed in, but that what is done on the drives is observed. */
  world: World
  /** Begins to watch over the drives, and to tell the map of them. */
  serve(replicas: Pick<ReplicaHost, 'addDrive' | 'driveFailed'>): Promise<void>
}

/** So often the map is told what it does not know yet: drives that failed while etcd was away, or could not be taken in. */
const TELL_EVERY_MS = 10_000

/** Opens what is in the directories; what is to be closed goes on `opened`. Throws Exit. */
export async function openNodeStorage(
  directories: readonly string[],
  home: DriveHome,
  outside: NodeStorageParts,
  opened: ClosingStack,
): Promise<NodeStorage> {
  const observers = new DriveObservers(outside.world, outside.tuning?.care)
  const parts = { ...outside, world: observers.world }
  const leftOut = new Map<number, Error>()
  const drives = await lockNodeDrives(directories, home, { ...parts, leftOut })
  const space = openSpaceWatch(parts)
  const coordinator = withoutFiles(outside.coordinator)
  const live = new LiveDrives(drives, { ...parts, coordinator, observers, space })
  opened.defer(() => live.close())
  opened.defer(() => live.closeShards())
  await live.openShards()
  await startSpaceWatch(space, parts, opened)
  // Replicas on a drive that hangs are too late for a majority of others, and the map wants them elsewhere once it is out.
  const leaveMetadata = (): void => {}
  const entering = new Turns()
  const care = new CareOfDrives({ ...parts, observers, coordinator, leaveMetadata })
  opened.defer(() => care.close())
  return {
    node: observers.guard(live.node),
    lists: live.lists,
    drives: live,
    ...{ leftOut, space, care, entering, world: observers.world },
    serve: async (replicas) => {
      live.serve(replicasOn(replicas), care)
      await startTelling({ live, leftOut, home, entering }, parts, opened)
    },
  }
}

/** A drive that leaves is to its replicas as one that failed. */
function replicasOn(replicas: Pick<ReplicaHost, 'addDrive' | 'driveFailed'>): ReplicasOnDrives {
  return {
    addDrive: (drive) => replicas.addDrive(drive),
    closeDrive: (driveId) => replicas.driveFailed(driveId),
    driveFailed: (driveId) => replicas.driveFailed(driveId),
  }
}

/** Etcd remembers for the drives: they have no files of the coordinator. */
function withoutFiles(coordinator: Coordinator) {
  return {
    get state() {
      return coordinator.state
    },
    decide: (change: Parameters<Coordinator['decide']>[0]) => coordinator.decide(change),
    addDrive: async () => {},
    forgetDrive: async () => {},
    putAside: async (driveId: number, reason: string) => {
      await coordinator.decide(markOut(driveId, reason))
    },
  }
}

/** Tells the map of the drives now, and again for as long as there is something that it does not know. */
async function startTelling(
  {
    live,
    leftOut,
    home,
    entering,
  }: { live: LiveDrives; leftOut: LeftOut; home: DriveHome; entering: Turns },
  parts: NodeStorageParts,
  opened: ClosingStack,
): Promise<void> {
  const { world, log } = parts
  const here = live.list().filter(({ failure }) => failure === undefined)
  const returning = new Set(here.map(({ id }) => id))
  const tellAll = async (): Promise<void> => {
    await leaveRemoved(live, parts)
    await enterMap(live.list(), home, parts)
    // Only once: what is put aside later comes back by its care.
    if (returning.size > 0) await markServing([...returning], parts)
    returning.clear()
    await tellUnserved({ nodeId: home.nodeId, live: live.list(), leftOut }, parts)
  }
  const tell = (): Promise<void> => entering.run(tellAll)
  try {
    await tell()
  } catch (error) {
    if (!(error instanceof CoordinatorUnavailable)) throw error
    log.warn({ why: error.message }, 'the map can not be told of the drives yet')
  }
  const telling = repeat('tell-of-drives', TELL_EVERY_MS, tell, { clock: world.clock, log })
  opened.defer(() => telling.stop())
}

/** Drives that were removed from the cluster are closed, and can be taken away. */
async function leaveRemoved(
  live: LiveDrives,
  { coordinator, log }: Pick<NodeStorageParts, 'coordinator' | 'log'>,
): Promise<void> {
  const { removed = [] } = coordinator.state.map
  for (const { id, path } of live.list()) {
    if (!removed.includes(id)) continue
    await live.leave(id)
    log.info({ drive: id, path }, 'a drive was removed from the cluster and is closed here')
  }
}
