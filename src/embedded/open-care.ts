// The care for drives, put together: what observes them, what judges them, what keeps others from waiting for them.
import { beforeDeadline } from '../kit/before-deadline.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import type { DriveAdvice, StorageNode } from '../storage-node/contract.ts'
import type { Drive } from '../storage-node/drive.ts'
import { AsideDrives } from '../storage-node/drive-care/aside.ts'
import { DriveHealth } from '../storage-node/drive-care/drive-health.ts'
import { PatientClock } from '../storage-node/drive-care/patient-clock.ts'
import { PatientNode } from '../storage-node/drive-care/patient-node.ts'
import { WatchedDisk } from '../storage-node/drive-care/watched-disk.ts'
import {
  type CareLimits,
  type CareParts,
  DriveCare,
  type ShownCondition,
  USUAL_CARE,
} from './drive-care.ts'
import { listDriveMetrics } from './drive-metrics.ts'
import { type ProbeTimes, probeInTurns, USUAL_PROBES } from './drive-probes.ts'

/** What a test or a simulation sets otherwise. */
export interface CareTuning {
  limits?: Partial<CareLimits>
  probes?: Partial<ProbeTimes>
  /** Between two looks at all drives. */
  everyMs?: number
}

// A hang is noticed within a tenth of a second of its limit.
const JUDGE_EVERY_MS = 100
// A process that comes by more rarely than this has not waited for its drives.
const LATEST_TICK_FACTOR = 3
// A stop waits no longer for a probe.
const STOP_MS = 3_000

/** What observes drives, from before the first is opened. */
export class DriveObservers {
  /** The world as it was handed in, but for a disk that is watched. */
  readonly world: World
  readonly clock: PatientClock
  readonly aside = new AsideDrives()
  readonly healths = new Map<number, DriveHealth>()
  readonly everyMs: number
  readonly #disk: WatchedDisk

  constructor(world: World, tuning: CareTuning = {}) {
    this.#disk = new WatchedDisk(world.disk)
    this.world = { ...world, disk: this.#disk }
    this.everyMs = tuning.everyMs ?? JUDGE_EVERY_MS
    this.clock = new PatientClock(world.clock, this.everyMs * LATEST_TICK_FACTOR)
  }

  /** From now on the drive is observed, and no other that had its id. */
  watch({ id, path }: Pick<Drive, 'id' | 'path'>): DriveHealth {
    this.unwatch(id)
    const health = new DriveHealth(() => this.clock.now())
    this.healths.set(id, health)
    this.#disk.watch(path, health)
    return health
  }

  /** The drive is not here any more. */
  unwatch(driveId: number): void {
    const health = this.healths.get(driveId)
    if (health === undefined) return
    this.healths.delete(driveId)
    this.#disk.unwatch(health)
  }

  /** The same node, on which nobody waits for drives that are aside. */
  guard(node: StorageNode): StorageNode {
    return new PatientNode(node, this.aside)
  }
}

/** What the care needs beside its observers. */
export interface CareOfDrivesParts {
  observers: DriveObservers
  log: Log
  registry: Registry
  tuning?: { care?: CareTuning }
  coordinator: CareParts['coordinator']
  leaveMetadata(driveId: number): void
}

/** Judges and probes drives that are observed and serve, until it is closed. */
export class CareOfDrives {
  readonly #parts: CareOfDrivesParts
  readonly #care: DriveCare
  readonly #judging: Periodic
  readonly #probing = new Map<Drive, Periodic>()

  constructor(parts: CareOfDrivesParts) {
    const { observers, log, tuning } = parts
    const { world } = observers
    this.#parts = parts
    const limits = { ...USUAL_CARE, ...tuning?.care?.limits }
    const { clock, aside } = observers
    this.#care = new DriveCare({ ...parts, clock, aside, log }, limits)
    listDriveMetrics(this.#care, parts.registry)
    this.#judging = repeat('judge-drives', observers.everyMs, async () => this.#care.tick(), {
      clock: world.clock,
      log,
    })
  }

  /** What readers are told. */
  get advice(): DriveAdvice {
    return this.#care.advice
  }

  conditionOf(driveId: number): ShownCondition {
    return this.#care.conditionOf(driveId)
  }

  /** Resolves once it is on record that a drive that was put aside is out; rejects when it could not be recorded. */
  recorded(driveId: number): Promise<void> {
    return this.#care.recorded(driveId)
  }

  /** Takes a drive into care that serves from now on. */
  begin(drive: Drive): void {
    const { observers, log, tuning } = this.#parts
    if (drive.failure !== undefined) return
    this.#care.add(drive, observers.healths.get(drive.id) ?? observers.watch(drive))
    // One that had its place before failed; its loops end by themselves.
    for (const [before, probing] of this.#probing) {
      if (before.id !== drive.id) continue
      this.#probing.delete(before)
      void probing.stop()
    }
    const times = { ...USUAL_PROBES, ...tuning?.care?.probes }
    const parts = { world: observers.world, log, care: this.#care }
    this.#probing.set(drive, probeInTurns(drive, times, parts))
  }

  /** The drive leaves the store. */
  async end(drive: Drive): Promise<void> {
    this.#care.remove(drive)
    const probing = this.#probing.get(drive)
    this.#probing.delete(drive)
    // A probe that hangs ends when its drive does.
    if (probing !== undefined)
      await beforeDeadline(probing.stop(), STOP_MS, this.#parts.observers.world)
  }

  /** What hangs fails now, so that nothing waits for it when all is closed. */
  async close(): Promise<void> {
    await this.#judging.stop()
    this.#care.stop()
    const { world } = this.#parts.observers
    const stopped = Promise.all([...this.#probing.values()].map((probing) => probing.stop()))
    await beforeDeadline(stopped, STOP_MS, world)
  }
}
