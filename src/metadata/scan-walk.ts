// A walk over rows in order that can jump ahead: how a listing steps over everything under a common prefix.
import { compareBytes } from '../kit/bytes.ts'
import type { RowCursor, RowRange, RowReader } from './log/contract.ts'

/** A row as a cursor gives it. */
export interface WalkedRow {
  key: Uint8Array
  value: Uint8Array
}

/** Rows read at once. One read is one trip through the thread pool: the event loop breathes in between. */
const ROWS_PER_READ_MAX = 512
/** After a jump: the next common prefix is likely near. */
const ROWS_AFTER_JUMP = 8

/** Reads rows of a range ahead, in growing strides. Close it when done. */
export class RowWalk {
  readonly #cursor: RowCursor
  readonly #end: Uint8Array
  #rows: WalkedRow[] = []
  #index = 0
  #stride: number
  #ended: boolean

  /** `expected`: how many rows are likely needed. */
  constructor(reader: RowReader, range: RowRange, expected: number) {
    this.#cursor = reader.scan(range)
    this.#end = range.to
    this.#ended = compareBytes(range.from, range.to) >= 0
    this.#stride = Math.max(1, Math.min(expected, ROWS_PER_READ_MAX))
  }

  /** The next row, or undefined at the end of the range. */
  async next(): Promise<WalkedRow | undefined> {
    if (this.#index === this.#rows.length) await this.#readAhead()
    const row = this.#rows[this.#index]
    this.#index += 1
    return row
  }

  /** Goes on at the first row at or after `key`, never back. */
  jump(key: Uint8Array): void {
    while (this.#index < this.#rows.length && isBelow(this.#rows[this.#index]!.key, key)) {
      this.#index += 1
    }
    if (this.#index < this.#rows.length || this.#ended) return
    if (!isBelow(key, this.#end)) {
      this.#ended = true
      return
    }
    this.#cursor.seek(key)
    this.#stride = ROWS_AFTER_JUMP
  }

  close(): Promise<void> {
    return this.#cursor.close()
  }

  async #readAhead(): Promise<void> {
    this.#index = 0
    this.#rows = this.#ended ? [] : await this.#cursor.next(this.#stride)
    if (this.#rows.length < this.#stride) this.#ended = true
    this.#stride = Math.min(this.#stride * 2, ROWS_PER_READ_MAX)
  }
}

function isBelow(left: Uint8Array, right: Uint8Array): boolean {
  return compareBytes(left, right) < 0
}

/** The first `limit` rows of a range. */
export async function readRows(
  reader: RowReader,
  range: RowRange,
  limit = Number.POSITIVE_INFINITY,
): Promise<WalkedRow[]> {
  const walk = new RowWalk(reader, range, limit)
  const rows: WalkedRow[] = []
  try {
    while (rows.length < limit) {
      const row = await walk.next()
      if (!row) break
      rows.push(row)
    }
  } finally {
    await walk.close()
  }
  return rows
}

/** How many rows a range has. */
export async function countRows(reader: RowReader, range: RowRange): Promise<number> {
  const walk = new RowWalk(reader, range, ROWS_PER_READ_MAX)
  let count = 0
  try {
    while (await walk.next()) count += 1
  } finally {
    await walk.close()
  }
  return count
}
