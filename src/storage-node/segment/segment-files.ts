// Segment files by number: their names, and a bounded number of them open for reading.
import { assert } from '../../kit/assert.ts'
import { removeIfThere } from '../../kit/files.ts'
import { type DiskFile, isMissing, type World } from '../../kit/world.ts'
import type { Drive } from '../drive.ts'
import { openThrough } from '../open-through.ts'
import type { ReadAt } from './cell-reads.ts'
import { Salvage } from './salvage.ts'

/** An open file that is in use by `users` reads; `doomed` files close with their last user. */
interface OpenFile {
  file: Promise<DiskFile>
  /** What `file` gave, and what it is to stay. */
  opened: DiskFile | undefined
  users: number
  doomed: boolean
}

const MAX_OPEN = 32

/** The segment files of one drive. */
export class SegmentFiles {
  readonly #drive: Drive
  readonly #world: Pick<World, 'disk'>
  readonly #maxOpen: number
  /** In order of last use. */
  readonly #open = new Map<number, OpenFile>()

  constructor(drive: Drive, world: Pick<World, 'disk'>, maxOpen = MAX_OPEN) {
    this.#drive = drive
    this.#world = world
    this.#maxOpen = maxOpen
  }

  /** The directory of segments. */
  get directory(): string {
    return `${this.#drive.path}/seg`
  }

  /** Where segment `number` lies. */
  pathOf(number: number): string {
    return `${this.directory}/${String(number).padStart(8, '0')}.seg`
  }

  /** Numbers and sizes of all segment files, in order. */
  async list(): Promise<{ number: number; bytes: number }[]> {
    const names = await this.#drive.run(() => this.#world.disk.list(this.directory))
    const found: { number: number; bytes: number }[] = []
    for (const name of names) {
      const number = parseSegmentName(name)
      if (number === undefined) continue
      const stat = await this.#drive.run(() => this.#world.disk.stat(this.pathOf(number)))
      if (stat !== undefined) found.push({ number, bytes: stat.bytes })
    }
    return found.sort((left, right) => left.number - right.number)
  }

  /** Creates an empty segment whose name is durable. The caller may write to the file until it calls release(). */
  async create(number: number): Promise<DiskFile> {
    const path = this.pathOf(number)
    const file = await this.#drive.run(() => this.#world.disk.open(path, 'create'))
    const entry: OpenFile = {
      file: Promise.resolve(file),
      opened: undefined,
      users: 1,
      doomed: false,
    }
    this.#open.set(number, entry)
    try {
      const durable = await this.#makeDurable(file, path)
      entry.file = Promise.resolve(durable)
      entry.opened = durable
      return durable
    } catch (error) {
      entry.users -= 1
      void this.forget(number).catch(() => undefined) // What hangs on the disk is not waited for.
      throw error
    }
  }

  async #makeDurable(file: DiskFile, path: string): Promise<DiskFile> {
    await this.#drive.syncFile(file)
    await this.#drive.syncDirectory(this.directory)
    const { disk } = this.#world
    return await openThrough(file, path, { disk, drive: this.#drive })
  }

  /** The writer of segment `number` is done; its handle serves readers from now on. */
  release(number: number): void {
    const entry = this.#open.get(number)
    if (entry !== undefined) entry.users -= 1
    // Nobody may read from this drive for long, and each segment would leave a handle.
    void this.#evict().catch(() => undefined) // What hangs on the disk is not waited for.
  }

  /** Reads from segment `number`; 'gone' when there is no such file. Short only at the end of the file. */
  attempt(
    number: number,
    target: Uint8Array,
    position: number,
  ): Promise<number | 'gone' | 'medium-error'> {
    return this.#read(number, (file) => this.#drive.attempt(() => file.read([target], position)))
  }

  async #read<T>(number: number, read: (file: DiskFile) => Promise<T>): Promise<T | 'gone'> {
    const entry = this.#take(number)
    try {
      return await read(entry.opened ?? (await entry.file))
    } catch (error) {
      if (!isMissing(error)) throw error
      return 'gone'
    } finally {
      // As it is nearly always: nothing is to be closed.
      if (entry.opened !== undefined && !entry.doomed && this.#open.size <= this.#maxOpen)
        entry.users -= 1
      else await this.#giveBack(number, entry)
    }
  }

  /** The first `bytes` bytes of segment `number`, to be scanned, as far as the drive can read them. `onHole` as of SalvageParts. */
  salvage(number: number, bytes: number, onHole?: () => void): Salvage {
    const attempt: ReadAt = (target, position) => this.attempt(number, target, position)
    return new Salvage({ segment: number, bytes, attempt, onHole })
  }

  /** Removes the file of a segment, durably. Reads under way still end well. */
  async remove(number: number): Promise<void> {
    await this.forget(number)
    await this.#drive.run(() => removeIfThere(this.#world, this.pathOf(number)))
    await this.#drive.syncDirectory(this.directory)
  }

  /** Closes the handle of a segment as soon as nobody reads. */
  async forget(number: number): Promise<void> {
    const entry = this.#open.get(number)
    if (entry === undefined) return
    this.#open.delete(number)
    entry.doomed = true
    await this.#closeIfIdle(entry)
  }

  /** Closes all handles. */
  async close(): Promise<void> {
    for (const number of [...this.#open.keys()]) await this.forget(number)
  }

  #take(number: number): OpenFile {
    const known = this.#open.get(number)
    const entry = known ?? this.#begin(number)
    this.#open.delete(number)
    this.#open.set(number, entry)
    entry.users += 1
    return entry
  }

  #begin(number: number): OpenFile {
    const file = this.#openFile(number)
    const entry: OpenFile = { file, opened: undefined, users: 0, doomed: false }
    const keep = (opened: DiskFile): void => {
      entry.opened = opened
    }
    file.then(keep, () => {}) // Whoever reads gets the error.
    return entry
  }

  async #openFile(number: number): Promise<DiskFile> {
    return await this.#drive.run(() => this.#world.disk.open(this.pathOf(number), 'read'))
  }

  async #giveBack(number: number, entry: OpenFile): Promise<void> {
    entry.users -= 1
    assert(entry.users >= 0, 'a file is given back as often as it was taken')
    const opened = await settled(entry.file)
    if (!opened && this.#open.get(number) === entry) this.#open.delete(number)
    await this.#closeIfIdle(entry)
    await this.#evict()
  }

  async #evict(): Promise<void> {
    for (const [number, entry] of this.#open) {
      if (this.#open.size <= this.#maxOpen) return
      if (entry.users === 0) await this.forget(number)
    }
  }

  async #closeIfIdle(entry: OpenFile): Promise<void> {
    if (!entry.doomed || entry.users > 0) return
    entry.doomed = false
    if (await settled(entry.file)) await (await entry.file).close()
  }
}

/** The number in the name of a segment file, or undefined when it is none. */
function parseSegmentName(name: string): number | undefined {
  return /^\d{8}\.seg$/.test(name) ? Number.parseInt(name, 10) : undefined
}

async function settled(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => true,
    () => false, // Who asked for the file got the error.
  )
}
