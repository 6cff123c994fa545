// What stands for LevelDB: sorted rows in memory. What a crash leaves of it is modelled: a synced
// batch survives and whatever was there before a flush; any other batch may be lost, even when a later one survives.
import type { BytesLevel } from '../../src/storage-node/drive-lock.ts'
import type { Survival } from '../crash/forgetful-node.ts'

interface Row {
  key: Buffer
  value: Buffer
}

type Operation =
  | { type: 'put'; key: Uint8Array; value: Uint8Array }
  | { type: 'del'; key: Uint8Array }

interface Batch {
  operations: readonly Operation[]
  synced: boolean
}

interface Range {
  gte?: Uint8Array
  gt?: Uint8Array
  lt?: Uint8Array
  lte?: Uint8Array
  limit?: number
  reverse?: boolean
}

/** The files of one LevelDB. Rows are never changed in place, so that a walk over them is a snapshot. */
export class LevelFiles {
  rows: readonly Row[]
  isOpen = false
  #durable: readonly Row[]
  #pending: Batch[] = []

  constructor(rows: readonly Row[] = []) {
    this.rows = rows
    this.#durable = rows
  }

  /** As a crash leaves them. */
  crash(survives: Survival): LevelFiles {
    let rows = this.#durable
    for (const { operations, synced } of this.#pending)
      if (synced || survives('row')) rows = applied(rows, operations)
    return new LevelFiles(rows)
  }

  write(operations: readonly Operation[], synced: boolean): void {
    const copies = operations.map(copyOf)
    this.rows = applied(this.rows, copies)
    this.#pending.push({ operations: copies, synced })
  }

  flush(): void {
    this.#durable = this.rows
    this.#pending = []
  }

  /** Changes a value under all caches: rot. */
  rot(pick: number, change: (value: Buffer) => void): boolean {
    if (this.rows.length === 0) return false
    const at = pick % this.rows.length
    const rotten = (rows: readonly Row[]): readonly Row[] => {
      const found = rows.findIndex(({ key }) => key.equals(this.rows[at]!.key))
      if (found < 0) return rows
      const value = Buffer.from(rows[found]!.value)
      change(value)
      return rows.with(found, { key: rows[found]!.key, value })
    }
    const durable = rotten(this.#durable)
    this.rows = rotten(this.rows)
    this.#durable = durable
    return true
  }

  get(key: Uint8Array): Buffer | undefined {
    const at = lowerBound(this.rows, key)
    const row = this.rows[at]
    return row?.key.equals(key) ? row.value : undefined
  }

  /** Rows of a range, in order. */
  slice({ gte, gt, lt, lte }: Range): readonly Row[] {
    const from = gte ?? gt
    const to = lt ?? lte
    let start = from === undefined ? 0 : lowerBound(this.rows, from)
    if (gt !== undefined && this.rows[start]?.key.equals(gt)) start += 1
    let end = to === undefined ? this.rows.length : lowerBound(this.rows, to)
    if (lte !== undefined && this.rows[end]?.key.equals(lte)) end += 1
    return this.rows.slice(start, Math.max(start, end))
  }
}

/** How the machine lets the database at its drive: each call may take time, fail, or never come back. */
export interface LevelDoor {
  write<T>(act: () => T): Promise<T>
  read<T>(act: () => T): Promise<T>
}

/** The part of abstract-level that the store uses, over `files`. */
export function openSimLevel(files: LevelFiles, door: LevelDoor): BytesLevel {
  files.isOpen = true
  const throwIfClosed = (): void => {
    if (!files.isOpen) throw levelError('LEVEL_DATABASE_NOT_OPEN', 'the database is not open')
  }
  const read = <T>(act: () => T): Promise<T> =>
    door.read(() => {
      throwIfClosed()
      return act()
    })
  const write = (operations: readonly Operation[], synced: boolean): Promise<void> =>
    door.write(() => {
      throwIfClosed()
      files.write(operations, synced)
    })
  const level = {
    get: (key: Uint8Array) => read(() => files.get(key)),
    getMany: (keys: readonly Uint8Array[]) => read(() => keys.map((key) => files.get(key))),
    batch: (operations: readonly Operation[], options?: { sync?: boolean }) =>
      write(operations, options?.sync === true),
    clear: async (range: Range) => {
      const keys = await read(() => files.slice(range).map(({ key }) => key))
      await write(
        keys.map((key) => ({ type: 'del', key })),
        false,
      )
    },
    compactRange: () =>
      door.write(() => {
        throwIfClosed()
        files.flush()
      }),
    iterator: (range: Range = {}) => new SimIterator(files.slice(range), read),
    keys: (range: Range = {}) => ({
      all: async () => files.slice(range).map(({ key }) => key),
    }),
    close: async () => {
      files.isOpen = false
    },
  }
  return level as unknown as BytesLevel
}

class SimIterator {
  readonly #rows: readonly Row[]
  readonly #read: <T>(act: () => T) => Promise<T>
  #at = 0

  constructor(rows: readonly Row[], read: <T>(act: () => T) => Promise<T>) {
    this.#rows = rows
    this.#read = read
  }

  nextv(count: number): Promise<[Uint8Array, Uint8Array][]> {
    return this.#read(() => {
      const rows = this.#rows.slice(this.#at, this.#at + count)
      this.#at += rows.length
      return rows.map(({ key, value }): [Uint8Array, Uint8Array] => [key, value])
    })
  }

  all(): Promise<[Uint8Array, Uint8Array][]> {
    return this.nextv(this.#rows.length)
  }

  seek(key: Uint8Array): void {
    this.#at = lowerBound(this.#rows, key)
  }

  async close(): Promise<void> {}
}

function copyOf(operation: Operation): Operation {
  const key = Buffer.from(operation.key)
  if (operation.type === 'del') return { type: 'del', key }
  return { type: 'put', key, value: Buffer.from(operation.value) }
}

function applied(rows: readonly Row[], operations: readonly Operation[]): readonly Row[] {
  const result = [...rows]
  for (const operation of operations) {
    const key = operation.key as Buffer
    const at = lowerBound(result, key)
    const isThere = result[at]?.key.equals(key) === true
    if (operation.type === 'del') {
      if (isThere) result.splice(at, 1)
    } else result.splice(at, isThere ? 1 : 0, { key, value: operation.value as Buffer })
  }
  return result
}

function lowerBound(rows: readonly Row[], key: Uint8Array): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (Buffer.compare(rows[middle]!.key, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** An error as classic-level throws it: `code` says what kind. */
export function levelError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
