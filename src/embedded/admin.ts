// What the root asks of an embedded store: how it stands, to verify all of it, and where an object lies.
import type {
  AdminApi,
  HealingStatus,
  MetadataStatus,
  OrphanStatus,
  OrphansReleased,
  StoreStatus,
  UnrepairableStatus,
} from '../gateway/admin-api.ts'
import { nameCode } from '../kit/erasure-code.ts'
import type { Clock } from '../kit/world.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { releaseOrphans } from '../placement/coordinator-changes.ts'
import type { HealProgress } from '../storage-node/upkeep/heal-progress.ts'
import type { OrphanSweep, SweepProgress } from '../storage-node/upkeep/orphan-sweep.ts'
import { describeMoves, openDriveAdmin, statusOfDrives } from './admin-drives.ts'
import { inspectObject } from './inspect-object.ts'
import type { EmbeddedStorage } from './storage.ts'
import { judgeHealth } from './store-health.ts'

/** What the answers are made of. */
export interface AdminParts {
  storage: EmbeddedStorage
  objects: Pick<ObjectStore, 'findBucket' | 'find' | 'countUploads'>
  orphans: Pick<OrphanSweep, 'progress' | 'sweepNow'>
  clock: Pick<Clock, 'now'>
  /** Of the process, since its guard began. */
  restarts: NonNullable<StoreStatus['restarts']>
  /** undefined where this process serves alone. */
  processes?: () => StoreStatus['processes']
}

/** The admin API of this store. */
export function openAdmin(parts: AdminParts): AdminApi {
  const { storage, clock } = parts
  return {
    status: () => statusOf(parts),
    healing: () => healingOf(storage),
    beginHeal: () => {
      storage.healer.healNow()
      const { ended, passes } = storage.healer.progress()
      const isUnderWay = passes.some(({ kind }) => kind === 'scrub')
      // One that goes on began before this one was asked for: it vouches for nothing.
      return { askedMs: clock.now(), scrubsEnded: ended.scrub + (isUnderWay ? 2 : 1) }
    },
    releaseOrphans: () => letOrphansGo(parts),
    inspect: (request, signal) => inspectObject(request, parts, signal),
    drives: openDriveAdmin(storage),
  }
}

async function statusOf(parts: AdminParts): Promise<StoreStatus> {
  const { storage, objects, orphans, restarts } = parts
  const processes = parts.processes?.()
  const { count, bytes, oldestMs } = await objects.countUploads()
  const facts = {
    drives: statusOfDrives(storage),
    metadata: metadataOf(storage),
    healing: healingOf(storage),
  }
  return {
    ...judgeHealth(facts),
    code: nameCode(storage.coordinator.state.map.code),
    reducedCode: nameCode(storage.reducedCode()),
    ...facts,
    uploads: { count, bytes, ...(oldestMs === undefined ? {} : { oldestMs }) },
    orphans: orphansOf(orphans.progress(), storage),
    ...(restarts.count === 0 ? {} : { restarts }),
    ...(processes === undefined ? {} : { processes }),
  }
}

async function letOrphansGo({ storage, orphans }: AdminParts): Promise<OrphansReleased> {
  const { orphanHold } = storage.coordinator.state
  if (!orphanHold) return {}
  await storage.coordinator.decide(releaseOrphans())
  orphans.sweepNow()
  return { heldSinceMs: orphanHold.sinceMs }
}

function orphansOf(
  { ended, lastEndedMs, underWay: _, ...counts }: SweepProgress,
  { coordinator: { state } }: EmbeddedStorage,
): OrphanStatus {
  return {
    ...(state.orphanHold ? { heldSinceMs: state.orphanHold.sinceMs } : {}),
    passes: ended,
    ...counts,
    ...(lastEndedMs === undefined ? {} : { lastPassMs: lastEndedMs }),
  }
}

function metadataOf({ coordinator }: EmbeddedStorage): MetadataStatus {
  const { map, metaPartitions } = coordinator.state
  const holders = map.drives.filter(({ isLeaving }) => !isLeaving)
  const replicas = Math.min(map.code.parityCount + 1, holders.length)
  const whole = metaPartitions.filter(({ inSync }) => inSync.length >= replicas)
  return { partitions: metaPartitions.length, inSync: whole.length, replicas }
}

function healingOf({ coordinator, healer, lastEvent }: EmbeddedStorage): HealingStatus {
  const progress = healer.progress()
  const { complete, lastVerifiedMs, unrepairable, moves, ...counts } = progress
  const { buckets } = coordinator.state
  const names = new Map(Object.values(buckets).map(({ id, name }) => [id, name]))
  return {
    verified: complete && lastVerifiedMs !== undefined && lastVerifiedMs > lastEvent.atMs,
    ...(lastVerifiedMs === undefined ? {} : { lastVerifiedMs }),
    lastEventMs: lastEvent.atMs,
    ...counts,
    moves: describeMoves(moves),
    unrepairable: unrepairable.map((blob) => describeLost(blob, names)),
  }
}

function describeLost(
  { bucketId, key, seenMs: _, ...blob }: HealProgress['unrepairable'][number],
  names: ReadonlyMap<number, string>,
): UnrepairableStatus {
  const bucket = bucketId === undefined ? undefined : names.get(bucketId)
  return {
    ...blob,
    ...(bucket === undefined ? {} : { bucket }),
    ...(key === undefined ? {} : { key }),
  }
}
