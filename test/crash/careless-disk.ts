// Disks that do not do what they say: with each of them the crash tests must find something.
import type { Disk, DiskFile, World } from '../../src/kit/world.ts'
import type { ForgetfulMachine } from './forgetful-machine.ts'

/** What a disk leaves out. */
export type Carelessness =
  /** fdatasync() answers and does nothing. */
  | 'files are not synced'
  /** fsync() of a directory answers and does nothing. */
  | 'directories are not synced'
  /** fdatasync() answers at once and is done a dozen writes later. */
  | 'syncs come late'

/** The world of a machine with a careless disk. */
export function carelessWorld(machine: ForgetfulMachine, how: Carelessness): World {
  return { ...machine.world, disk: carelessDisk(machine.disk, how) }
}

function carelessDisk(disk: Disk, how: Carelessness): Disk {
  const late = new LateSyncs()
  const open: Disk['open'] = async (path, mode) => {
    const file = await disk.open(path, mode)
    if (how === 'files are not synced') return delegate(file, { sync: async () => {} })
    if (how === 'syncs come late') return late.file(file)
    return file
  }
  const openThrough = async (path: string): Promise<DiskFile> => {
    const file = await open(path, 'write')
    const write: DiskFile['write'] = async (buffers, position) => {
      await file.write(buffers, position)
      await file.sync()
    }
    return delegate(file, { write, isThrough: true })
  }
  if (how !== 'directories are not synced') {
    return delegate(disk, disk.openThrough === undefined ? { open } : { open, openThrough })
  }
  return delegate(disk, { syncDirectory: async () => {} })
}

const WRITES_LATE = 12

class LateSyncs {
  readonly #owed: { file: DiskFile; after: number }[] = []

  file(file: DiskFile): DiskFile {
    const write: DiskFile['write'] = async (buffers, position) => {
      await file.write(buffers, position)
      for (const owed of this.#owed) owed.after -= 1
      while (this.#owed[0] !== undefined && this.#owed[0].after <= 0) {
        await this.#owed.shift()?.file.sync()
      }
    }
    const sync = async (): Promise<void> => {
      this.#owed.push({ file, after: WRITES_LATE })
    }
    return delegate(file, { write, sync })
  }
}

/** Everything of `target` but what `changed` has. */
function delegate<Target extends object>(target: Target, changed: Partial<Target>): Target {
  return new Proxy(target, {
    get: (_, name) => {
      if (name in changed) return changed[name as keyof Target]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
