// A disk whose operations are observed, each for the drive on which it is. LevelDB is native and passes by it.
import type { Disk, DiskFile, FileStat } from '../../kit/world.ts'
import type { DriveHealth, OperationKind } from './drive-health.ts'

/** A Disk in front of another one. Paths outside of the watched drives pass through unseen. */
export class WatchedDisk implements Disk {
  readonly #disk: Disk
  /** The longest path first: one of them may lie in another, and what is done there is its own. Drives are few. */
  #drives: readonly { path: string; health: DriveHealth }[] = []

  /** As the disk behind it has it. */
  readonly openThrough?: (path: string) => Promise<DiskFile>
  readonly openDirect?: (path: string) => Promise<DiskFile>
  readonly gather?: () => Promise<void>
  /** Not observed: it waits for nothing. */
  readonly statNow?: (path: string) => FileStat | undefined
  readonly looksNow?: (path: string) => Promise<boolean>

  constructor(disk: Disk) {
    this.#disk = disk
    if (disk.openThrough) {
      this.openThrough = (path) => this.#opened(path, () => disk.openThrough!(path))
    }
    if (disk.openDirect) {
      this.openDirect = (path) => this.#opened(path, () => disk.openDirect!(path))
    }
    if (disk.gather) this.gather = () => disk.gather!()
    if (disk.statNow) this.statNow = (path) => disk.statNow!(path)
    if (disk.looksNow) {
      this.looksNow = (path) => this.#observe(path, 'other', () => disk.looksNow!(path))
    }
  }

  /** From now on what happens below `path` is observed; files that are open already stay unseen. */
  watch(path: string, health: DriveHealth): void {
    const others = this.#drives.filter((drive) => drive.path !== path)
    this.#drives = [...others, { path, health }].sort(
      (left, right) => right.path.length - left.path.length,
    )
  }

  /** The one behind it. */
  get behind(): Disk {
    return this.#disk
  }

  /** What is told to `health` ends; another drive may have taken its path meanwhile. */
  unwatch(health: DriveHealth): void {
    this.#drives = this.#drives.filter((drive) => drive.health !== health)
  }

  open(...request: Parameters<Disk['open']>): Promise<DiskFile> {
    return this.#opened(request[0], () => this.#disk.open(...request))
  }

  async #opened(path: string, open: () => Promise<DiskFile>): Promise<DiskFile> {
    const health = this.#healthAt(path)
    const file = await observe(health, 'other', open)
    return health === undefined ? file : watchedFile(file, health)
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#observe(path, 'other', () => this.#disk.readFile(path))
  }

  makeDirectory(path: string): Promise<void> {
    return this.#observe(path, 'other', () => this.#disk.makeDirectory(path))
  }

  list(path: string): Promise<string[]> {
    return this.#observe(path, 'other', () => this.#disk.list(path))
  }

  rename(from: string, to: string): Promise<void> {
    return this.#observe(from, 'other', () => this.#disk.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.#observe(path, 'other', () => this.#disk.remove(path))
  }

  /** Not observed: it is long where there is much to remove. */
  removeTree(path: string): Promise<void> {
    return this.#disk.removeTree(path)
  }

  stat(path: string): ReturnType<Disk['stat']> {
    return this.#observe(path, 'other', () => this.#disk.stat(path))
  }

  syncDirectory(path: string): Promise<void> {
    return this.#observe(path, 'sync', () => this.#disk.syncDirectory(path))
  }

  space(path: string): ReturnType<Disk['space']> {
    return this.#observe(path, 'other', () => this.#disk.space(path))
  }

  #observe<T>(path: string, kind: OperationKind, operation: () => Promise<T>): Promise<T> {
    return observe(this.#healthAt(path), kind, operation)
  }

  #healthAt(path: string): DriveHealth | undefined {
    for (const drive of this.#drives) {
      if (!path.startsWith(drive.path)) continue
      if (path.length === drive.path.length || path[drive.path.length] === '/') return drive.health
    }
    return undefined
  }
}

function observe<T>(
  health: DriveHealth | undefined,
  kind: OperationKind,
  operation: () => Promise<T>,
): Promise<T> {
  return health === undefined ? operation() : health.observe(kind, operation)
}

function watchedFile(file: DiskFile, health: DriveHealth): DiskFile {
  // A write that is durable when it ends is as heavy as what makes it so.
  const writing = file.isThrough ? 'sync' : 'write'
  return {
    ...(file.isThrough ? { isThrough: true } : {}),
    read: (buffers, position) => health.observe('read', () => file.read(buffers, position)),
    write: (buffers, position) => health.observe(writing, () => file.write(buffers, position)),
    sync: () => health.observe('sync', () => file.sync()),
    stat: () => health.observe('other', () => file.stat()),
    ...(file.statNow ? { statNow: () => file.statNow!() } : {}),
    truncate: (bytes) => health.observe('other', () => file.truncate(bytes)),
    // Not observed: it waits for what else is under way on the file.
    close: () => file.close(),
  }
}

/** The disk itself, whoever watches it. */
export function diskItself(disk: Disk): Disk {
  return disk instanceof WatchedDisk ? disk.behind : disk
}
