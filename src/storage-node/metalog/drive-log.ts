// The metadata log of one drive, shared by all partitions: what waits is written and synced together.
// Layout: docs/formats/metadata-log.md.

import { assert } from '../../kit/assert.ts'
import { mebibytes, roundUp } from '../../kit/bytes.ts'
import { isFull } from '../../kit/drive-unavailable.ts'
import { readIfThere, removeIfThere } from '../../kit/files.ts'
import type { World } from '../../kit/world.ts'
import { mayPass } from '../drive-errors.ts'
import { retainedLogBytesOn } from '../space/sizes.ts'
import { LogFile } from './log-file.ts'
import {
  type FoundRecord,
  type HighestRecords,
  type IsNeeded,
  logDirectoryOf,
  noteHighest,
  openLogDirectory,
  readLogFiles,
  type SealedFile,
  saltOf,
} from './log-files.ts'
import type { MetaDrive } from './meta-drive.ts'
import {
  decodeRecord,
  encodeRecord,
  type LogRecord,
  RECORD_ALIGNMENT,
  RECORD_HEADER_BYTES,
  RecordKind,
} from './record.ts'
import { scanFile } from './scan-file.ts'

/** Sizes of a log. */
export interface DriveLogOptions {
  /** Of one file, where the drive is not small. */
  fileBytes: number
  /** Old files stay until those after them hold this much, even when nobody needs them. */
  retainBytes: number
  /** Files say at their ends that all of them was durable: for logs that alone can tell what was lost of them. */
  isSealed?: boolean
}

interface Waiting {
  record: LogRecord
  batch: Uint8Array
  bytes: number
  resolve: () => void
  reject: (error: unknown) => void
}

// One group: enough that a sync pays, little enough that nobody waits long for its end.
const GROUP_BYTES = mebibytes(4)
const GROUP_RECORDS = 512
const SEAL_BYTES = RECORD_HEADER_BYTES
// Of no partition and no replica.
const SEAL: LogRecord = {
  ...{ kind: RecordKind.Seal, partition: 0xffff, incarnation: '0000000000000000' },
  ...{ epoch: 0, sequence: 0, prevEpoch: 0, committed: 0 },
}
// A file is at most this share of its drive, so that a small one is not eaten by its log.
const DRIVE_SHARE = 512

/** Appends records of all partitions on one drive. */
export class DriveLog {
  readonly #world: Pick<World, 'disk' | 'random'>
  readonly #drive: MetaDrive
  readonly #options: DriveLogOptions
  readonly #sealed: SealedFile[]
  readonly #waiting: Waiting[] = []
  #current: LogFile
  #highest: HighestRecords = new Map()
  /** The next file, made while there is still room in the current one. */
  #spare: Promise<LogFile | undefined> | undefined
  #nextNumber: number
  #running: Promise<void> = Promise.resolve()
  #isRunning = false
  #failure: unknown
  #isFull = false
  #mustLeave = false
  /** A write of the current file failed for want of something: what lies behind its last record is not known. */
  #isSoiled = false
  #reading: { path: string; bytes: Uint8Array } | undefined

  private constructor(parts: {
    world: Pick<World, 'disk' | 'random'>
    drive: MetaDrive
    options: DriveLogOptions
    sealed: SealedFile[]
    current: LogFile
  }) {
    this.#world = parts.world
    this.#drive = parts.drive
    this.#options = parts.options
    this.#sealed = parts.sealed
    this.#current = parts.current
    this.#nextNumber = parts.current.number + 1
  }

  /**
   * Reads what a drive's log still holds, and starts a new file behind it. Files of earlier starts are never written
   * again. Only records that are needed are returned: a log may hold hundreds of thousands.
   */
  static async open(
    parts: { world: Pick<World, 'disk' | 'random'>; drive: MetaDrive },
    options: DriveLogOptions,
    isNeeded: IsNeeded,
  ): Promise<{ log: DriveLog; found: FoundRecord[]; rotten: number }> {
    const { world, drive } = parts
    const directory = await openLogDirectory(world, drive)
    const { sealed, found, rotten, lastNumber } = await readLogFiles(world, drive, isNeeded)
    const space = await drive.run(() => world.disk.space(drive.path))
    const fileBytes = fitToDrive(options.fileBytes, space.totalBytes)
    const retainBytes = retainedLogBytesOn(space.totalBytes, options.retainBytes)
    const place = { directory, number: lastNumber + 1, bytes: fileBytes }
    const current = await LogFile.create(place, parts)
    const sizes = { ...options, fileBytes, retainBytes }
    const log = new DriveLog({ world, drive, options: sizes, sealed, current })
    return { log, found, rotten }
  }

  /** Resolves once the record is durable, in the order of the calls. Partitions bound how many they have under way. */
  append(record: LogRecord, batch: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const bytes = roundUp(RECORD_HEADER_BYTES + batch.length, RECORD_ALIGNMENT)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, batch, bytes, resolve, reject })
      if (!this.#isRunning) this.#running = this.#run()
    })
  }

  /** Finds durable records again while the log is in use. Nothing is changed; no trim() may be under way. */
  async findAgain(isWanted: IsNeeded): Promise<FoundRecord[]> {
    const found: FoundRecord[] = []
    for (const path of [...this.#sealed.map((sealed) => sealed.path), this.#current.path]) {
      const salt = saltOf(path)
      const file = await this.#drive.run(() => this.#world.disk.readFile(path))
      for (const { record, at, bytes } of scanFile(file, salt).places) {
        if (isWanted(record)) found.push({ ...record, file: path, salt, at, bytes })
      }
    }
    return found
  }

  /**
   * All files in their order, as far as they are durable, while the log is in use. What nobody needs may go meanwhile, and what is written
   * after the call may be missing.
   */
  async *readFiles(): AsyncGenerator<{ bytes: Uint8Array; salt: bigint }> {
    for (const { path, used } of this.#filesNow()) {
      const bytes = await this.#drive.run(() => readIfThere(this.#world, path))
      if (bytes !== undefined) yield { bytes: bytes.subarray(0, used), salt: saltOf(path) }
    }
  }

  /** `used`: behind it something may be under way. */
  #filesNow(): { path: string; used: number }[] {
    const sealed = this.#sealed.map(({ path }) => ({ path, used: Number.POSITIVE_INFINITY }))
    return [...sealed, { path: this.#current.path, used: this.#current.used }]
  }

  /** Reads the batch of a record that open() or findAgain() found. Asked in order of files it reads each file once. */
  async readFound(found: FoundRecord): Promise<Uint8Array> {
    if (this.#reading?.path !== found.file) {
      const bytes = await this.#drive.run(() => this.#world.disk.readFile(found.file))
      this.#reading = { path: found.file, bytes }
    }
    const read = decodeRecord(this.#reading.bytes, found.at, found.salt)
    if (read.kind !== 'record') throw new Error('a log record rotted since it was found')
    return read.batch
  }

  /** Gives the memory of readFound() back. */
  endReading(): void {
    this.#reading = undefined
  }

  /** Deletes the oldest files that nobody needs, as far as `retainBytes` allows. */
  async trim(isNeeded: IsNeeded, options: { retainBytes?: number } = {}): Promise<void> {
    const retainBytes = options.retainBytes ?? this.#options.retainBytes
    for (;;) {
      const [oldest, ...rest] = this.#sealed
      if (oldest === undefined || holdsAny([oldest], isNeeded)) return
      const behind = rest.reduce((sum, { bytes }) => sum + bytes, this.#current.bytes)
      if (behind < retainBytes) return
      await this.#drive.run(() => this.#world.disk.remove(oldest.path))
      this.#sealed.shift()
    }
  }

  /** Reads every file; the paths of those that hold something else than records, and how many there are. */
  async findRotten(pace: () => Promise<void>): Promise<{ files: number; rotten: string[] }> {
    const rotten: string[] = []
    const files = this.#filesNow()
    for (const { path, used } of files) {
      await pace()
      const bytes = await this.#drive.run(() => readIfThere(this.#world, path))
      // A file that is not needed any more goes away meanwhile.
      const isKnown = path === this.#current.path || this.#sealed.some((one) => one.path === path)
      if (!isKnown) continue
      if (bytes === undefined || isRotten(path, bytes.subarray(0, used))) rotten.push(path)
    }
    return { files: files.length, rotten }
  }

  /** Begins a new file before the next record, when the current one is among these. */
  async leaveFile(paths: readonly string[]): Promise<void> {
    if (!paths.includes(this.#current.path) || this.#failure !== undefined) return
    this.#mustLeave = true
    if (!this.#isRunning) this.#running = this.#run()
    await this.#running
  }

  /**
   * Deletes those of these files that nobody needs. One stays while an older one has records of a replica that `isGone`: what says that it is
   * may be in this one alone.
   */
  async dropFiles(
    paths: readonly string[],
    isNeeded: IsNeeded,
    isGone: IsNeeded = () => false,
  ): Promise<void> {
    for (const file of this.#sealed.filter(({ path }) => paths.includes(path))) {
      const older = this.#sealed.slice(0, this.#sealed.indexOf(file))
      if (holdsAny([file], isNeeded) || holdsAny(older, isGone)) continue
      await this.#drive.run(() => removeIfThere(this.#world, file.path))
      this.#sealed.splice(this.#sealed.indexOf(file), 1)
    }
  }

  /** Waits for what was appended. */
  async close(): Promise<void> {
    await this.#running
    const isWhole = this.#failure === undefined && this.#drive.failure === undefined
    this.#failure ??= new Error('the log is closed')
    try {
      if (isWhole) await this.#seal()
    } finally {
      await this.#closeFiles()
    }
  }

  async #closeFiles(): Promise<void> {
    const spare = await this.#spare
    await this.#current.close()
    if (spare !== undefined) await this.#discard(spare)
  }

  /** Of a file that holds no record. */
  async #discard(file: LogFile): Promise<void> {
    await file.close()
    if (this.#drive.failure === undefined) {
      await this.#drive.run(() => this.#world.disk.remove(file.path))
    }
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0 || this.#mustLeave) {
      await this.#drive.gather()
      try {
        if (this.#mustLeave) await this.#nextFile(0)
        else await this.#writeGroup()
      } catch (error) {
        this.#refuse(error)
      }
    }
    this.#isRunning = false
  }

  async #writeGroup(): Promise<void> {
    await this.#makeRoom(this.#waiting[0]!.bytes)
    const group = this.#takeGroup()
    const { salt, used } = this.#current
    const records = group.map(({ record, batch }) => encodeRecord(record, batch, salt, used))
    try {
      await this.#current.append(records)
    } catch (error) {
      this.#isSoiled = this.#seals
      for (const { reject } of group) reject(error)
      throw error
    }
    this.#isFull = false
    for (const { record, resolve } of group) {
      noteHighest(this.#highest, record)
      resolve()
    }
  }

  /** Whether the drive had no room for another file when one was needed. */
  get isFull(): boolean {
    return this.#isFull
  }

  /** A drive that is full or busy refuses what waits and goes on later; any other failure is the end of the drive. */
  #refuse(error: unknown): void {
    this.#isFull = isFull(error)
    if (!mayPass(error)) {
      this.#failure = error
      this.#drive.fail(error)
    }
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }

  #takeGroup(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const { bytes: more } of this.#waiting) {
      const fits = bytes + more <= this.#free
      if (!fits || count === GROUP_RECORDS || (count > 0 && bytes + more > GROUP_BYTES)) break
      bytes += more
      count += 1
    }
    assert(count > 0, 'room was made for the first record')
    return this.#waiting.splice(0, count)
  }

  async #makeRoom(bytes: number): Promise<void> {
    if (this.#current.free < this.#current.bytes / 2) this.#spare ??= this.#makeSpare()
    if (this.#isSoiled || this.#free < bytes) await this.#nextFile(bytes)
  }

  get #seals(): boolean {
    return this.#options.isSealed ?? false
  }

  /** In the current file, but for its seal. */
  get #free(): number {
    return this.#current.free - (this.#seals ? SEAL_BYTES : 0)
  }

  /** Says in the current file that all before it is durable. */
  async #seal(): Promise<void> {
    const { used, salt } = this.#current
    if (!this.#seals || used === 0) return
    await this.#current.append([encodeRecord(SEAL, new Uint8Array(), salt, used)])
  }

  async #nextFile(bytes: number): Promise<void> {
    this.#mustLeave = false
    const spare = await this.#spare
    const room = bytes + (this.#seals ? SEAL_BYTES : 0)
    const fits = spare !== undefined && spare.bytes >= room
    const next = fits ? spare : await this.#create(room)
    try {
      await this.#seal()
    } catch (error) {
      if (!fits) await this.#discard(next)
      throw error
    }
    const before = this.#turnTo(next)
    try {
      await before.close()
    } finally {
      if (spare !== undefined && !fits) await this.#discard(spare)
    }
  }

  /** Gives the file before, which is sealed. A spare that is too small is not used any more: files are read by their numbers. */
  #turnTo(next: LogFile): LogFile {
    const before = this.#current
    assert(next.number > before.number, 'files are written in the order of their numbers')
    const { path, bytes } = before
    this.#sealed.push({ path, bytes, highest: this.#highest })
    this.#highest = new Map()
    this.#current = next
    this.#spare = undefined
    this.#isSoiled = false
    return before
  }

  /** A spare that can not be made now is tried again when it is needed. */
  async #makeSpare(): Promise<LogFile | undefined> {
    try {
      return await this.#create(0)
    } catch (error) {
      if (!mayPass(error)) this.#drive.fail(error)
      this.#spare = undefined
      return undefined
    }
  }

  #create(recordBytes: number): Promise<LogFile> {
    const bytes = Math.max(this.#options.fileBytes, recordBytes)
    const number = this.#nextNumber
    this.#nextNumber += 1
    const directory = logDirectoryOf(this.#drive)
    return LogFile.create({ directory, number, bytes }, { world: this.#world, drive: this.#drive })
  }
}

function holdsAny(files: readonly SealedFile[], isWanted: IsNeeded): boolean {
  return files.some(({ highest }) => [...highest.values()].some(isWanted))
}

function isRotten(path: string, bytes: Uint8Array): boolean {
  return scanFile(bytes, saltOf(path)).rotten > 0
}

function fitToDrive(wanted: number, totalBytes: number): number {
  const share = roundUp(Math.floor(totalBytes / DRIVE_SHARE), 64 * 1024)
  return Math.min(wanted, Math.max(share, 64 * 1024))
}
