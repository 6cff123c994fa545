// A simulated machine: drives, virtual time, and the processes that run on it one after the other. A process that is
// killed hears nothing any more: what it waits for never comes.
import type { Clock, Disk, DiskFile, World } from '../../src/kit/world.ts'
import type { OpenLevel } from '../../src/storage-node/drive-lock.ts'
import { type DiskOperation, wholeBlocks } from '../crash/forgetful-disk.ts'
import { diskError, type Survival } from '../crash/forgetful-node.ts'
import type { Seeded } from '../support/seeded.ts'
import { levelError, openSimLevel } from './levels.ts'
import { randomsFor } from './randoms.ts'
import type { SimDrive } from './sim-drive.ts'
import type { SimTime } from './time.ts'

/** Wall time at the beginning. */
const EPOCH_MS = 1_700_000_000_000
const FULL_BYTES = 1024 ** 4

/** How long operations take, in milliseconds. */
export interface Latencies {
  usual: number
  sync: number
  /** One in so many operations takes twenty times as long. */
  slowOneIn: number
}

/** What a crash leaves. */
export interface Cruelty {
  /** Percent of the operations under way that are done. */
  underWay: number
  survives: Survival
}

/** Only what was synced is left. */
export const NOTHING: Cruelty = { underWay: 0, survives: () => false }

/** Only the process ended. */
export const EVERYTHING: Cruelty = { underWay: 50, survives: () => true }

/** The machine. */
export class SimMachine {
  readonly time: SimTime
  readonly drives: SimDrive[]
  readonly latencies: Latencies
  /** Disk operations so far. */
  operations = 0
  /** The drives by when their metadata log was synced last, the latest first. */
  logged: readonly SimDrive[] = []
  /** Of the wall clock, against the time that passed. */
  clockOffsetMs = 0
  /** What its monotonic clock said at the beginning, and how fast it is. */
  monotonic = { offsetMs: 0, speed: 1 }
  /** Its process does nothing before, and does not know: as when it is stopped by a signal. */
  pausedUntilMs = 0
  /** Called when the power goes off at an operation. */
  onFuse: () => void = () => {}
  readonly say: (line: string) => void
  /** Files can be opened so that every write is synced, and operations gather: on every other machine. */
  readonly isThrough: boolean
  readonly #seed: number
  readonly #latency: Seeded
  readonly #byPath: Map<string, SimDrive>
  readonly #inFlight = new Set<() => Promise<unknown>>()
  #fuseAt = Number.POSITIVE_INFINITY

  constructor(
    seed: number,
    parts: { time: SimTime; drives: SimDrive[]; latencies: Latencies; say: (line: string) => void },
  ) {
    this.#seed = seed
    this.isThrough = seed % 2 === 0
    this.time = parts.time
    this.drives = parts.drives
    this.#byPath = new Map(parts.drives.map((drive) => [drive.path, drive]))
    this.latencies = parts.latencies
    this.say = parts.say
    this.#latency = randomsFor(seed, 'latency')
  }

  /** The power goes off, or the process ends, at the operation after `count` more. */
  burnFuse(count: number): void {
    this.#fuseAt = this.operations + count
  }

  /** Every drive as a crash leaves it; what was being written may be done or not. */
  async crash({ underWay, survives }: Cruelty, chance: Seeded): Promise<void> {
    this.#fuseAt = Number.POSITIVE_INFINITY
    const inFlight = [...this.#inFlight]
    this.#inFlight.clear()
    for (const act of inFlight) {
      if (chance.below(100) < underWay) await act().catch(() => {}) // Nobody is there to hear of it.
    }
    for (const drive of this.drives) drive.crash(survives)
  }

  /** Somebody builds it in. */
  addDrive(drive: SimDrive): void {
    this.drives.push(drive)
    this.#byPath.set(drive.path, drive)
  }

  driveAt(path: string): SimDrive | undefined {
    const end = path.indexOf('/', 1)
    return this.#byPath.get(end < 0 ? path : path.slice(0, end))
  }

  /** A process that begins now. `number` makes its random bytes its own. */
  startProcess(number: number): SimProcess {
    return new SimProcess(this, randomsFor(this.#seed, `process ${number}`))
  }

  /** Does `act` later, unless the process ended before; it may then be done in the crash. */
  perform<T>(
    process: SimProcess,
    drive: SimDrive,
    operation: DiskOperation,
    act: () => Promise<T>,
  ): Promise<T> {
    const isChange = operation.kind !== 'read'
    return new Promise((resolve, reject) => {
      if (isChange) this.#inFlight.add(act)
      const attempt = (): void => {
        if (!process.isAlive) return
        const waitsUntilMs = Math.max(drive.stalledUntilMs, this.pausedUntilMs)
        if (waitsUntilMs > this.time.nowMs) {
          this.time.after(waitsUntilMs - this.time.nowMs + this.#draw(1), attempt)
          return
        }
        this.operations += 1
        if (this.operations > this.#fuseAt) {
          this.onFuse()
          return
        }
        this.#inFlight.delete(act)
        if (operation.kind === 'sync' && operation.path.includes('/metalog/'))
          this.logged = [drive, ...this.logged.filter((other) => other !== drive)]
        const trouble = troubleOf(drive, operation)
        this.say(`${operation.kind} ${operation.path}${trouble ? ` ${String(trouble)}` : ''}`)
        if (trouble !== undefined) reject(trouble)
        else act().then(resolve, reject)
      }
      this.time.after(this.#latencyOf(operation) * drive.slowness, attempt)
    })
  }

  /** Others come with what they have meanwhile. */
  gather(process: SimProcess): Promise<void> {
    return new Promise((resolve) => {
      this.time.after(this.#draw(1), () => process.whenAwake(resolve))
    })
  }

  #latencyOf({ kind }: DiskOperation): number {
    const { usual, sync, slowOneIn } = this.latencies
    const base = kind === 'sync' || kind === 'sync-directory' ? sync : usual
    const slow = this.#latency.below(slowOneIn) === 0 ? 20 : 1
    return this.#draw(2 * base) * slow
  }

  #draw(most: number): number {
    return (this.#latency.below(1000) / 1000) * most
  }
}

/** One life of the store's process. */
export class SimProcess {
  readonly world: World
  isAlive = true
  readonly #machine: SimMachine
  readonly #chance: Seeded
  /** Who wants to hear of its end, for as long as that matters: a promise would keep them all until then. */
  readonly #listeners = new Set<() => void>()
  #end: () => void = () => {}
  /** Resolves when it was ended. */
  readonly ended = new Promise<void>((resolve) => {
    this.#end = resolve
  })

  constructor(machine: SimMachine, random: Seeded) {
    this.#machine = machine
    this.#chance = random
    this.world = {
      clock: this.#clock(),
      random: { bytes: (count) => random.bytes(count) },
      disk: this.#disk(),
      http: {
        send: () => Promise.reject(new Error('there is no network')),
        lines: () => Promise.reject(new Error('there is no network')),
      },
    }
  }

  /** Runs `run` now, or when the process goes on; never once it has ended. */
  whenAwake(run: () => void): void {
    const { time, pausedUntilMs } = this.#machine
    if (!this.isAlive) return
    if (pausedUntilMs <= time.nowMs) run()
    else time.after(pausedUntilMs - time.nowMs, () => this.whenAwake(run))
  }

  /** Calls `listener` when it ends, unless the function that is returned was called before. */
  onEnd(listener: () => void): () => void {
    if (this.isAlive) this.#listeners.add(listener)
    else listener()
    return () => this.#listeners.delete(listener)
  }

  /** Nothing that it waits for comes any more. */
  end(): void {
    this.isAlive = false
    this.#end()
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const listener of listeners) listener()
  }

  /** Stands for LevelDB. */
  readonly openLevel: OpenLevel = async (path) => {
    const drive = this.#driveAt(path)
    return await this.#onDrive(drive, path, 'write', () => {
      if (drive.disk.inodeOf(path) === undefined) throw levelError('LEVEL_IO_ERROR', 'no directory')
      const files = drive.levelAt(path)
      if (files.isOpen) {
        const cause = levelError('LEVEL_LOCKED', 'already held')
        throw Object.assign(new Error('not open', { cause }), { code: 'LEVEL_DATABASE_NOT_OPEN' })
      }
      return openSimLevel(files, {
        write: (act) => this.#onDrive(drive, path, 'write', act),
        read: (act) => this.#readLevel(drive, path, act),
      })
    })
  }

  /** Reads are mostly of memory: only some take time. */
  #readLevel<T>(drive: SimDrive, path: string, act: () => T): Promise<T> {
    if (this.#chance.below(8) === 0 || drive.isUnplugged)
      return this.#onDrive(drive, path, 'read', act)
    return new Promise((resolve) => {
      resolve(act())
    })
  }

  async #onDrive<T>(
    drive: SimDrive,
    path: string,
    kind: 'read' | 'write',
    act: () => T,
  ): Promise<T> {
    try {
      return await this.#machine.perform(this, drive, { kind, path }, async () => act())
    } catch (error) {
      if ((error as { code?: string }).code !== 'EIO') throw error
      throw levelError('LEVEL_IO_ERROR', 'IO error')
    }
  }

  #clock(): Clock {
    const machine = this.#machine
    const { time } = machine
    return {
      now: () => Math.floor(EPOCH_MS + time.nowMs + machine.clockOffsetMs),
      monotonicMs: () => machine.monotonic.offsetMs + time.nowMs * machine.monotonic.speed,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          signal?.throwIfAborted()
          const wake = time.plan(ms / machine.monotonic.speed, () =>
            this.whenAwake(() => {
              if (signal?.aborted) return
              signal?.removeEventListener('abort', leave)
              resolve()
            }),
          )
          const leave = (): void => {
            time.cancel(wake)
            reject(signal?.reason)
          }
          signal?.addEventListener('abort', leave, { once: true })
        }),
    }
  }

  #driveAt(path: string): SimDrive {
    const drive = this.#machine.driveAt(path)
    if (drive === undefined) throw diskError('ENOENT', path)
    return drive
  }

  #disk(): Disk {
    const on = <T>(
      kind: DiskOperation['kind'],
      path: string,
      act: (disk: SimDrive['disk'], drive: SimDrive) => Promise<T>,
    ): Promise<T> => {
      const drive = this.#driveAt(path)
      return this.#machine.perform(this, drive, { kind, path }, () => act(drive.disk, drive))
    }
    const machine = this.#machine
    const openThrough = (path: string): Promise<DiskFile> =>
      on('read', path, async (disk, drive) => {
        const file = await disk.open(path, 'write')
        return { ...this.#opened(drive, path, file, 'sync'), isThrough: true }
      })
    const openDirect = (path: string): Promise<DiskFile> =>
      on('create', path, async (disk, drive) => {
        const file = this.#opened(drive, path, await disk.open(path, 'create'))
        return { ...file, write: wholeBlocks(path, file.write) }
      })
    const gather = (): Promise<void> => machine.gather(this)
    return {
      ...(machine.isThrough ? { openThrough, openDirect, gather } : {}),
      open: (path, mode) =>
        on(mode === 'create' ? 'create' : 'read', path, async (disk, drive) =>
          this.#opened(drive, path, await disk.open(path, mode)),
        ),
      readFile: (path) => on('read', path, (disk) => disk.readFile(path)),
      makeDirectory: (path) => on('mkdir', path, (disk) => disk.makeDirectory(path)),
      list: (path) => on('read', path, (disk) => disk.list(path)),
      rename: (from, to) => on('rename', from, (disk) => disk.rename(from, to)),
      remove: (path) => on('remove', path, (disk) => disk.remove(path)),
      removeTree: (path) => on('remove', path, (disk) => disk.removeTree(path)),
      stat: async (path) => {
        if (path === '/') return undefined
        return await on('read', path, (disk) => disk.stat(path))
      },
      syncDirectory: (path) => on('sync-directory', path, (disk) => disk.syncDirectory(path)),
      space: (path) =>
        on('read', path, async (disk) => {
          const totalBytes = Math.min(FULL_BYTES, disk.capacityBytes)
          return {
            freeBytes: Math.max(0, totalBytes - disk.usedBytes()),
            totalBytes,
            freeInodes: 0,
            totalInodes: 0,
          }
        }),
    }
  }

  #opened(
    drive: SimDrive,
    path: string,
    file: DiskFile,
    writing: 'write' | 'sync' = 'write',
  ): DiskFile {
    const { disk } = drive
    const on = <T>(kind: DiskOperation['kind'], act: () => Promise<T>): Promise<T> =>
      this.#machine.perform(this, drive, { kind, path }, async () => {
        // The drive was taken out and put back: what was open then is not any more.
        if (drive.disk !== disk) throw diskError('EIO', path)
        return await act()
      })
    return {
      read: (buffers, position) => on('read', () => file.read(buffers, position)),
      write: (buffers, position) => {
        const bytes = Buffer.concat(buffers)
        return on(writing, async () => {
          const atMs = this.#machine.time.nowMs
          drive.noteWritten({ path, position, bytes: bytes.length, atMs })
          await writeOrLie(drive, path, file, bytes, position)
          // What a crash comes upon is written, and any of it is found.
          if (writing === 'sync' && this.isAlive) await file.sync()
        })
      },
      sync: () => on('sync', () => file.sync()),
      stat: () => on('read', () => file.stat()),
      truncate: (bytes) => on('truncate', () => file.truncate(bytes)),
      close: () => file.close(),
    }
  }
}

function troubleOf(drive: SimDrive, { path }: DiskOperation): Error | undefined {
  if (drive.isUnplugged) return diskError('EIO', path)
  if (!drive.failsNext) return undefined
  drive.failsNext = false
  return diskError('EIO', path)
}

/** A drive that lies says that it wrote. */
async function writeOrLie(
  drive: SimDrive,
  path: string,
  file: DiskFile,
  bytes: Buffer,
  position: number,
): Promise<void> {
  const lie =
    path.endsWith('/draft') || path.includes('format.json') ? undefined : drive.lies.shift()
  if (lie === 'phantom') {
    // The length is kept by the file system, the bytes never reached the medium.
    await file.write([Buffer.alloc(bytes.length)], position)
  } else if (lie === 'torn') {
    const torn = Buffer.from(bytes)
    torn.fill(0, torn.length >> 1)
    await file.write([torn], position)
  } else if (lie === 'misdirected') {
    await file.write([Buffer.alloc(bytes.length)], position)
    const { bytes: length } = await file.stat()
    const elsewhere = Math.max(0, Math.floor((length - bytes.length) / 1024) * 512)
    await file.write([bytes], Math.min(elsewhere, position))
  } else await file.write([bytes], position)
}
