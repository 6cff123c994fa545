// A disk in front of another one, on which a directory falls ill: slow, hanging, erring or read-only, until it is cured.
// LevelDB is native and passes by it.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Disk, DiskFile } from '../../src/kit/world.ts'

/** What a directory suffers from. */
export type Sickness =
  | { kind: 'slow'; delayMs: number }
  /** Nothing ends before the cure. */
  | { kind: 'hangs' }
  /** One operation of so many fails with EIO. */
  | { kind: 'errs'; oneIn: number }
  /** One read of a file of so many fails with EIO. */
  | { kind: 'unreadable'; oneIn: number }
  | { kind: 'read-only' }

interface Patient {
  sickness: Sickness
  cured: Promise<void>
  cure: () => void
  operations: number
}

type Operation = 'read' | 'read-file' | 'write'

/** A Disk whose directories can be made ill. */
export class SickDisk implements Disk {
  readonly #disk: Disk
  readonly #patients = new Map<string, Patient>()
  /** Operations that hang now. */
  hanging = 0
  /** Errors of reads so far. */
  errors = 0

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** From now on everything below `path` suffers, files that are open already too. */
  infect(path: string, sickness: Sickness): void {
    let cure = (): void => {}
    const cured = new Promise<void>((resolve) => {
      cure = resolve
    })
    this.#patients.set(path, { sickness, cured, cure, operations: 0 })
  }

  /** What hung goes on. */
  cure(path: string): void {
    this.#patients.get(path)?.cure()
    this.#patients.delete(path)
  }

  async open(...request: Parameters<Disk['open']>): Promise<DiskFile> {
    const [path, mode] = request
    await this.#suffer(path, mode === 'read' ? 'read' : 'write')
    const file = await this.#disk.open(...request)
    return {
      read: (...given) => this.#after(path, 'read-file', () => file.read(...given)),
      write: (...given) => this.#after(path, 'write', () => file.write(...given)),
      sync: () => this.#after(path, 'write', () => file.sync()),
      stat: () => this.#after(path, 'read', () => file.stat()),
      truncate: (bytes) => this.#after(path, 'write', () => file.truncate(bytes)),
      close: () => file.close(),
    }
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#after(path, 'read', () => this.#disk.readFile(path))
  }

  makeDirectory(path: string): Promise<void> {
    return this.#after(path, 'write', () => this.#disk.makeDirectory(path))
  }

  list(path: string): Promise<string[]> {
    return this.#after(path, 'read', () => this.#disk.list(path))
  }

  rename(from: string, to: string): Promise<void> {
    return this.#after(from, 'write', () => this.#disk.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.#after(path, 'write', () => this.#disk.remove(path))
  }

  removeTree(path: string): Promise<void> {
    return this.#after(path, 'write', () => this.#disk.removeTree(path))
  }

  stat(path: string): ReturnType<Disk['stat']> {
    return this.#after(path, 'read', () => this.#disk.stat(path))
  }

  syncDirectory(path: string): Promise<void> {
    return this.#after(path, 'write', () => this.#disk.syncDirectory(path))
  }

  space(path: string): ReturnType<Disk['space']> {
    return this.#after(path, 'read', () => this.#disk.space(path))
  }

  async #after<T>(path: string, operation: Operation, work: () => Promise<T>): Promise<T> {
    await this.#suffer(path, operation)
    return await work()
  }

  async #suffer(path: string, operation: Operation): Promise<void> {
    for (const [directory, patient] of this.#patients) {
      if (path === directory || path.startsWith(`${directory}/`))
        await this.#treat(patient, operation)
    }
  }

  async #treat(patient: Patient, operation: Operation): Promise<void> {
    const { sickness } = patient
    if (sickness.kind !== 'unreadable' || operation === 'read-file') patient.operations += 1
    switch (sickness.kind) {
      case 'slow':
        await sleep(sickness.delayMs)
        return
      case 'hangs':
        this.hanging += 1
        await patient.cured
        this.hanging -= 1
        return
      case 'errs':
        if (patient.operations % sickness.oneIn === 0) throw ioError('EIO', 'i/o error')
        return
      case 'unreadable':
        if (operation !== 'read-file' || patient.operations % sickness.oneIn !== 0) return
        this.errors += 1
        throw ioError('EIO', 'i/o error')
      default:
        if (operation === 'write') throw ioError('EROFS', 'read-only file system')
    }
  }
}

function ioError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code })
}
