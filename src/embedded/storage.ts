// The storage of an embedded store, opened over its drives: shards, metadata, coordinator; and the watch over them.
import type { ServeConfig } from '../config.ts'
import type { KeyProvider } from '../encryption/key-provider.ts'
import { Codec } from '../erasure/codec.ts'
import { Exit } from '../exit.ts'
import { mebibytes } from '../kit/bytes.ts'
import { ClosingStack } from '../kit/closing-stack.ts'
import { CELL_BYTES, type ErasureCode } from '../kit/erasure-code.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import { repeat } from '../kit/periodic.ts'
import { steadyClock } from '../kit/steady-clock.ts'
import { newUid, type Uid } from '../kit/uid.ts'
import type { Clock, World } from '../kit/world.ts'
import type { MetadataPartition } from '../metadata/contract.ts'
import type { RowBatch } from '../metadata/log/contract.ts'
import { ObjectChanges } from '../metadata/object-changes.ts'
import { openPartition } from '../metadata/partition.ts'
import { WritesUnderWay } from '../metadata/writes-under-way.ts'
import { Pins } from '../objects/pins.ts'
import type { DamageReport } from '../objects/store-parts.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { shardsOfWidest } from '../placement/fit-code.ts'
import { Router } from '../placement/router.ts'
import type { ShardLists, StorageNode } from '../storage-node/contract.ts'
import type { Drive } from '../storage-node/drive.ts'
import { saysNoSpace } from '../storage-node/drive-errors.ts'
import { planOfStore } from '../storage-node/dump/dump-plan.ts'
import { listDumpMetrics, MetadataDumps } from '../storage-node/dump/metadata-dumps.ts'
import {
  MetadataHost,
  type MetadataHostOptions,
} from '../storage-node/metadata-host/metadata-host.ts'
import { keepCredentials } from '../storage-node/root-credentials.ts'
import type { SpaceWatch } from '../storage-node/space/space-watch.ts'
import { StateCopies } from '../storage-node/state-copy.ts'
import { BlobLatch } from '../storage-node/upkeep/blob-latch.ts'
import { DamageLog } from '../storage-node/upkeep/damage-log.ts'
import type { FileScrub } from '../storage-node/upkeep/file-scrub.ts'
import { listHealMetrics } from '../storage-node/upkeep/heal-progress.ts'
import { Healer } from '../storage-node/upkeep/healer.ts'
import { ScrubPositions } from '../storage-node/upkeep/scrub-position.ts'
import { type DrainRoomParts, refuseForRoom, warnOfRoom } from './drain-room.ts'
import { DriveCommands } from './drive-commands.ts'
import { listDriveStates } from './drive-metrics.ts'
import { openKeyProvider } from './encryption-keys.ts'
import { openFileScrub } from './file-scrubbers.ts'
import { type LastEvent, watchEvents } from './last-event.ts'
import { LiveDrives } from './live-drives.ts'
import { makeCredentials } from './new-credentials.ts'
import { CareOfDrives, DriveObservers } from './open-care.ts'
import { readinessOf } from './readiness.ts'
import { recordedOut } from './recorded-out.ts'
import { askedReducedCode } from './reduced-code.ts'
import type { RememberedDrive } from './remembered-drives.ts'
import { watchReturns } from './returning-drives.ts'
import { hasRoomForRows, openSpaceWatch, refuseWhenFull, startSpaceWatch } from './space.ts'
import { NO_ROOM_TO_START, refuseTooFew, startStore, whyUnopened } from './start-store.ts'
import type { Tuning } from './tuning.ts'

/** Outside of the storage. */
export interface EmbeddedParts {
  world: World
  log: Log
  registry: Registry
  tuning?: Tuning
  /** Of the server before this one, when that crashed. */
  remembered?: readonly RememberedDrive[]
  /** Asked before directories become drives of a new store. */
  beforeNew?: () => Promise<void>
}

/** Everything that objects/ needs of storage, and what people want to know of it. */
export interface EmbeddedStorage {
  node: StorageNode
  /** What lies on the drives. */
  lists: ShardLists
  router: Router<MetadataPartition>
  /** Tells of objects that change. */
  changes: Pick<ObjectChanges, 'watch'>
  coordinator: Coordinator
  /** Of new objects of the class REDUCED_REDUNDANCY, as the store is now. */
  reducedCode(): ErasureCode
  drives: Pick<LiveDrives, 'list' | 'find' | 'spaceOf'>
  commands: DriveCommands
  /** How full they are. */
  space: Pick<SpaceWatch, 'spaces'>
  credentials: RootCredentials
  keys: KeyProvider
  sharesDisk: boolean
  /** Mends by itself; says how it stands. */
  healer: Pick<Healer, 'progress' | 'healNow' | 'leavesBehind' | 'writeAnewWith'>
  /** Who moves, mends or deletes shards of a blob holds it. */
  latch: BlobLatch
  /** How each drive does, and what that means for readers. */
  care: Pick<CareOfDrives, 'advice' | 'conditionOf'>
  /** Who reads which blobs. */
  pins: Pins
  /** Blobs that are written and have no row yet. */
  writes: WritesUnderWay
  /** After it nothing that was verified before is vouched for. */
  lastEvent: Pick<LastEvent, 'atMs'>
  /** Of events and passes. The machine's clock may be set back: what was verified before it must not seem to be later. */
  clock: Pick<Clock, 'now'>
  readiness(): { ready: boolean; degraded: readonly string[] }
  recordOut(driveId: number): Promise<void>
  reportDamage(report: DamageReport): void
  close(): Promise<void>
}

/** The root key; `keptIn` names the file that holds it when it was generated. */
export interface RootCredentials {
  accessKeyId: string
  secretAccessKey: string
  keptIn?: string
}

/** Opens everything, or throws Exit and closes what was opened. */
export async function openEmbeddedStorage(
  config: ServeConfig,
  parts: EmbeddedParts,
): Promise<EmbeddedStorage> {
  const opened = new ClosingStack()
  try {
    return await opened.guard(() => openAll(config, parts, opened))
  } catch (error) {
    throw saysNoSpace(error) ? new Exit(1, NO_ROOM_TO_START, { cause: error }) : error
  }
}

async function openAll(
  config: ServeConfig,
  outside: EmbeddedParts,
  opened: ClosingStack,
): Promise<EmbeddedStorage> {
  const observers = new DriveObservers(outside.world, outside.tuning?.care)
  const parts = { ...outside, world: observers.world }
  const { drives, coordinator, reducedCode } = await startStore(config, parts)
  const space = openSpaceWatch(parts)
  const live = new LiveDrives(drives, { ...parts, coordinator, observers, space })
  opened.defer(() => live.close())
  opened.defer(() => coordinator.close())
  const credentials = await rootCredentials(config, coordinator, drives, parts)
  const keys = await openKeyProvider(config, { ...parts, coordinator, opened })
  opened.defer(() => live.closeShards())
  await live.openShards()
  await startSpaceWatch(space, parts, opened)
  refuseUnopened(coordinator, drives)
  // Records drives that failed so far as out.
  await coordinator.decide(() => undefined)
  const working = drives.filter(({ failure }) => failure === undefined)
  const byId = new Map(working.map((drive) => [drive.id, drive]))
  const replicaCount = coordinator.state.map.code.parityCount + 1
  const host = await MetadataHost.open(
    {
      ...{ drives: byId, coordinator, log: parts.log, replicaCount, ...limitsOf(parts) },
      hasRoom: (driveId) => hasRoomForRows(space, driveId),
    },
    { world: parts.world, ...openLevelOf(parts) },
  )
  opened.defer(() => host.close())
  refuseUnopened(coordinator, drives)
  refuseLost(host, drives, space)
  const leaveMetadata = (driveId: number): void => host.driveAside(driveId)
  const care = new CareOfDrives({ ...parts, observers, coordinator, leaveMetadata })
  opened.defer(() => care.close())
  live.serve(host, care)
  const changes = new ObjectChanges()
  const partitions = await openPartitions(host, config, { ...parts, coordinator, space, changes })
  const clock = steadyClock(parts.world.clock)
  const lastEvent = watchEvents(coordinator, clock)
  opened.defer(async () => lastEvent.stop())
  const damage = new DamageLog(parts.log, parts.registry)
  const node = observers.guard(live.node)
  const latch = new BlobLatch()
  const pins = new Pins()
  const writes = new WritesUnderWay(parts.world)
  const isPinned = (uid: Uid): boolean => pins.isPinned(uid)
  const dumps = startDumps(config, { ...parts, host, coordinator, live }, opened)
  const copies = await startStateCopies({ ...parts, coordinator, live }, opened)
  const owners = { ...parts, host, coordinator, copies, dumps, drives: live, credentials }
  const files = openFileScrub(owners)
  const world = { ...parts.world, clock }
  const positions = new ScrubPositions({ ...parts, drives: () => live.list() })
  const healing = {
    ...parts,
    world,
    positions,
    node,
    coordinator,
    partitions,
    latch,
    files,
    writes,
    isPinned,
    newCommandId: () => newUid(parts.world),
  }
  const healer = await startHealer(config, healing, opened)
  space.onChange(() => healer.roomChanged())
  const rooms: DrainRoomParts = { ...parts, partitions, roomOf: (id) => space.roomOf(id) }
  const commands = new DriveCommands({
    ...{ ...parts, coordinator, drives: live },
    reducedCode: askedReducedCode(config, coordinator.state.map.code),
    refuseForRoom: (driveId, after) => refuseForRoom(`drive ${driveId}`, after, rooms),
    warnOfRoom: (driveId) => warnOfRoom(driveId, coordinator.state.map, rooms),
    welcome: (drive) => keepOnNew(drive, { config, credentials, live }, parts),
  })
  const returning = watchReturns({ ...parts, drives: live, commands })
  opened.defer(() => returning.stop())
  listDriveStates(coordinator, parts.registry)
  return {
    node,
    lists: live.lists,
    router: new Router(coordinator, partitions),
    changes,
    coordinator,
    reducedCode,
    drives: live,
    commands,
    space,
    credentials,
    keys,
    sharesDisk: await shareDisk(drives, parts.world),
    healer,
    latch,
    pins,
    writes,
    lastEvent,
    clock,
    readiness: () => readinessOf(coordinator.state),
    care,
    recordOut: (driveId) => recordedOut(driveId, { care, drives: live, coordinator }),
    reportDamage: (report) => {
      lastEvent.note()
      damage.report(report)
      healer.report(report)
    },
    close: () => opened.close(),
  }
}

/** So long a command may wait for its log, after the last byte of its body. */
const COMMIT_MS = 30_000

/** Readers pin what they read, so garbage need not wait for the slowest of them (docs/decisions/0002). */
async function openPartitions(
  host: MetadataHost,
  { garbageGraceMs }: ServeConfig,
  parts: EmbeddedParts & { coordinator: Coordinator; space: SpaceWatch; changes: ObjectChanges },
): Promise<MetadataPartition[]> {
  const { clock } = parts.world
  const garbage = { graceMs: garbageGraceMs, bytesPerSecond: Number.POSITIVE_INFINITY }
  const patience = { ms: COMMIT_MS, clock }
  const onAppended = (batch: RowBatch): void => parts.changes.note(batch)
  const ids = parts.coordinator.state.metaPartitions.map((_, id) => id)
  return Promise.all(
    ids.map((id) =>
      openPartition(
        { id, garbage, admit: refuseWhenFull(id, parts), patience, onAppended },
        { log: host.partitionLog(id), clock },
      ),
    ),
  )
}

// Stripes of the healer: of the blobs that it works on at once each has one, or waits for it.
const HEALING_POOL_BYTES = mebibytes(16)

/** A drive that is back sooner needs nothing made again (docs/guides/operating.md). */
const OUT_DELAY_MS = 15 * 60_000

/** What could not be settled is looked at again after this time. */
const HEAL_AGAIN_MS = 60_000

async function startHealer(
  { scrubPeriodMs, garbageGraceMs, mendDelayMs }: ServeConfig,
  parts: EmbeddedParts & {
    node: StorageNode
    coordinator: Coordinator
    partitions: readonly MetadataPartition[]
    latch: BlobLatch
    files: FileScrub
    positions: ScrubPositions
    writes: WritesUnderWay
    isPinned(uid: Uid): boolean
    newCommandId(): Uid
  },
  opened: ClosingStack,
): Promise<Healer> {
  const maxShards = shardsOfWidest(parts.coordinator.state.map)
  const codec = await Codec.open({
    maxShards,
    cellBytes: CELL_BYTES,
    poolBytes: parts.tuning?.poolBytes ?? HEALING_POOL_BYTES,
  })
  const times = {
    ...{ outDelayMs: OUT_DELAY_MS, urgentDelayMs: mendDelayMs, againMs: HEAL_AGAIN_MS },
    ...parts.tuning?.healing,
  }
  const options = { scrubPeriodMs, graceMs: garbageGraceMs, ...times }
  const healer = new Healer(options, { ...parts, codec })
  listHealMetrics(() => healer.progress(), parts.registry)
  healer.start()
  opened.defer(() => healer.stop())
  return healer
}

/** Drives that were found and did not open count as those that were not found: nothing is on record about them yet. */
function refuseUnopened({ state }: Coordinator, drives: readonly Drive[]): void {
  const working = drives.filter(({ failure }) => failure === undefined)
  const failed = drives.filter((drive) => !working.includes(drive))
  refuseTooFew(state, working, new Map(failed.map(({ id, failure }) => [id, whyUnopened(failure)])))
}

/** Serving the rest would answer 503 to every listing, and nobody would know why. */
function refuseLost(
  { lost }: MetadataHost,
  drives: readonly Drive[],
  space: Pick<SpaceWatch, 'spaces'>,
): void {
  if (lost.size === 0) return
  const ids = [...lost.keys()].join(', ')
  const paths = drives.map(({ path }) => path).join(' ')
  const isAbsent = [...lost.values()].includes('absent')
  // LevelDB opens nothing on a full drive.
  if (isAbsent && [...space.spaces().values()].some(({ level }) => level === 'failsafe'))
    throw new Exit(1, NO_ROOM_TO_START)
  if (isAbsent)
    throw new Exit(
      4,
      `metadata partitions ${ids} have replicas only on drives that are missing or do not open: bring those back.`,
    )
  throw new Exit(
    4,
    `all replicas of metadata partitions ${ids} are lost. What can be made again from dumps and shards is made by: kintsugi recover ${paths}`,
  )
}

/** Looks so many times in the time that a dump is to be renewed. */
const DUMP_LOOKS = 50
const DUMP_LOOK_MS = { least: 500, most: 60_000 } as const

function startDumps(
  { dumpPeriodMs }: ServeConfig,
  parts: EmbeddedParts & { host: MetadataHost; coordinator: Coordinator; live: LiveDrives },
  opened: ClosingStack,
): MetadataDumps {
  const { live, registry } = parts
  const bornMs = Math.min(...live.list().map(({ marker }) => marker.createdMs))
  const dumps = new MetadataDumps(
    { everyMs: dumpPeriodMs, bornMs },
    { ...parts, plan: planOfStore(parts), drives: () => live.list() },
  )
  const { least, most } = DUMP_LOOK_MS
  const everyMs = Math.min(most, Math.max(least, dumpPeriodMs / DUMP_LOOKS))
  const { clock } = parts.world
  const taking = repeat('dump-metadata', everyMs, (signal) => dumps.takeDue(signal), {
    clock,
    log: parts.log,
  })
  opened.defer(() => taking.stop())
  listDumpMetrics(dumps, registry)
  return dumps
}

/** So long a copy of the state may be behind. */
const COPY_EVERY_MS = 1_000

/** No decision waits for the copies. They are written a last time when the store is closed. */
async function startStateCopies(
  parts: EmbeddedParts & { coordinator: Coordinator; live: LiveDrives },
  opened: ClosingStack,
): Promise<StateCopies> {
  const { live, world, log } = parts
  const copies = new StateCopies({ ...parts, drives: () => live.list() })
  await copies.keepUp()
  const { clock } = world
  const copying = repeat('copy-state', COPY_EVERY_MS, () => copies.keepUp(), { clock, log })
  opened.defer(async () => {
    await copying.stop()
    await copies.keepUp()
  })
  return copies
}

function limitsOf({ tuning }: Pick<EmbeddedParts, 'tuning'>): Pick<MetadataHostOptions, 'limits'> {
  return tuning?.metadata === undefined ? {} : { limits: tuning.metadata }
}

function openLevelOf({ tuning }: Pick<EmbeddedParts, 'tuning'>): Pick<Tuning, 'openLevel'> {
  return tuning?.openLevel === undefined ? {} : { openLevel: tuning.openLevel }
}

/** From the environment, else from the store, else made now and kept by the store. */
async function rootCredentials(
  config: ServeConfig,
  coordinator: Coordinator,
  drives: readonly Drive[],
  parts: EmbeddedParts,
): Promise<RootCredentials> {
  if (config.rootCredentials) return config.rootCredentials
  const made = makeCredentials(parts.world)
  const state = await coordinator.decide((before) =>
    before.rootCredentials ? undefined : { ...before, rootCredentials: made },
  )
  const credentials = state.rootCredentials!
  return { ...credentials, keptIn: await keepCredentials(drives, credentials, parts) }
}

/** A new drive has the file of the root key, too. It is a copy for people: without it the drive serves as well. */
async function keepOnNew(
  { id }: { id: number },
  found: { config: ServeConfig; credentials: RootCredentials; live: LiveDrives },
  parts: EmbeddedParts,
): Promise<void> {
  const drive = found.live.find(id)
  if (found.config.rootCredentials || drive === undefined) return
  await keepCredentials([drive], found.credentials, parts).catch(() => {}) // It said so.
}

async function shareDisk(drives: readonly Drive[], { disk }: World): Promise<boolean> {
  const stats = await Promise.all(drives.map(({ path }) => disk.stat(path)))
  return drives.length > 1 && new Set(stats.map((stat) => stat?.device)).size < drives.length
}
