// The store as it is shipped, on a simulated machine: started, killed and started again.

import type { ServeConfig } from '../../src/config.ts'
import { openAdmin } from '../../src/embedded/admin.ts'
import { type OpenedStore, openStore } from '../../src/embedded/open-store.ts'
import type { Tuning } from '../../src/embedded/tuning.ts'
import type { AdminApi } from '../../src/gateway/admin-api.ts'
import { ClosingStack } from '../../src/kit/closing-stack.ts'
import type { Log } from '../../src/kit/log.ts'
import { Registry } from '../../src/kit/metrics.ts'
import type { ClusterState } from '../../src/placement/coordinator.ts'
import type { SimMachine, SimProcess } from './machine.ts'

/** A store that serves. */
export interface Serving extends OpenedStore {
  process: SimProcess
  admin: AdminApi
  close(): Promise<void>
}

const KIBIBYTE = 1024

/** Small files and short times, so that few operations cross every seam. */
const TUNING: Tuning = {
  space: { ballastBytes: 0 },
  partitions: { partitionCount: 8, metaPartitionCount: 2 },
  shards: {
    segmentShardBytes: 48 * KIBIBYTE,
    segmentBytes: 256 * KIBIBYTE,
    bufferBytes: 1024 * KIBIBYTE,
  },
  metadata: {
    fileBytes: 16 * KIBIBYTE,
    retainBytes: 64 * KIBIBYTE,
    markerBytes: 16 * KIBIBYTE,
    markerMs: 4_000,
    inspectMs: 10_000,
  },
  healing: { outDelayMs: 8_000, againMs: 2_000 },
  // All drives of the machine in memory have one number, and stand for disks of their own.
  care: { limits: { sharedFactor: 1 }, everyMs: 500 },
  poolBytes: 3 * 1024 * KIBIBYTE,
}

/** Between two comparisons of all metadata replicas. */
export const INSPECT_MS = 10_000

/** How the store is made. */
export interface StoreShape {
  drives: number
  code: { dataCount: number; parityCount: number }
  garbageGraceMs: number
}

/** Says what the store got wrong by itself. */
export type Complain = (trouble: string) => void

/** The life of a store over many processes. */
export class SimStore {
  readonly shape: StoreShape
  readonly #machine: SimMachine
  readonly #complain: Complain
  #serving: Serving | undefined
  #processes = 0
  readonly #epochs = new Map<number, string>()
  #lastEpoch = 0
  #waiting: ((serving: Serving) => void)[] = []
  /** The process that starts or serves. */
  process: SimProcess | undefined

  constructor(machine: SimMachine, shape: StoreShape, complain: Complain) {
    this.#machine = machine
    this.shape = shape
    this.#complain = complain
  }

  get serving(): Serving | undefined {
    return this.#serving
  }

  /** The store that serves now, or the next one that will. */
  async served(): Promise<Serving> {
    if (this.#serving !== undefined) return this.#serving
    return await new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  /** Starts a process; undefined when it ended before it served. Throws what the start throws. */
  async start(): Promise<Serving | undefined> {
    this.#processes += 1
    const process = this.#machine.startProcess(this.#processes)
    this.process = process
    this.#machine.say(`process ${this.#processes} starts`)
    const opened = new ClosingStack()
    const log = this.#log(process)
    const parts = {
      world: process.world,
      log,
      registry: new Registry(),
      tuning: { ...TUNING, openLevel: process.openLevel },
    }
    const opening = opened.guard(() => openStore(this.#config(), parts, opened))
    const store = await Promise.race([opening, process.ended])
    if (!store || !process.isAlive) return undefined
    const { coordinator } = store.storage
    this.#noteEpoch(coordinator.state)
    coordinator.watch((state) => {
      if (process.isAlive) this.#noteEpoch(state)
    })
    const admin = openAdmin({ ...store, clock: store.storage.clock, restarts: { count: 0 } })
    this.#serving = { ...store, process, admin, close: () => opened.close() }
    this.#machine.say(`process ${this.#processes} serves`)
    for (const resolve of this.#waiting.splice(0)) resolve(this.#serving)
    return this.#serving
  }

  /** The process ends here and now. */
  end(): void {
    this.#serving = undefined
    this.process?.end()
  }

  /** A clean stop. */
  async stop(): Promise<void> {
    const serving = this.#serving
    this.#serving = undefined
    if (serving === undefined) return
    await Promise.race([serving.close().catch(() => {}), serving.process.ended])
    serving.process.end()
  }

  /** An epoch is given once and to one state (I9). */
  #noteEpoch(state: ClusterState): void {
    const text = JSON.stringify(state)
    const known = this.#epochs.get(state.epoch)
    if (known !== undefined && known !== text)
      this.#complain(`I9: epoch ${state.epoch} was given twice`)
    if (state.epoch < this.#lastEpoch)
      this.#complain(`I9: epoch ${state.epoch} comes after ${this.#lastEpoch}`)
    this.#epochs.set(state.epoch, text)
    this.#lastEpoch = state.epoch
  }

  #config(): ServeConfig {
    const { drives, code, garbageGraceMs } = this.shape
    return {
      directories: Array.from({ length: drives }, (_, index) => `/d${index + 1}`),
      address: '127.0.0.1',
      port: 0,
      adminAddress: '127.0.0.1',
      adminPort: 0,
      processes: 1,
      domains: [],
      region: 'us-east-1',
      strictRegion: false,
      strictS3: false,
      http: 'own' as const,
      code,
      buckets: [],
      garbageGraceMs,
      mendDelayMs: 0,
      orphanAgeMs: 2_000,
      abandonedUploadMs: undefined,
      scrubPeriodMs: 3_600_000,
      dumpPeriodMs: 7 * 24 * 3_600_000,
      logLevel: 'silent',
      rootCredentials: { accessKeyId: 'simulation', secretAccessKey: 'simulation' },
    }
  }

  #log(process: SimProcess): Log {
    const say = (level: string) => (data: object, sentence: string) => {
      if (!process.isAlive) return
      const text = `${level}: ${sentence} ${describe(data)}`
      this.#machine.say(text)
      if (text.includes('AssertionFailed')) this.#complain(text)
    }
    const log: Log = {
      debug: () => {},
      info: say('info'),
      warn: say('warn'),
      error: say('error'),
      child: () => log,
    }
    return log
  }
}

function describe(data: object): string {
  return JSON.stringify(data, (_, value) => (value instanceof Error ? String(value) : value))
}
