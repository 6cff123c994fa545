// One metadata log file: made of zeros before it is used, so that a record never needs new space
// and its sync no new block; then filled from its beginning.
import { assert } from '../../kit/assert.ts'
import { asBuffer, mebibytes } from '../../kit/bytes.ts'
import type { DiskFile, World } from '../../kit/world.ts'
import { openThrough } from '../open-through.ts'
import type { MetaDrive } from './meta-drive.ts'
import { decodeRecord, type RecordFound } from './record.ts'
import { logFileName } from './scan-file.ts'

const ZEROS = new Uint8Array(mebibytes(1))

/** A log file that is being written. */
export class LogFile {
  readonly number: number
  readonly salt: bigint
  readonly path: string
  readonly bytes: number
  readonly #drive: MetaDrive
  readonly #file: DiskFile
  #used = 0

  private constructor(parts: {
    number: number
    salt: bigint
    path: string
    bytes: number
    drive: MetaDrive
    file: DiskFile
  }) {
    this.number = parts.number
    this.salt = parts.salt
    this.path = parts.path
    this.bytes = parts.bytes
    this.#drive = parts.drive
    this.#file = parts.file
  }

  /** Makes a file of zeros, durable with its name. */
  static async create(
    place: { directory: string; number: number; bytes: number },
    parts: { world: Pick<World, 'disk' | 'random'>; drive: MetaDrive },
  ): Promise<LogFile> {
    const { world, drive } = parts
    const salt = asBuffer(world.random.bytes(8)).readBigUInt64LE(0)
    const path = `${place.directory}/${logFileName(place.number, salt)}`
    const file = await drive.run(() => world.disk.open(path, 'create'))
    try {
      for (let at = 0; at < place.bytes; at += ZEROS.length) {
        const count = Math.min(ZEROS.length, place.bytes - at)
        await drive.run(() => file.write([ZEROS.subarray(0, count)], at))
      }
      await drive.syncFile(file)
      await drive.syncDirectory(place.directory)
      const written = await openThrough(file, path, { disk: world.disk, drive })
      return new LogFile({ ...place, salt, path, drive, file: written })
    } catch (error) {
      void file.close().catch(() => undefined) // What hangs on the disk is not waited for.
      // What was written of it only takes space away from others.
      if (drive.failure === undefined) await drive.run(() => world.disk.remove(path))
      throw error
    }
  }

  /** Bytes that hold records. */
  get used(): number {
    return this.#used
  }

  /** Bytes that are still free. */
  get free(): number {
    return this.bytes - this.#used
  }

  /** Writes records behind what is there and makes them durable. */
  async append(records: readonly Uint8Array[]): Promise<void> {
    const total = records.reduce((sum, record) => sum + record.length, 0)
    assert(total <= this.free, 'records go where there is room for them')
    if (this.#file.isThrough) {
      await this.#drive.writeThrough(this.#file, records, this.#used, this.path)
    } else {
      await this.#drive.run(() => this.#file.write(records, this.#used))
      await this.#drive.syncFile(this.#file, this.path)
    }
    this.#used += total
  }

  /** Reads back one record. */
  async read(at: number, bytes: number): Promise<RecordFound> {
    const target = new Uint8Array(bytes)
    await this.#drive.run(() => this.#file.read([target], at))
    return decodeRecord(target, 0, this.salt)
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}
