// Files and directories of the forgetful disk: what is seen now, what is durable, and what lies between.

/**
 * What was not synced: a change of a directory, the length of a file that grew, one sector of its bytes, a truncation,
 * a batch of LevelDB.
 */
export type Unsynced = 'name' | 'size' | 'bytes' | 'cut' | 'row'

/** Asked once for each thing that was not synced: whether it is found after the crash. */
export type Survival = (what: Unsynced) => boolean

/** A change of a directory, or both sides of a rename: one sync makes both durable. */
export interface Change {
  synced: boolean
}

interface PendingEntry {
  name: string
  /** undefined: the name was removed. */
  node: Node | undefined
  change: Change
}

export interface DirectoryNode {
  kind: 'directory'
  inode: number
  links: number
  entries: Map<string, Node>
  durable: Map<string, Node>
  pending: PendingEntry[]
}

/** A change of a file that was not synced. */
export type FileChange =
  | { kind: 'write'; position: number; bytes: Uint8Array }
  | { kind: 'truncate'; bytes: number }

export interface FileNode {
  kind: 'file'
  inode: number
  links: number
  bytes: Buffer
  durable: Buffer
  pending: FileChange[]
}

export type Node = FileNode | DirectoryNode

/** The unit that a disk writes whole or not at all. */
const SECTOR_BYTES = 512

let inodes = 0

/** An empty directory. */
export function newDirectory(): DirectoryNode {
  inodes += 1
  return {
    kind: 'directory',
    inode: inodes,
    links: 1,
    entries: new Map(),
    durable: new Map(),
    pending: [],
  }
}

/** An empty file. */
export function newFile(): FileNode {
  inodes += 1
  const nothing = Buffer.alloc(0)
  return { kind: 'file', inode: inodes, links: 1, bytes: nothing, durable: nothing, pending: [] }
}

/** Changes a file; a crash may forget it. */
export function writeInto(file: FileNode, change: FileChange): void {
  file.bytes = applyChange(file.bytes, change)
  file.pending.push(change)
}

/** Makes all of a file durable. */
export function forgetSynced(file: FileNode): void {
  for (const change of file.pending.splice(0)) file.durable = applyChange(file.durable, change)
}

/** An error as Node's disk throws it. */
export function diskError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

/** The directory as it is found after a crash, with all under it. */
export function crashDirectory(directory: DirectoryNode, survives: Survival): DirectoryNode {
  // Several directories may hold one file for a moment, and a rename is decided once for both of its sides.
  return new Crash(survives).directory(directory)
}

class Crash {
  readonly #survives: Survival
  readonly #found = new Map<Node, Node>()
  readonly #decided = new Map<Change, boolean>()

  constructor(survives: Survival) {
    this.#survives = survives
  }

  directory(directory: DirectoryNode): DirectoryNode {
    const entries = new Map(directory.durable)
    for (const { name, node, change } of directory.pending) {
      if (!this.#happened(change)) continue
      if (node === undefined) entries.delete(name)
      else entries.set(name, node)
    }
    const found = { ...newDirectory(), inode: directory.inode }
    for (const [name, node] of entries) found.entries.set(name, this.#node(node))
    found.durable = new Map(found.entries)
    return found
  }

  #happened(change: Change): boolean {
    const decided = change.synced || (this.#decided.get(change) ?? this.#survives('name'))
    this.#decided.set(change, decided)
    return decided
  }

  #node(node: Node): Node {
    const known = this.#found.get(node)
    if (known !== undefined) return known
    const found = node.kind === 'directory' ? this.directory(node) : this.#file(node)
    this.#found.set(node, found)
    return found
  }

  #file(file: FileNode): FileNode {
    let bytes: Buffer = Buffer.from(file.durable)
    for (const change of file.pending) {
      if (change.kind === 'truncate') {
        if (this.#survives('cut')) bytes = applyChange(bytes, change)
      } else bytes = this.#writeSectors(bytes, change)
    }
    return { ...newFile(), inode: file.inode, bytes, durable: Buffer.from(bytes) }
  }

  /** The length of a file may be written before its bytes: what is missing then is zeros. */
  #writeSectors(
    bytes: Buffer,
    { position, bytes: written }: { position: number; bytes: Uint8Array },
  ): Buffer {
    let result = bytes
    if (this.#survives('size')) result = grow(result, position + written.length)
    let from = 0
    while (from < written.length) {
      const to = Math.min(written.length, from + SECTOR_BYTES - ((position + from) % SECTOR_BYTES))
      if (this.#survives('bytes')) {
        result = grow(result, position + to)
        result.set(written.subarray(from, to), position + from)
      }
      from = to
    }
    return result
  }
}

function applyChange(bytes: Buffer, change: FileChange): Buffer {
  if (change.kind === 'truncate') {
    const cut = Buffer.alloc(change.bytes)
    bytes.copy(cut)
    return cut
  }
  const result = grow(bytes, change.position + change.bytes.length)
  result.set(change.bytes, change.position)
  return result
}

/** Buffers that were made with room to grow: all behind the bytes in use is zeros, and nobody else's. */
const roomy = new WeakSet<ArrayBufferLike>()

/** At least `length` bytes; a copy only if there is no room to grow in. */
function grow(bytes: Buffer, length: number): Buffer {
  if (bytes.length >= length) return bytes
  const { buffer, byteOffset } = bytes
  if (roomy.has(buffer) && byteOffset + length <= buffer.byteLength) {
    return Buffer.from(buffer, byteOffset, length)
  }
  const grown = Buffer.alloc(Math.max(length, 2 * bytes.length))
  roomy.add(grown.buffer)
  bytes.copy(grown)
  return grown.subarray(0, length)
}
