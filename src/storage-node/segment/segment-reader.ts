// Reads a shard that lies in a segment. When compaction moved it meanwhile, the index says where it is now.
import type { CellRead, ShardDescribed, ShardId, ShardReader } from '../contract.ts'
import type { ShardRow } from '../index/index-rows.ts'
import { type SegmentAccounts, samePlace } from '../index/segment-accounts.ts'
import type { CellReads, CellSource } from './cell-reads.ts'
import { layoutRecord } from './record-format.ts'
import { readFrame } from './record-frame.ts'
import type { SegmentFiles } from './segment-files.ts'

/** What shards are read with. `accounts` count the readers of a segment; `lookup` says where a shard is that was moved. */
export interface SegmentReaderParts {
  files: SegmentFiles
  cells: CellReads
  accounts: SegmentAccounts
  secret: bigint
  lookup(id: ShardId): Promise<ShardRow | undefined>
}

// A shard is moved at most once while a cell is read, unless the disk is slower than two compactions.
const MAX_MOVES = 4

/** One open shard of a segment. The segment's file is kept while it is open. */
export class SegmentReader implements ShardReader {
  readonly #id: ShardId
  readonly #parts: SegmentReaderParts
  #row: ShardRow
  #closed = false

  constructor(id: ShardId, row: ShardRow, parts: SegmentReaderParts) {
    this.#id = id
    this.#row = row
    this.#parts = parts
    this.#count(1)
  }

  /** Reads and verifies one cell. */
  readCell(index: number, target: Uint8Array): Promise<CellRead> {
    return this.#following((row) => this.#parts.cells.read(this.#sourceOf(row), index, target))
  }

  /** Reads and verifies adjacent cells; undefined as well when the shard was moved meanwhile. */
  readRun(first: number, count: number): Promise<readonly Uint8Array[] | undefined> {
    return this.#parts.cells.readRun(this.#sourceOf(this.#row), first, count)
  }

  /** Reads and verifies header and tail. */
  describe(): Promise<ShardDescribed> {
    const { secret } = this.#parts
    return this.#following((row) => readFrame(this.#sourceOf(row), { secret, place: row }))
  }

  /** Lets the segment's file go. */
  close(): undefined {
    if (this.#closed) return
    this.#closed = true
    this.#count(-1)
  }

  /** Reads where the shard lies; when that is gone, where it lies now. */
  async #following<Read>(
    read: (row: ShardRow) => Promise<Read | 'gone'>,
  ): Promise<Read | { kind: 'missing' }> {
    for (let move = 0; move < MAX_MOVES; move += 1) {
      const row = this.#row
      const found = await read(row)
      if (found !== 'gone') return found
      if (samePlace(this.#row, row) && !(await this.#follow())) break
    }
    return { kind: 'missing' }
  }

  #sourceOf(row: ShardRow): CellSource {
    return {
      id: this.#id,
      layout: layoutRecord(row.headerBytes, row.cellBytes, row.shardBytes),
      offset: row.offset,
      read: (bytes, position) => this.#parts.files.attempt(row.segment, bytes, position),
    }
  }

  async #follow(): Promise<boolean> {
    const row = await this.#parts.lookup(this.#id)
    if (row === undefined || samePlace(this.#row, row)) return false
    if (!this.#closed) this.#count(-1)
    this.#row = row
    if (!this.#closed) this.#count(1)
    return true
  }

  #count(change: 1 | -1): void {
    const account = this.#parts.accounts.get(this.#row.segment)
    if (account !== undefined) account.readers += change
  }
}
