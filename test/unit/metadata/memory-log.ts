// A partition's log in memory, for tests: batches become readable a turn of the event loop after they were
// appended, or when the test says so. Cursors read live rows, which is less than a real log promises.
import { compareBytes } from '../../../src/kit/bytes.ts'
import type {
  LogPosition,
  PartitionLog,
  RowBatch,
  RowCursor,
  RowRange,
} from '../../../src/metadata/log/contract.ts'
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts'

interface Row {
  key: Uint8Array
  value: Uint8Array
}

interface Appended {
  batch: RowBatch
  onDurable: (() => void) | undefined
  resolve: (position: LogPosition) => void
  reject: (error: Error) => void
}

export class MemoryLog implements PartitionLog {
  readonly rows = {
    get: async (key: Uint8Array): Promise<Uint8Array | undefined> => {
      const index = this.#find(key)
      const row = this.#sorted[index]
      return row && compareBytes(row.key, key) === 0 ? row.value : undefined
    },
    getAtHand: (key: Uint8Array): { value: Uint8Array | undefined } => {
      const row = this.#sorted[this.#find(key)]
      return { value: row && compareBytes(row.key, key) === 0 ? row.value : undefined }
    },
    scan: (range: RowRange): RowCursor => this.#cursor(range),
  }
  /** Batches that were applied, in order. */
  readonly applied: RowBatch[] = []
  /** Reads that asked for a cursor and have not closed it. */
  openCursors = 0
  /** How often somebody waited for rows. */
  hurries = 0
  /** Seeks of all cursors. */
  seeks = 0
  #sorted: Row[] = []
  #waiting: Appended[] = []
  #held = false
  #failure: Error | undefined

  append(batch: RowBatch, onDurable?: () => void): Promise<LogPosition> {
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, onDurable, resolve, reject })
      if (!this.#held && this.#waiting.length === 1) setImmediate(() => this.#applyUnlessHeld())
    })
  }

  hurry(): void {
    this.hurries += 1
  }

  /** Says of all that waits that it is durable; it can not be read yet. */
  tellDurable(): void {
    for (const { onDurable } of this.#waiting) onDurable?.()
  }

  /** Batches that are appended and neither durable nor failed. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** From now on nothing becomes durable. */
  hold(): void {
    this.#held = true
  }

  /** Makes the first `count` batches that wait durable, all of them unless said otherwise. */
  release(count = this.#waiting.length): void {
    for (const appended of this.#waiting.splice(0, count)) this.#apply(appended)
  }

  /** Undoes hold(). */
  resume(): void {
    this.#held = false
    this.release()
  }

  /** All that waits fails, and so does every append from now on. */
  fail(): void {
    this.#failure = new MetadataUnavailable('the test broke the log')
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure)
  }

  /** Another log with the same rows: what a restart finds. */
  reopen(): MemoryLog {
    const log = new MemoryLog()
    log.#sorted = [...this.#sorted]
    return log
  }

  /** Every row whose key begins with `kind`. */
  ofKind(kind: number): Row[] {
    return this.#sorted.filter(({ key }) => key[0] === kind)
  }

  #applyUnlessHeld(): void {
    if (!this.#held) this.release()
  }

  #apply({ batch, resolve }: Appended): void {
    for (const { key, value } of batch) this.#change(key, value)
    this.applied.push(batch)
    resolve({ epoch: 1, sequence: this.applied.length })
  }

  #change(key: Uint8Array, value: Uint8Array | undefined): void {
    const index = this.#find(key)
    const row = this.#sorted[index]
    const exists = row !== undefined && compareBytes(row.key, key) === 0
    this.#sorted.splice(index, exists ? 1 : 0, ...(value ? [{ key, value }] : []))
  }

  /** Index of the first row at or after `key`. */
  #find(key: Uint8Array): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareBytes(this.#sorted[middle]!.key, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #cursor({ from, to }: RowRange): RowCursor {
    this.openCursors += 1
    let position = from
    return {
      next: async (count) => {
        const start = this.#find(position)
        const rows = this.#sorted.slice(start, Math.min(start + count, this.#find(to)))
        const last = rows.at(-1)
        if (last) position = Buffer.concat([last.key, Buffer.of(0)])
        return rows
      },
      seek: (key) => {
        this.seeks += 1
        if (compareBytes(key, position) > 0) position = key
      },
      close: async () => {
        this.openCursors -= 1
      },
    }
  }
}
