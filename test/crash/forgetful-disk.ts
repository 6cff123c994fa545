// A disk in memory that forgets at a crash what was not synced: bytes of files by sector, entries of directories one
// by one, as POSIX allows and no more. It can lose power at any operation, run full, fail, and rot.
import {
  DIRECT_BLOCK_BYTES,
  type Disk,
  type DiskFile,
  type DiskSpace,
  type FileStat,
  type OpenMode,
} from '../../src/kit/world.ts'
import {
  type Change,
  crashDirectory,
  type DirectoryNode,
  diskError,
  type FileNode,
  forgetSynced,
  type Node,
  newDirectory,
  newFile,
  type Survival,
  writeInto,
} from './forgetful-node.ts'

/** Thrown by every operation once the power is off. */
export class PowerOff extends Error {
  override readonly name = 'PowerOff'
  readonly code = 'POWER_OFF'
}

/** One operation as the trace and the faults see it. */
export interface DiskOperation {
  kind:
    | 'create'
    | 'write'
    | 'sync'
    | 'truncate'
    | 'mkdir'
    | 'rename'
    | 'remove'
    | 'sync-directory'
    | 'read'
  path: string
}

/** Says what goes wrong with an operation: the code of an error, or nothing. */
export type Fault = (operation: DiskOperation) => string | undefined

export interface ForgetfulDiskOptions {
  /** Past it writes fail with ENOSPC, half done. */
  capacityBytes?: number
  /** The number of its device; 1 when there is only one. */
  device?: number
  /** Files can be opened so that every write is synced, or goes past the page cache; and looked at without waiting. */
  isThrough?: boolean
}

/** An in-memory Disk. Its root is the empty path; paths are absolute. */
export class ForgetfulDisk implements Disk {
  /** Changing operations so far: the points at which the power can go off. */
  operations = 0
  /** Every changing operation, for people who read a failing test. */
  readonly trace: string[] = []
  /** Set it to make operations fail. */
  fault: Fault = () => undefined
  /** May be changed at any time. */
  capacityBytes: number
  /** Where the disk has that. */
  readonly openThrough?: (path: string) => Promise<DiskFile>
  readonly openDirect?: (path: string) => Promise<DiskFile>
  readonly statNow?: (path: string) => FileStat | undefined
  readonly looksNow?: (path: string) => Promise<boolean>
  readonly #device: number
  readonly #root: DirectoryNode
  #offAt = Number.POSITIVE_INFINITY
  #off = false

  constructor(options: ForgetfulDiskOptions = {}, root: DirectoryNode = newDirectory()) {
    this.capacityBytes = options.capacityBytes ?? 1024 ** 4
    this.#device = options.device ?? 1
    this.#root = root
    if (options.isThrough) {
      this.openThrough = (path) => this.#openThrough(path)
      this.openDirect = (path) => this.#openDirect(path)
      this.statNow = (path) => this.#statNow(path)
      this.looksNow = async () => true
    }
  }

  /** The power goes off within the operation after `count` more: that one may be done in part, a sync is not done. */
  powerOffAfter(count: number): void {
    this.#offAt = this.operations + count
  }

  /** Whether the power went off. */
  get isOff(): boolean {
    return this.#off
  }

  /** The disk as it is found after a crash now. `survives` is asked for everything that was not synced. */
  crash(survives: Survival): ForgetfulDisk {
    return new ForgetfulDisk(
      {
        capacityBytes: this.capacityBytes,
        device: this.#device,
        isThrough: this.openThrough !== undefined,
      },
      crashDirectory(this.#root, survives),
    )
  }

  /** Flips bits of a stored byte, under all caches. */
  flip(path: string, offset: number, mask = 0xff): void {
    const file = this.#file(path)
    file.bytes[offset]! ^= mask
    if (offset < file.durable.length) file.durable[offset]! ^= mask
  }

  /** The bytes of a file now. */
  bytesOf(path: string): Uint8Array {
    return Uint8Array.from(this.#file(path).bytes)
  }

  /** Cuts a file, durably: what a torn write leaves. */
  cut(path: string, bytes: number): void {
    const file = this.#file(path)
    writeInto(file, { kind: 'truncate', bytes })
    forgetSynced(file)
  }

  /** Paths of all files under a directory, sorted. */
  files(under: string): string[] {
    const found: string[] = []
    const walk = (path: string, directory: DirectoryNode): void => {
      for (const [name, node] of directory.entries) {
        if (node.kind === 'directory') walk(`${path}/${name}`, node)
        else found.push(`${path}/${name}`)
      }
    }
    walk(under, this.#directory(under))
    return found.sort()
  }

  /** Counts an operation that goes round the disk (LevelDB), so that the power can go off in it. */
  async touch(path: string): Promise<void> {
    await this.#step({ kind: 'write', path }, () => {})
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    await this.#yield()
    if (mode === 'create') {
      await this.#step({ kind: 'create', path }, () => {
        const { directory, name } = this.#parent(path)
        if (directory.entries.has(name)) throw diskError('EEXIST', path)
        this.#link(directory, name, newFile())
      })
    }
    this.#throwIfOff()
    const node = this.#file(path)
    return this.#opened(path, node, mode)
  }

  async readFile(path: string): Promise<Uint8Array> {
    await this.#yield()
    this.#read(path)
    return this.bytesOf(path)
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#step({ kind: 'mkdir', path }, () => {
      const { directory, name } = this.#parent(path)
      if (directory.entries.has(name)) throw diskError('EEXIST', path)
      this.#link(directory, name, newDirectory())
    })
  }

  async list(path: string): Promise<string[]> {
    await this.#yield()
    this.#read(path)
    return [...this.#directory(path).entries.keys()]
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step({ kind: 'rename', path: `${from} → ${to}` }, () => {
      const source = this.#parent(from)
      const target = this.#parent(to)
      const node = source.directory.entries.get(source.name)
      if (node === undefined) throw diskError('ENOENT', from)
      const replaced = target.directory.entries.get(target.name)
      if (replaced?.kind === 'directory') throw diskError('ENOTEMPTY', to)
      // One transaction of the file system: after a crash both sides of it are found or neither.
      const change: Change = { synced: false }
      source.directory.pending.push({ name: source.name, node: undefined, change })
      target.directory.pending.push({ name: target.name, node, change })
      source.directory.entries.delete(source.name)
      target.directory.entries.set(target.name, node)
      if (replaced !== undefined) replaced.links -= 1
    })
  }

  async remove(path: string): Promise<void> {
    await this.#step({ kind: 'remove', path }, () => {
      const { directory, name } = this.#parent(path)
      const node = directory.entries.get(name)
      if (node === undefined) throw diskError('ENOENT', path)
      if (node.kind === 'directory') throw diskError('EISDIR', path)
      this.#unlink(directory, name, node)
    })
  }

  async removeTree(path: string): Promise<void> {
    await this.#step({ kind: 'remove', path }, () => {
      const { directory, name } = this.#parent(path)
      const node = directory.entries.get(name)
      if (node === undefined) return
      if (node.kind === 'directory')
        unlinkAll(node, (each, its) => this.#unlink(each, its.name, its.node))
      this.#unlink(directory, name, node)
    })
  }

  async stat(path: string): Promise<FileStat | undefined> {
    await this.#yield()
    return this.#statNow(path)
  }

  #statNow(path: string): FileStat | undefined {
    this.#read(path)
    const node = this.#find(path)
    return node === undefined ? undefined : describe(node, this.#device)
  }

  async syncDirectory(path: string): Promise<void> {
    const operation: DiskOperation = { kind: 'sync-directory', path }
    await this.#step(operation, (cut) => {
      const directory = this.#directory(path)
      if (cut) return
      for (const { name, node, change } of directory.pending.splice(0)) {
        change.synced = true
        if (node === undefined) directory.durable.delete(name)
        else directory.durable.set(name, node)
      }
    })
  }

  async space(path: string): Promise<DiskSpace> {
    await this.#yield()
    this.#read(path)
    const freeBytes = Math.max(0, this.capacityBytes - this.usedBytes())
    return { freeBytes, totalBytes: this.capacityBytes, freeInodes: 0, totalInodes: 0 }
  }

  /** The inode number of what is at a path: stable across crashes. */
  inodeOf(path: string): number | undefined {
    return this.#find(path)?.inode
  }

  /** The power can go off between a write and its sync: then any of its sectors is found. */
  async #openThrough(path: string): Promise<DiskFile> {
    const file = await this.open(path, 'write')
    const write: DiskFile['write'] = async (buffers, position) => {
      await file.write(buffers, position)
      await file.sync()
    }
    return { ...file, write, isThrough: true }
  }

  /** What comes past the page cache may be lost as well before a sync: drives have caches of their own. */
  async #openDirect(path: string): Promise<DiskFile> {
    const file = await this.open(path, 'create')
    return { ...file, write: wholeBlocks(path, file.write) }
  }

  #opened(path: string, node: FileNode, mode: OpenMode): DiskFile {
    return {
      read: async (buffers, position) => {
        await this.#yield()
        this.#read(path)
        return readFrom(node, buffers, position)
      },
      write: async (buffers, position) => {
        if (mode === 'read') throw diskError('EBADF', path)
        const bytes = Buffer.concat(buffers)
        await this.#step({ kind: 'write', path }, () => this.#write(path, node, bytes, position))
      },
      sync: async () => {
        await this.#step({ kind: 'sync', path }, (cut) => {
          if (!cut) forgetSynced(node)
        })
      },
      stat: async () => {
        await this.#yield()
        this.#throwIfOff()
        return describe(node, this.#device)
      },
      statNow: () => {
        this.#throwIfOff()
        return describe(node, this.#device)
      },
      truncate: async (bytes) => {
        await this.#step({ kind: 'truncate', path }, () =>
          writeInto(node, { kind: 'truncate', bytes }),
        )
      },
      close: async () => {},
    }
  }

  #write(path: string, node: FileNode, bytes: Uint8Array, position: number): void {
    const grows = Math.max(0, position + bytes.length - node.bytes.length)
    if (grows > 0 && this.usedBytes() + grows > this.capacityBytes) {
      writeInto(node, { kind: 'write', position, bytes: bytes.slice(0, bytes.length >> 1) })
      throw diskError('ENOSPC', path)
    }
    writeInto(node, { kind: 'write', position, bytes })
  }

  /** One changing operation. In the one that the power goes off in, `act` is told so, and nobody hears of its end. */
  async #step(operation: DiskOperation, act: (cut: boolean) => void): Promise<void> {
    await this.#yield()
    this.#throwIfOff()
    const cut = this.operations >= this.#offAt
    this.operations += 1
    this.trace.push(
      `${this.operations} ${operation.kind} ${operation.path}${cut ? ' (power off)' : ''}`,
    )
    if (cut) this.#off = true
    this.#throwFault(operation)
    act(cut)
    this.#throwIfOff()
  }

  #read(path: string): void {
    this.#throwIfOff()
    this.#throwFault({ kind: 'read', path })
  }

  #throwFault(operation: DiskOperation): void {
    const code = this.fault(operation)
    if (code !== undefined) throw diskError(code, operation.path)
  }

  #throwIfOff(): void {
    if (this.#off) throw new PowerOff('the power is off')
  }

  /** Every operation takes a turn of the loop, so that others may come between. */
  async #yield(): Promise<void> {
    await Promise.resolve()
  }

  #link(directory: DirectoryNode, name: string, node: Node): void {
    directory.entries.set(name, node)
    directory.pending.push({ name, node, change: { synced: false } })
  }

  #unlink(directory: DirectoryNode, name: string, node: Node): void {
    directory.entries.delete(name)
    directory.pending.push({ name, node: undefined, change: { synced: false } })
    node.links = 0
  }

  #find(path: string): Node | undefined {
    let node: Node = this.#root
    for (const name of namesIn(path)) {
      if (node.kind !== 'directory') return undefined
      const next = node.entries.get(name)
      if (next === undefined) return undefined
      node = next
    }
    return node
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path)
    if (node === undefined) throw diskError('ENOENT', path)
    if (node.kind !== 'directory') throw diskError('ENOTDIR', path)
    return node
  }

  #file(path: string): FileNode {
    const node = this.#find(path)
    if (node === undefined) throw diskError('ENOENT', path)
    if (node.kind !== 'file') throw diskError('EISDIR', path)
    return node
  }

  #parent(path: string): { directory: DirectoryNode; name: string } {
    const names = namesIn(path)
    const name = names.pop() ?? ''
    return { directory: this.#directory(`/${names.join('/')}`), name }
  }

  /** Bytes of all files that have a name. */
  usedBytes(): number {
    let total = 0
    const walk = (directory: DirectoryNode): void => {
      for (const node of directory.entries.values()) {
        if (node.kind === 'directory') walk(node)
        else total += node.bytes.length
      }
    }
    walk(this.#root)
    return total
  }
}

function namesIn(path: string): string[] {
  return path.split('/').filter((name) => name !== '')
}

function describe(node: Node, device: number): FileStat {
  const bytes = node.kind === 'file' ? node.bytes.length : 0
  const { links, inode, kind } = node
  return { bytes, links, device, inode, kind, permissions: 0o644 }
}

function readFrom(node: FileNode, buffers: readonly Uint8Array[], position: number): number {
  let total = 0
  for (const buffer of buffers) {
    const from = node.bytes.subarray(position + total, position + total + buffer.length)
    buffer.set(from)
    total += from.length
    if (from.length < buffer.length) break
  }
  return total
}

function unlinkAll(
  directory: DirectoryNode,
  unlink: (directory: DirectoryNode, entry: { name: string; node: Node }) => void,
): void {
  for (const [name, node] of [...directory.entries]) {
    if (node.kind === 'directory') unlinkAll(node, unlink)
    unlink(directory, { name, node })
  }
}

/** A write that takes whole blocks only, as one past the page cache. */
export function wholeBlocks(path: string, write: DiskFile['write']): DiskFile['write'] {
  return async (buffers, position) => {
    const places = [position, ...buffers.flatMap(({ byteOffset, length }) => [byteOffset, length])]
    if (places.some((place) => place % DIRECT_BLOCK_BYTES !== 0)) throw diskError('EINVAL', path)
    await write(buffers, position)
  }
}
