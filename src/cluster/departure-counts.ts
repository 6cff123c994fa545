// Counts, in the partitions that this node leads, the rows that still name drives which are closed to rows. A count begins
// after the closing is known here, in the order of the commands: whatever was admitted before is seen by it.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import type { MetadataPartition, MetaPartitionId } from '../metadata/contract.ts'
import type { MapDrive } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { type DepartureCount, departingDrives } from '../placement/departure.ts'
import { BlobWalk } from '../storage-node/upkeep/blob-walk.ts'

/** What counting takes. */
export interface DepartureCountParts {
  world: Pick<World, 'clock'>
  log: Log
  coordinator: Pick<Coordinator, 'state'>
  led: {
    list(): readonly MetadataPartition[]
    find(id: MetaPartitionId): MetadataPartition | undefined
    /** Of the record by which this node leads the partition, whatever etcd was heard to say since. */
    epochOf(id: MetaPartitionId): number | undefined
  }
  /** Rows name drives that are closed: what moves shards is to look again. */
  onNamed(): void
}

type ClosedDrive = Pick<MapDrive, 'id'> & { closedEpoch: number }

const LOOK_EVERY_MS = 1_000

/** Where rows were found it takes moving and mending before another count can find less. */
const AGAIN_MS = 10_000

/** Rows of one page: other work goes on between two. */
const PAGE_BLOBS = 256

/** Counts while there are closed drives, until it is stopped. */
export class DepartureCounts {
  readonly #parts: DepartureCountParts
  readonly #counting: Periodic
  #counts: readonly (DepartureCount & { atMs: number })[] = []

  constructor(parts: DepartureCountParts) {
    this.#parts = parts
    const { clock } = parts.world
    const clockAndLog = { clock, log: parts.log }
    this.#counting = repeat(
      'count-departures',
      LOOK_EVERY_MS,
      (signal) => this.look(signal),
      clockAndLog,
    )
  }

  /** The last of each drive and partition, whoever leads now: it names the record that it is of. */
  get counts(): readonly DepartureCount[] {
    return this.#counts.map(({ atMs: _, ...count }) => count)
  }

  async stop(): Promise<void> {
    await this.#counting.stop()
  }

  /** Counts what is not counted, or was found to be named. A partition that can not be counted keeps none of the others waiting. */
  async look(signal: AbortSignal): Promise<void> {
    const { coordinator, led, log } = this.#parts
    const closed = closedDrivesIn(coordinator.state.map.drives)
    const isClosed = (one: DepartureCount): boolean =>
      closed.some(({ id, closedEpoch }) => id === one.driveId && closedEpoch === one.closedEpoch)
    this.#counts = this.#counts.filter(isClosed)
    if (closed.length === 0) return
    for (const partition of led.list()) {
      if (signal.aborted) return
      const due = closed.filter((drive) => this.#isDue(drive, partition.id))
      if (due.length === 0) continue
      await this.#count(partition, due, signal).catch((error: unknown) => {
        const data = { partition: partition.id, error: String(error) }
        log.info(data, 'rows that name a leaving drive can not be counted now')
      })
    }
  }

  #isDue({ id, closedEpoch }: ClosedDrive, partition: MetaPartitionId): boolean {
    const known = this.#counts.find(
      (one) => one.driveId === id && one.closedEpoch === closedEpoch && one.partition === partition,
    )
    if (known === undefined || known.epoch !== this.#parts.led.epochOf(partition)) return true
    return known.rows > 0 && this.#nowMs >= known.atMs + AGAIN_MS
  }

  async #count(
    partition: MetadataPartition,
    drives: readonly ClosedDrive[],
    signal: AbortSignal,
  ): Promise<void> {
    const { led } = this.#parts
    const epoch = led.epochOf(partition.id)
    if (epoch === undefined || led.find(partition.id) !== partition) return
    await partition.settle()
    const rows = await this.#countTwice(partition, drives, signal)
    // Deposed meanwhile, or reigning anew: it says nothing of what others took.
    if (rows === undefined || led.find(partition.id) !== partition) return
    const found = drives.map(({ id: driveId, closedEpoch }) => ({
      ...{ driveId, closedEpoch, partition: partition.id, epoch },
      ...{ rows: rows.get(driveId) ?? 0, atMs: this.#nowMs },
    }))
    const isAnew = (one: DepartureCount): boolean =>
      found.some(({ driveId }) => driveId === one.driveId) && one.partition === partition.id
    this.#counts = [...this.#counts.filter((one) => !isAnew(one)), ...found]
    if (found.some((one) => one.rows > 0)) this.#parts.onNamed()
  }

  /** A row that goes to where the walk has been may be passed by: it would have to happen twice (decision 0010). */
  async #countTwice(
    partition: MetadataPartition,
    drives: readonly ClosedDrive[],
    signal: AbortSignal,
  ): Promise<Map<number, number> | undefined> {
    const first = await countNames(partition, drives, signal)
    const isNamed = first === undefined || [...first.values()].some((rows) => rows > 0)
    return isNamed ? first : await countNames(partition, drives, signal)
  }

  get #nowMs(): number {
    return this.#parts.world.clock.monotonicMs()
  }
}

/** How many blobs name each drive; undefined when some may have been missed. */
async function countNames(
  partition: MetadataPartition,
  drives: readonly ClosedDrive[],
  signal: AbortSignal,
): Promise<Map<number, number> | undefined> {
  const names = new Map(drives.map(({ id }) => [id, 0]))
  const walk = new BlobWalk('check', [partition], { startedMs: 0 })
  for (;;) {
    if (signal.aborted) return undefined
    const page = await walk.next(PAGE_BLOBS)
    if (page.length === 0) return walk.counts.unsettled === 0 ? names : undefined
    for (const { reference } of page)
      for (const driveId of new Set(reference.blob.drives)) {
        const known = names.get(driveId)
        if (known !== undefined) names.set(driveId, known + 1)
      }
  }
}

function closedDrivesIn(drives: readonly MapDrive[]): ClosedDrive[] {
  return departingDrives({ drives: [...drives] }).flatMap(({ id, closedEpoch }) =>
    closedEpoch === undefined ? [] : [{ id, closedEpoch }],
  )
}
