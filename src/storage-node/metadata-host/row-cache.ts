// Rows of one partition that were read a short while ago, as its replicas agreed on them. Exact: every change of the
// partition passes here before it is answered, and what was read while it was changed is not kept.
import { asBuffer, mebibytes } from '../../kit/bytes.ts'
import type { RowBatch } from '../../metadata/log/contract.ts'

/** Memory for the rows of one partition, their keys included. */
const CACHE_BYTES = mebibytes(4)

/** What an entry costs beside key and value. */
const ENTRY_BYTES = 100

interface Entry {
  /** undefined: there is no such row, which is as true as a value. */
  value: Uint8Array | undefined
  bytes: number
  /** How many had been put behind all others when it was. */
  movedAt: number
}

/** Reads rows; gives their values in the same order. */
export type ReadRows = (keys: readonly Uint8Array[]) => Promise<readonly (Uint8Array | undefined)[]>

/** Rows that are read by one call. */
interface Reading {
  names: readonly string[]
  rows: ReturnType<ReadRows>
}

/** Rows that were not used for long go first. */
export class RowCache {
  readonly #maxBytes: number
  // A Map lists its keys in the order of insertion. Whatever is used goes behind all others, unless it is in the newer half
  // anyway: to move a row costs more than to find it.
  readonly #entries = new Map<string, Entry>()
  /** Reads of rows that were not changed since they began. */
  readonly #underWay = new Map<string, Reading>()
  #bytes = 0
  #moves = 0

  constructor(maxBytes: number = CACHE_BYTES) {
    this.#maxBytes = maxBytes
  }

  /** The entry of a key; `value` is undefined when the row is known not to exist. */
  find(key: Uint8Array): { value: Uint8Array | undefined } | undefined {
    const name = nameOf(key)
    const entry = this.#entries.get(name)
    if (entry === undefined) return undefined
    if (this.#moves - entry.movedAt > this.#entries.size / 2) {
      this.#entries.delete(name)
      this.#append(name, entry)
    }
    return entry
  }

  /**
   * What `read` gives for a key, kept unless the row was changed meanwhile. Whoever asks for it at the same time waits for the same
   * read, but for one that a change made old.
   */
  read(key: Uint8Array, read: ReadRows): Promise<Uint8Array | undefined> {
    const name = nameOf(key)
    const reading = this.#underWay.get(name) ?? this.#begin([name], read([key]))
    const at = reading.names.indexOf(name)
    return reading.rows.then(
      (rows) => rows[at],
      async (error) => {
        if (reading.names.length === 1) throw error
        // It was read with others, and may be none of the trouble.
        const again = this.#underWay.get(name)
        const isAlone = again?.names.length === 1
        const [row] = await (isAlone ? again : this.#begin([name], read([key]))).rows
        return row
      },
    )
  }

  /** Reads rows by one call, but for those that somebody reads already, and keeps them; resolves when all are read. */
  async readAll(keys: readonly Uint8Array[], read: ReadRows): Promise<void> {
    const readings = new Set<Reading>()
    const unread: Uint8Array[] = []
    for (const key of keys) {
      const reading = this.#underWay.get(nameOf(key))
      if (reading === undefined) unread.push(key)
      else readings.add(reading)
    }
    if (unread.length > 0) readings.add(this.#begin(unread.map(nameOf), read(unread)))
    await Promise.all([...readings].map(({ rows }) => rows))
  }

  #begin(names: readonly string[], rows: ReturnType<ReadRows>): Reading {
    const reading: Reading = {
      names,
      rows: rows.then(
        (values) => {
          for (const [at, name] of names.entries()) {
            if (this.#end(name, reading)) this.#put(name, values[at])
          }
          return values
        },
        (error) => {
          for (const name of names) this.#end(name, reading)
          throw error
        },
      ),
    }
    for (const name of names) this.#underWay.set(name, reading)
    return reading
  }

  /** Whether the row was not changed since. */
  #end(name: string, reading: Reading): boolean {
    return this.#underWay.get(name) === reading && this.#underWay.delete(name)
  }

  /** Follows what was applied. Called before anybody is told of it. */
  apply(batches: readonly RowBatch[]): void {
    for (const batch of batches) {
      for (const { key, value } of batch) {
        const name = nameOf(key)
        this.#underWay.delete(name)
        if (this.#entries.has(name)) this.#put(name, value)
      }
    }
  }

  #put(name: string, value: Uint8Array | undefined): void {
    this.#drop(name)
    const bytes = ENTRY_BYTES + name.length + (value?.length ?? 0)
    if (bytes > this.#maxBytes) return
    // A copy: a row may be a view of a much larger buffer, which would stay as long as it.
    this.#append(name, { value: value && Uint8Array.from(value), bytes, movedAt: 0 })
    this.#bytes += bytes
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) return
      this.#drop(oldest)
    }
  }

  #append(name: string, entry: Entry): void {
    this.#moves += 1
    entry.movedAt = this.#moves
    this.#entries.set(name, entry)
  }

  #drop(name: string): void {
    this.#bytes -= this.#entries.get(name)?.bytes ?? 0
    this.#entries.delete(name)
  }
}

function nameOf(key: Uint8Array): string {
  return asBuffer(key).toString('latin1')
}
