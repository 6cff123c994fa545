// A walk over the current objects of a bucket in order: from strips that are kept where there are some, else from rows.
import { compareBytes } from '../../kit/bytes.ts'
import type { ListedEntry } from '../contract.ts'
import type { RowCursor, RowRange, RowReader } from '../log/contract.ts'
import { keyAfter, keyOfHead } from '../rows/keys.ts'
import { entryOf, type KeptObjects, type Reading } from './kept-objects.ts'
import { keyAtOrAfter } from './key-search.ts'

/** Rows read at once. One read is one trip through the thread pool: the event loop breathes in between. */
const ROWS_PER_READ_MAX = 512
/** After a jump: the next common prefix is likely near. */
const ROWS_AFTER_JUMP = 8

/** Entries in order; those before `from` are passed already. To be looked at before anything is waited for. */
export interface Run {
  entries: readonly ListedEntry[]
  from: number
}

/** Close it when done. */
export class ObjectWalk {
  readonly #rows: RowReader
  readonly #kept: KeptObjects
  readonly #end: Uint8Array
  #position: Uint8Array
  #stride: number
  #cursor: RowCursor | undefined
  /** Where the cursor goes on by itself. */
  #cursorAt: Uint8Array | undefined
  #reading: Reading | undefined
  /** What was read last, up to `to`: a cursor never goes back. */
  #block: { entries: ListedEntry[]; to: Uint8Array } | undefined

  /** `expected`: how many objects are likely needed. */
  constructor(
    { rows, kept }: { rows: RowReader; kept: KeptObjects },
    range: RowRange,
    expected: number,
  ) {
    this.#rows = rows
    this.#kept = kept
    this.#position = range.from
    this.#end = range.to
    this.#stride = Math.max(1, Math.min(expected, ROWS_PER_READ_MAX))
  }

  /** The next objects, `ended`, or undefined where fill() has to be called first. */
  run(): Run | 'ended' | undefined {
    if (compareBytes(this.#position, this.#end) >= 0) return 'ended'
    const found = this.#blockHere() ?? this.#kept.find(this.#position)
    if (found === undefined) return undefined
    const { entries, to } = found
    const from = keyAtOrAfter(entries, keyOfHead(this.#position))
    this.#position = to
    if (compareBytes(to, this.#end) <= 0) return { entries, from }
    return { entries: entries.slice(0, keyAtOrAfter(entries, keyOfHead(this.#end))), from }
  }

  /** Reads more rows. */
  async fill(): Promise<void> {
    const from = this.#position
    // Who goes on where another page ended will most likely want the rest as well.
    if (this.#cursor === undefined && this.#kept.endsAt(from)) this.#stride = ROWS_PER_READ_MAX
    this.#reading ??= this.#kept.begin()
    this.#cursor ??= this.#rows.scan({ from, to: this.#end })
    if (this.#cursorAt !== undefined && compareBytes(this.#cursorAt, from) !== 0)
      this.#cursor.seek(from)
    const found = await this.#cursor.next(this.#stride)
    const last = found.at(-1)
    const to = last === undefined || found.length < this.#stride ? this.#end : keyAfter(last.key)
    const entries = found.map(({ key, value }) => entryOf(keyOfHead(key), value))
    this.#kept.keep(this.#reading, { from, to }, entries)
    this.#cursorAt = to
    this.#block = { entries, to }
    this.#stride = Math.min(this.#stride * 2, ROWS_PER_READ_MAX)
  }

  /** Goes on at the first object at or after the row `key`, never back. */
  jump(key: Uint8Array): void {
    this.#position = key
    this.#stride = ROWS_AFTER_JUMP
  }

  #blockHere(): { entries: ListedEntry[]; to: Uint8Array } | undefined {
    return this.#block && compareBytes(this.#position, this.#block.to) < 0 ? this.#block : undefined
  }

  async close(): Promise<void> {
    if (this.#reading) this.#kept.end(this.#reading)
    await this.#cursor?.close()
  }
}
