// The metadata of a node: partitions, the drives that hold their replicas, and the coordinator that says
// which replicas count. Embedded quorum (docs/formats/metadata-log.md): an entry is committed once durable on every in-sync replica.
import { prepareDigests } from '../../digest/digest.ts'
import { assert } from '../../kit/assert.ts'
import { mebibytes } from '../../kit/bytes.ts'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { MetaPartitionId } from '../../metadata/contract.ts'
import type { LogPosition, PartitionLog, RowBatch } from '../../metadata/log/contract.ts'
import { BEGINNING } from '../../metadata/log/entry.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import type { ClusterState, Coordinator, Replica } from '../../placement/coordinator.ts'
import { startPartitions } from '../../placement/coordinator-changes.ts'
import type { OpenLevel } from '../drive-lock.ts'
import { checkRows, noteClosed } from '../meta-rows/check.ts'
import { openRowsLevel } from '../meta-rows/open.ts'
import type { DriveLogOptions } from '../metalog/drive-log.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import type { FilesLook } from '../upkeep/file-scrub.ts'
import type { HostDrive } from './drive.ts'
import { neededRecords, type StartDrive } from './evidence.ts'
import { openJoining, refuseCounted } from './join.ts'
import { MetadataKeeper } from './keeper.ts'
import { HostedPartition } from './partition.ts'
import { readOn } from './read-on.ts'
import { HostedRows } from './reader.ts'
import { type RowSnapshot, takeSnapshot } from './snapshot.ts'
import { loseWhatLeft, openStartLog, type Recovered, recoverPartitions } from './start.ts'
import { openAllRows } from './start-rows.ts'

/** What a host serves and with what. */
export interface MetadataHostOptions {
  /** The drives that are here and work. */
  drives: ReadonlyMap<number, MetaDrive>
  coordinator: Coordinator
  log: Log
  /** Replicas of every partition: one more than drives may be lost. */
  replicaCount: number
  limits?: Partial<HostLimits>
  /** Whether rows may still grow on a drive; a replica leaves one where they may not when there are others. */
  hasRoom?: (driveId: number) => boolean
}

/** Sizes and times that tests make smaller. */
export interface HostLimits extends DriveLogOptions {
  /** A marker is written after so many bytes of changes, or after so long. */
  markerBytes: number
  markerMs: number
  /** A replica that everyone waits for longer than this leaves the set. */
  lateMs: number
  /** Between two comparisons of all replicas. */
  inspectMs: number
}

/** What a host runs on; `openLevel` is openRowsLevel() when left out. */
export interface MetadataHostParts {
  world: World
  openLevel?: OpenLevel
}

const USUAL_LIMITS: HostLimits = {
  fileBytes: mebibytes(8),
  retainBytes: mebibytes(64),
  markerBytes: mebibytes(8),
  // A marker writes a table: often enough that a start replays little, rarely enough that tables stay few.
  markerMs: 10_000,
  lateMs: 2_000,
  inspectMs: 6 * 3600 * 1000,
}

// A start or a stop waits no longer for what may wait for ever.
const SETTLE_MS = 3_000

/** Metadata partitions made durable on the drives of this process. */
export class MetadataHost {
  readonly #partitions: ReadonlyMap<number, HostedPartition>
  readonly #hosts: Map<number, HostDrive>
  readonly #keeper: MetadataKeeper
  readonly #stopWatching: () => void
  readonly #log: Log
  readonly #world: World
  readonly #limits: HostLimits
  readonly #openLevel: OpenLevel
  readonly #coordinator: Coordinator
  readonly #lost: ReadonlyMap<number, 'gone' | 'absent'>

  /** Over parts that serve already: see open(). */
  constructor(parts: ServingParts) {
    this.#partitions = parts.partitions
    this.#hosts = parts.hosts
    this.#keeper = parts.keeper
    this.#stopWatching = parts.stopWatching
    this.#log = parts.log
    this.#world = parts.world
    this.#lost = parts.lost
    this.#limits = parts.limits
    this.#openLevel = parts.openLevel
    this.#coordinator = parts.coordinator
  }

  /** Recovers every partition, tells the coordinator what is whole, and serves. */
  static async open(options: MetadataHostOptions, parts: MetadataHostParts): Promise<MetadataHost> {
    await prepareDigests()
    const { coordinator } = options
    const limits = { ...USUAL_LIMITS, ...options.limits }
    const startDrives = await openDrives(options, limits, parts)
    const hosts = new Map([...startDrives].map(([id, { host }]) => [id, host]))
    try {
      const recovered = await recoverPartitions(coordinator.state, startDrives, options.log)
      await coordinator.decide(startPartitions(recovered.sets))
      loseWhatLeft(coordinator.state, recovered, { hosts, log: options.log })
      return new MetadataHost(
        await serve(options, limits, { ...parts, startDrives, hosts, recovered }),
      )
    } catch (error) {
      await Promise.all(
        [...hosts.values()].map((host) =>
          closeDrive(host, { world: parts.world, log: options.log }),
        ),
      )
      throw error
    }
  }

  /** The log and the rows of one partition. One user at a time. */
  partitionLog(id: MetaPartitionId): PartitionLog {
    const partition = this.#partitions.get(id)
    if (partition === undefined) throw new Error(`there is no metadata partition ${id}`)
    return {
      rows: new HostedRows(partition, this.#keeper),
      append: (batch, onDurable) => partition.append(batch, onDurable),
      hurry: () => partition.hurry(),
    }
  }

  /** Resolves when no in-sync set counts on the drive any more. Called again it gives the same promise. */
  driveFailed(driveId: number): Promise<void> {
    return this.#keeper.driveFailed(driveId)
  }

  /**
   * Takes a drive in that is new or was out: once the map says that it is active it gets replicas. Throws NeedsStart
   * when an in-sync set still counts on it.
   */
  async addDrive(drive: MetaDrive): Promise<void> {
    assert(!this.#hosts.has(drive.id), 'a drive is closed before it is taken in again')
    refuseCounted(this.#coordinator.state, drive.id)
    await this.#keeper.forgetDrive(drive.id)
    const parts = { world: this.#world, log: this.#log, openLevel: this.#openLevel }
    const partitions = this.#partitions.keys()
    const host = await openJoining(drive, { limits: this.#limits, partitions }, parts)
    this.#hosts.set(drive.id, host)
    this.#keeper.watchDrive(drive)
  }

  /** Closes what is open on a drive that failed, or that has no replica any more. Resolves when it is closed, however long that takes. */
  async closeDrive(driveId: number): Promise<void> {
    const host = this.#hosts.get(driveId)
    if (host === undefined) return
    if (host.drive.failure !== undefined) await this.driveFailed(driveId)
    await this.#keeper.forgetDrive(driveId)
    this.#hosts.delete(driveId)
    await closeWhole(host, { world: this.#world, log: this.#log })
  }

  /** A drive was put aside and is on record as out: nothing waits for it any more. */
  driveAside(driveId: number): void {
    this.#keeper.driveAside(driveId)
  }

  /** Makes the replicas that are missing, as far as there are drives for them. */
  mend(): Promise<void> {
    return this.#keeper.mend()
  }

  /** Writes a marker on every drive now, as it happens from time to time. */
  mark(): Promise<void> {
    return this.#keeper.writeMarkers()
  }

  /** Partitions that the start could not recover. `gone`: nor can waiting for a drive. They serve nothing. */
  get lost(): ReadonlyMap<number, 'gone' | 'absent'> {
    return this.#lost
  }

  /** What the logs of a lost partition have behind `position`: the changes of each entry, in order, up to the first hole. */
  readOn(id: MetaPartitionId, position: LogPosition): AsyncGenerator<RowBatch> {
    assert(this.#lost.has(id), 'rows of a partition that is served follow from its log')
    const { inSync } = this.#coordinator.state.metaPartitions[id]!
    return readOn(position, inSync, (driveId) => this.#hosts.get(driveId)?.log)
  }

  /** Makes replicas of a lost partition out of `rows`. They count when the coordinator is told of them, after close(). */
  async rebuild(
    id: MetaPartitionId,
    { position, rows }: { position: LogPosition; rows: Iterable<RowBatch> },
    replicas: readonly Replica[],
  ): Promise<void> {
    assert(this.#lost.has(id), 'only what is lost is made anew')
    for (const { driveId, incarnation } of replicas) {
      const host = this.#hosts.get(driveId)
      if (host === undefined) throw new Error(`drive ${driveId} has no metadata`)
      host.detach(id)
      await host.clear(id)
      for (const batch of rows) {
        await host.apply(id, { incarnation, applied: position }, { batches: [batch], bytes: 0 })
      }
      host.attach(id, incarnation, position)
      for (let marker = 0; marker < 2; marker += 1) await host.checkpoint({ force: true })
    }
  }

  /** All rows of a partition as of one moment. */
  snapshot(id: MetaPartitionId): Promise<RowSnapshot> {
    const partition = this.#partitions.get(id)
    if (partition === undefined) throw new Error(`there is no metadata partition ${id}`)
    return takeSnapshot(partition, this.#keeper)
  }

  /** Verifies the files of all rows and compares all replicas now, as it happens in the background from time to time. */
  inspect(pace?: () => Promise<void>): Promise<FilesLook> {
    return this.#keeper.inspect(pace)
  }

  /** Reads all logs back now. */
  scrubLogs(pace: () => Promise<void>): Promise<FilesLook> {
    return this.#keeper.scrubLogs(pace)
  }

  /** How often rows of a drive were found to be damaged since the start. */
  get damageCount(): number {
    return this.#keeper.damageCount
  }

  /** A clean stop: what is under way is finished, and markers say that nothing needs to be replayed. */
  async close(): Promise<void> {
    await this.#keeper.stop()
    for (const partition of this.#partitions.values()) {
      await Promise.race([partition.settled(), this.#world.clock.sleep(SETTLE_MS)])
      partition.stop(new MetadataUnavailable('the store is closing'))
    }
    this.#stopWatching()
    await Promise.all(
      [...this.#hosts.values()].map((host) =>
        closeDrive(host, { world: this.#world, log: this.#log }),
      ),
    )
  }
}

interface ServingParts {
  partitions: ReadonlyMap<number, HostedPartition>
  hosts: Map<number, HostDrive>
  keeper: MetadataKeeper
  lost: ReadonlyMap<number, 'gone' | 'absent'>
  stopWatching: () => void
  log: Log
  world: World
  limits: HostLimits
  openLevel: OpenLevel
  coordinator: Coordinator
}

async function serve(
  options: MetadataHostOptions,
  limits: HostLimits,
  found: MetadataHostParts & {
    startDrives: ReadonlyMap<number, StartDrive>
    hosts: Map<number, HostDrive>
    recovered: Recovered
  },
): Promise<ServingParts> {
  const { coordinator, log, replicaCount } = options
  const { world, hosts, recovered, openLevel = openRowsLevel } = found
  const partitions = new Map<number, HostedPartition>()
  const keeper = new MetadataKeeper(
    { limits, replicaCount, unchecked: uncheckedDrives(found.startDrives) },
    {
      world,
      log,
      coordinator,
      hosts,
      partitions,
      openLevel,
      hasRoom: options.hasRoom ?? (() => true),
    },
  )
  for (const [id, state] of coordinator.state.metaPartitions.entries()) {
    const tip = recovered.tips.get(id) ?? BEGINNING
    const partition = new HostedPartition(
      { id, state, tip, hosts },
      {
        clock: world.clock,
        onBadRows: (member, cause) => keeper.onBadRows(member, cause),
        resumeRows: ({ driveId }) => keeper.resumeRows(driveId),
        onMissing: (replica) => keeper.dropMissing(id, replica),
      },
    )
    if (recovered.lost.has(id)) {
      partition.stop(new MetadataUnavailable(`metadata partition ${id} can not be recovered`))
    }
    partitions.set(id, partition)
  }
  const adopt = (state: ClusterState): void => {
    for (const [id, partition] of partitions) partition.adopt(state.metaPartitions[id]!)
  }
  const stopWatching = coordinator.watch(adopt)
  keeper.start(found.startDrives, recovered)
  // The first entry of the epoch. A partition that can not commit it is stopped and says so itself.
  const begun = Promise.allSettled(
    [...partitions.values()].map((partition) => partition.append([])),
  )
  // On full drives it waits for room, and reads need not.
  await Promise.race([begun, world.clock.sleep(SETTLE_MS)])
  const lost = new Map(
    [...recovered.lost].map((id) => [id, recovered.gone.has(id) ? 'gone' : 'absent'] as const),
  )
  const serving = { partitions, hosts, keeper, stopWatching, lost }
  return { ...serving, ...{ log, world, limits, openLevel, coordinator } }
}

function uncheckedDrives(drives: ReadonlyMap<number, StartDrive>): Set<number> {
  return new Set([...drives].filter(([, { checked }]) => !checked).map(([id]) => id))
}

/** Rows first, looked at before they are opened: they say how little of the logs has to be read. */
async function openDrives(
  options: MetadataHostOptions,
  limits: HostLimits,
  { world, openLevel = openRowsLevel }: MetadataHostParts,
): Promise<Map<number, StartDrive>> {
  const { log, coordinator } = options
  const parts = { world, log, openLevel }
  const checks = await openEach(options.drives, log, async (drive) => {
    return { drive, check: await checkRows({ world, drive }) }
  })
  const rows = await openAllRows(coordinator.state, checks, parts)
  const isNeeded = neededRecords(coordinator.state, rows)
  const open = async (drive: MetaDrive): Promise<StartDrive> => {
    const start = rows.get(drive.id)!
    try {
      return await openStartLog(start, { options: limits, isNeeded }, parts)
    } catch (error) {
      await start.rows.close()
      throw error
    }
  }
  return await openEach(drivesOf(rows), log, open)
}

function drivesOf(found: ReadonlyMap<number, { drive: MetaDrive }>): Map<number, MetaDrive> {
  return new Map([...found].map(([id, { drive }]) => [id, drive]))
}

/** A drive that can not be opened is failed: the others go on without it. */
async function openEach<T>(
  drives: ReadonlyMap<number, MetaDrive>,
  log: Log,
  open: (drive: MetaDrive) => Promise<T>,
): Promise<Map<number, T>> {
  const opened = new Map<number, T>()
  const openOne = async (drive: MetaDrive): Promise<void> => {
    try {
      opened.set(drive.id, await open(drive))
    } catch (error) {
      log.error({ drive: drive.id, error }, 'the metadata of a drive can not be opened')
      drive.fail(error)
    }
  }
  await Promise.all([...drives.values()].map(openOne))
  return opened
}

/** What hangs on a failed drive is left alone. */
async function closeDrive(host: HostDrive, parts: { world: World; log: Log }): Promise<void> {
  const done = closeWhole(host, parts)
  if (host.drive.failure === undefined) await done
}

/** Two markers, so that the next start need not replay what the one before last would ask for. */
async function closeWhole(
  host: HostDrive,
  { world, log }: { world: World; log: Log },
): Promise<void> {
  const { drive } = host
  const said = (error: unknown): void =>
    log.warn({ drive: drive.id, error }, 'the metadata of a drive was not closed cleanly')
  if (drive.failure === undefined) await mark(host).catch(said)
  // Whatever happens to the log: LevelDB would go on writing to a directory that another drive may take.
  await host.log.close().catch(said)
  await host.rows.close().catch(said)
  if (drive.failure === undefined) await noteClosed({ world, drive }).catch(said)
}

async function mark(host: HostDrive): Promise<void> {
  await host.checkpoint({ force: true })
  await host.checkpoint({ force: true })
}
