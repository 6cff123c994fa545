// The only door to the outside: clock, random, disk and other servers. Everything else gets a World handed in,
// so that tests and simulation can put another one in its place.
import { randomBytes } from 'node:crypto'
import { constants, promises as files, fstatSync, type Stats, statSync } from 'node:fs'
import { FileBytes } from './file-bytes.ts'
import { type ClientTls, exchange, linesOf } from './http-exchange.ts'
import { isSeenInMemory } from './look-now.ts'

/** Time. Wall time is for display and for order that does not matter; waiting uses the monotonic clock. */
export interface Clock {
  /** Milliseconds since 1970, as the machine believes. */
  now(): number
  /** Milliseconds since some start, never going back. */
  monotonicMs(): number
  /** Resolves after `ms`; rejects with the signal's reason when it aborts. Does not keep the process alive. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls back once everything that came by now was seen to: what follows from all of it can go together. Absent in simulated time. */
  afterTurn?(work: () => void): void
}

/** Calls back after the turn of the event loop, or where there are no turns when this moment is over. */
export function afterTurn(clock: Clock, work: () => void): void {
  if (clock.afterTurn === undefined) queueMicrotask(work)
  else clock.afterTurn(work)
}

/** Unpredictable bytes. */
export interface Random {
  bytes(count: number): Uint8Array
}

/** What a path is. `links` is 0 once an open file was removed from its directory. */
export interface FileStat {
  bytes: number
  links: number
  device: number
  inode: number
  kind: 'file' | 'directory' | 'other'
  /** The nine bits of who may read, write and run it. */
  permissions: number
}

/** An open file. Reads and writes name their position; nothing is durable before sync(). */
export interface DiskFile {
  /** Reads into `buffers` one after the other from `position`; returns the bytes read, short only at the end. */
  read(buffers: readonly Uint8Array[], position: number): Promise<number>
  /** Writes all of `buffers` from `position`, or throws. */
  write(buffers: readonly Uint8Array[], position: number): Promise<void>
  /** fdatasync. A failure means that the drive can not be trusted any more. */
  sync(): Promise<void>
  stat(): Promise<FileStat>
  /** As stat(), on this thread: only where its disk has looksNow(). */
  statNow?(): FileStat
  truncate(bytes: number): Promise<void>
  close(): Promise<void>
  /** What write() has written is durable when it resolves: see openThrough(). */
  readonly isThrough?: true
}

/** How a file is opened: `create` fails if it exists, `write` wants it to exist. No mode truncates. */
export type OpenMode = 'read' | 'write' | 'create'

/** As large as a sector of any disk, and a page of memory. */
export const DIRECT_BLOCK_BYTES = 4096

/** Free and total bytes and inodes of a file system. */
export interface DiskSpace {
  freeBytes: number
  totalBytes: number
  freeInodes: number
  totalInodes: number
}

/** Files and directories. Errors are Node's, with their `code` (ENOENT, ENOSPC, EIO …). */
export interface Disk {
  open(path: string, mode: OpenMode, permissions?: number): Promise<DiskFile>
  /**
   * An existing file, to be read and written, whose every write is a write and a sync() in one. Absent where a disk can not
   * do that.
   */
  openThrough?(path: string): Promise<DiskFile>
  /**
   * A new file that is written past the page cache: from memory that begins at a multiple of DIRECT_BLOCK_BYTES, whole
   * blocks of that. Rejects, or its writes do, with EINVAL where the file system does not have that. Nothing is durable
   * before sync(). Absent where a disk can not do that.
   */
  openDirect?(path: string): Promise<DiskFile>
  /**
   * A moment in which others can bring what goes to the disk together with what is there: an operation is a trip to another
   * thread, whatever it carries. Short where there is little to do. Absent where there are no such trips.
   */
  gather?(): Promise<void>
  /** The whole of a small file. */
  readFile(path: string): Promise<Uint8Array>
  /** Makes one directory; its parent must exist. */
  makeDirectory(path: string): Promise<void>
  /** Names in a directory, in no order. */
  list(path: string): Promise<string[]>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** Removes a directory and all in it; a missing one is no error. */
  removeTree(path: string): Promise<void>
  /** undefined when there is nothing at `path`. */
  stat(path: string): Promise<FileStat | undefined>
  /** As stat(), on this thread: for the path of a file that is open and has a name, where looksNow() says so. */
  statNow?(path: string): FileStat | undefined
  /** Whether statNow() of files below `path` waits for no device. Absent with statNow(). */
  looksNow?(path: string): Promise<boolean>
  /** Makes the entries of a directory durable. */
  syncDirectory(path: string): Promise<void>
  space(path: string): Promise<DiskSpace>
}

/** One request to another server. */
export interface HttpRequest {
  method: 'GET' | 'POST'
  url: string
  headers: Record<string, string>
  body?: string
  /** For everything, to the last byte of the answer. */
  timeoutMs: number
  /** An answer that is longer is an error. */
  maxBytes: number
  /** For https: whom to believe and who we are. The same object for every request, for connections are kept by it. */
  tls?: ClientTls
}

/** What another server answered, whatever its status. */
export interface HttpAnswer {
  status: number
  text: string
}

/** An answer that goes on until the server ends it or nobody wants it any more. */
export interface HttpLines {
  status: number
  /** As they come, without their ends. Throws when the connection breaks. */
  lines: AsyncIterable<string>
}

/** Other servers. Rejects when there is no answer, a late one or one that is too long; follows no redirection. */
export interface Http {
  send(request: HttpRequest): Promise<HttpAnswer>
  /** Here `timeoutMs` is for the head of the answer and `maxBytes` for each line; `signal` ends everything. */
  lines(request: HttpRequest, signal: AbortSignal): Promise<HttpLines>
}

/** All that the outside is to a room. */
export interface World {
  clock: Clock
  random: Random
  disk: Disk
  http: Http
}

/** The real machine. */
export function realWorld(): World {
  return { clock: systemClock, random: systemRandom(), disk: systemDisk, http: systemHttp }
}

// Ids take 10 to 16 bytes, several for each request: drawing them one by one costs more than all else about them.
const RANDOM_BLOCK_BYTES = 4096

/** Bytes of the system's generator, drawn in blocks; none is ever given twice. */
function systemRandom(): Random {
  let block = randomBytes(RANDOM_BLOCK_BYTES)
  let next = 0
  return {
    bytes: (count) => {
      if (count > RANDOM_BLOCK_BYTES) return randomBytes(count)
      if (next + count > block.length) {
        block = randomBytes(RANDOM_BLOCK_BYTES)
        next = 0
      }
      next += count
      return Uint8Array.from(block.subarray(next - count, next))
    },
  }
}

/** Sleeping does not keep the process alive; this does, until `work` is done. For programs that end by themselves. */
export async function stayAlive<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 60_000)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}

const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleepFor(ms, signal),
  afterTurn: (work) => {
    setImmediate(work)
  },
}

function sleepFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const wake = (): void => {
      signal?.removeEventListener('abort', leave)
      resolve()
    }
    const leave = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(wake, ms)
    timer.unref()
    signal?.addEventListener('abort', leave, { once: true })
  })
}

const OPEN_FLAGS = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
} as const

// So many turns of the event loop: without work they are over in microseconds, and under load they bring what comes from
// sockets and other drives. A turn can be long where large bodies are encoded, so it is never much more than the time of a sync.
const GATHER_TURNS = 16
const GATHER_MS = 4

function gather(): Promise<void> {
  const endMs = performance.now() + GATHER_MS
  let turns = 0
  return new Promise((resolve) => {
    const turn = (): void => {
      turns += 1
      if (turns === GATHER_TURNS || performance.now() > endMs) resolve()
      else setImmediate(turn)
    }
    setImmediate(turn)
  })
}

const systemDisk: Disk = {
  open: async (path, mode, permissions = 0o644) =>
    systemFile(await files.open(path, OPEN_FLAGS[mode], permissions)),
  // Elsewhere O_DSYNC does not empty the cache of the drive itself, as fdatasync does.
  ...(process.platform === 'linux' ? { openThrough, openDirect } : {}),
  gather,
  readFile: (path) => files.readFile(path),
  makeDirectory: async (path) => {
    await files.mkdir(path)
  },
  list: (path) => files.readdir(path),
  rename: (from, to) => files.rename(from, to),
  remove: (path) => files.unlink(path),
  removeTree: (path) => files.rm(path, { recursive: true, force: true }),
  stat: statPath,
  statNow: (path) => {
    const stat = statSync(path, { throwIfNoEntry: false })
    return stat && describeStat(stat)
  },
  looksNow: isSeenInMemory,
  syncDirectory: async (path) => {
    const directory = await files.open(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },
  space: async (path) => {
    const { bsize, bavail, blocks, ffree, files: inodes } = await files.statfs(path)
    return {
      freeBytes: bavail * bsize,
      totalBytes: blocks * bsize,
      freeInodes: ffree,
      totalInodes: inodes,
    }
  },
}

async function openThrough(path: string): Promise<DiskFile> {
  const handle = await files.open(path, constants.O_RDWR | constants.O_DSYNC)
  return { ...systemFile(handle), isThrough: true }
}

async function openDirect(path: string): Promise<DiskFile> {
  return systemFile(await files.open(path, OPEN_FLAGS.create | constants.O_DIRECT, 0o644))
}

async function statPath(path: string): Promise<FileStat | undefined> {
  try {
    return describeStat(await files.stat(path))
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Whether `error` says that a path does not exist. */
export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return code === 'ENOENT' || code === 'ENOTDIR'
}

function describeStat(stat: Stats): FileStat {
  return {
    bytes: stat.size,
    links: stat.nlink,
    device: stat.dev,
    inode: stat.ino,
    kind: stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other',
    permissions: stat.mode & 0o777,
  }
}

function systemFile(handle: files.FileHandle): DiskFile {
  const bytes = new FileBytes(handle)
  return {
    read: (buffers, position) => bytes.read(buffers, position),
    write: (buffers, position) => bytes.write(buffers, position),
    sync: () => bytes.sync(),
    stat: async () => describeStat(await handle.stat()),
    statNow: () => describeStat(fstatSync(handle.fd)),
    truncate: (length) => handle.truncate(length),
    close: () => bytes.close(),
  }
}

const systemHttp: Http = {
  send: async (request) => {
    const { method, url, headers, body, timeoutMs, maxBytes, tls } = request
    const signal = AbortSignal.timeout(timeoutMs)
    if (tls) {
      const answer = await exchange(request, signal)
      return { status: answer.statusCode ?? 0, text: await readText(answer, maxBytes) }
    }
    const response = await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      redirect: 'error',
      signal,
    })
    return { status: response.status, text: await readText(response.body ?? [], maxBytes) }
  },
  lines: async (request, signal) => {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new Error('no answer in time')), request.timeoutMs)
    try {
      const answer = await exchange(request, AbortSignal.any([signal, late.signal]))
      return { status: answer.statusCode ?? 0, lines: linesOf(answer, request.maxBytes) }
    } finally {
      clearTimeout(timer)
    }
  },
}

async function readText(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  maxBytes: number,
): Promise<string> {
  const parts: Uint8Array[] = []
  let total = 0
  for await (const part of body) {
    total += part.length
    if (total > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}
