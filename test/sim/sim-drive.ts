// A simulated drive: a forgetful disk with the LevelDBs on it, and what may be wrong with it now.
import { ForgetfulDisk } from '../crash/forgetful-disk.ts'
import type { Survival } from '../crash/forgetful-node.ts'
import { LevelFiles } from './levels.ts'

/** Everything survives, as when only the process was killed. */
const EVERYTHING: Survival = () => true

const REMEMBERED_WRITES = 100

/** Bytes of a file that were written. */
export interface Written {
  path: string
  position: number
  bytes: number
  atMs: number
}

/** A drive of the simulated machine. */
export class SimDrive {
  readonly id: number
  /** Where it is mounted. */
  readonly path: string
  disk: ForgetfulDisk
  /** LevelDBs by the inode of their directory, so that they move with a rename. */
  levels = new Map<number, LevelFiles>()
  /** Everything on it answers EIO. */
  isUnplugged = false
  /** Nothing on it answers before. */
  stalledUntilMs = 0
  /** Everything on it takes so many times as long. */
  slowness = 1
  /** The next so many writes are reported but done elsewhere or not at all. */
  lies: ('misdirected' | 'torn' | 'phantom')[] = []
  /** The next operation fails with EIO. */
  failsNext = false
  /** What was written last, the newest at the end. */
  readonly written: Written[] = []

  constructor(id: number, disk?: ForgetfulDisk) {
    this.id = id
    this.path = `/d${id}`
    this.disk = disk ?? new ForgetfulDisk({ device: id })
  }

  /** Makes its directory, as the mount point is there before the store is. */
  async mount(): Promise<void> {
    await this.disk.makeDirectory(this.path)
    await this.disk.syncDirectory('/')
  }

  /** What a crash leaves takes the place of what is there. */
  crash(survives: Survival): void {
    const disk = this.disk.crash(survives)
    const levels = new Map<number, LevelFiles>()
    for (const [inode, files] of this.levels) levels.set(inode, files.crash(survives))
    this.disk = disk
    this.levels = levels
  }

  /** An equal drive that shares nothing with this one. */
  copy(): SimDrive {
    const copy = new SimDrive(this.id, this.disk.crash(EVERYTHING))
    for (const [inode, files] of this.levels) copy.levels.set(inode, files.crash(EVERYTHING))
    copy.isUnplugged = this.isUnplugged
    return copy
  }

  /** Remembers what was written. */
  noteWritten(written: Written): void {
    this.written.push(written)
    if (this.written.length > REMEMBERED_WRITES) this.written.shift()
  }

  /** Its directory is deleted, with all in it; no power failure brings some of it back. */
  async vanish(): Promise<void> {
    await this.disk.removeTree(this.path)
    await this.disk.syncDirectory('/')
    this.levels.clear()
  }

  get isGone(): boolean {
    return this.disk.inodeOf(this.path) === undefined
  }

  /** The files of the LevelDB in the directory `path`. */
  levelAt(path: string): LevelFiles {
    const inode = this.disk.inodeOf(path) ?? -1
    const files = this.levels.get(inode) ?? new LevelFiles()
    this.levels.set(inode, files)
    return files
  }
}
