// Rows of several kinds walked as one, in order of the keys of objects: a listing of versions finds them in three places.
import type { RowRange, RowReader } from './log/contract.ts'
import { RowWalk, type WalkedRow } from './scan-walk.ts'

/** How the keys of one kind of listing lie in the rows. */
export interface KeySpace<Record> {
  /** Where rows of keys that begin with `prefix` are. */
  under(prefix: Uint8Array): RowRange
  /** The first row key after the marker `key`. */
  after(key: Uint8Array): Uint8Array
  keyOf(rowKey: Uint8Array): Buffer
  /** Rows that are after the row of the marker but not listed all the same. */
  skips?(row: WalkedRow): boolean
  decode(row: WalkedRow): Record
}

/** A key with something under it. */
export interface WalkedKey<Record> {
  key: Buffer
  record(): Record
}

/** Of one key, rows of the first space come first. Close it when done. */
export class MergedWalk<Record> {
  readonly #walks: SpaceWalk<Record>[]

  /** `expected`: how many rows are likely needed. */
  constructor(
    rows: RowReader,
    spaces: readonly { space: KeySpace<Record>; range: RowRange }[],
    expected: number,
  ) {
    this.#walks = spaces.map(
      ({ space, range }) => new SpaceWalk(space, new RowWalk(rows, range, expected)),
    )
  }

  /** The next row, or undefined at the end. */
  async next(): Promise<WalkedKey<Record> | undefined> {
    const dry = this.#walks.filter(({ isDry }) => isDry)
    // All at once: cursors that begin in one turn see the same rows, however versions move between the kinds.
    if (dry.length > 1) await Promise.all(dry.map((walk) => walk.fill()))
    else await dry[0]?.fill()
    let first: SpaceWalk<Record> | undefined
    for (const walk of this.#walks) {
      if (walk.head && (!first?.head || walk.head.key.compare(first.head.key) < 0)) first = walk
    }
    return first?.take()
  }

  /** Goes on after everything that begins with `prefix`. */
  jumpPast(prefix: Buffer): void {
    for (const walk of this.#walks) walk.jumpPast(prefix)
  }

  async close(): Promise<void> {
    await Promise.all(this.#walks.map((walk) => walk.close()))
  }
}

/** One kind of rows, with the next one at hand. */
class SpaceWalk<Record> {
  readonly #space: KeySpace<Record>
  readonly #walk: RowWalk
  head: { key: Buffer; row: WalkedRow } | undefined
  #ended = false

  constructor(space: KeySpace<Record>, walk: RowWalk) {
    this.#space = space
    this.#walk = walk
  }

  /** Whether fill() must be called before the head can be looked at. */
  get isDry(): boolean {
    return !this.head && !this.#ended
  }

  async fill(): Promise<void> {
    for (;;) {
      const row = await this.#walk.next()
      this.#ended = row === undefined
      if (row && this.#space.skips?.(row)) continue
      this.head = row && { key: this.#space.keyOf(row.key), row }
      return
    }
  }

  take(): WalkedKey<Record> {
    const { key, row } = this.head!
    this.head = undefined
    return { key, record: () => this.#space.decode(row) }
  }

  jumpPast(prefix: Buffer): void {
    this.#walk.jump(this.#space.under(prefix).to)
    if (this.head?.key.subarray(0, prefix.length).equals(prefix)) this.head = undefined
  }

  close(): Promise<void> {
    return this.#walk.close()
  }
}
