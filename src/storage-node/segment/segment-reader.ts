// Reads a shard that lies in a segment. When compaction moved it meanwhile, the index says where it is now.
import type { CellRead, ShardId, ShardReader } from '../contract.ts'
import type { ShardRow } from '../index/index-rows.ts'
import { type SegmentAccounts, samePlace } from '../index/segment-accounts.ts'
import type { CellReads } from './cell-reads.ts'
import { layoutRecord } from './record-format.ts'
import type { SegmentFiles } from './segment-files.ts'

export interface SegmentReaderParts {
  files: SegmentFiles
  cells: CellReads
  accounts: SegmentAccounts
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
  async readCell(index: number, target: Uint8Array): Promise<CellRead> {
    for (let move = 0; move < MAX_MOVES; move += 1) {
      const row = this.#row
      const found = await this.#readAt(row, index, target)
      if (found !== 'gone') return found
      if (samePlace(this.#row, row) && !(await this.#follow())) break
    }
    return { kind: 'missing' }
  }

  /** Lets the segment's file go. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#count(-1)
  }

  #readAt(row: ShardRow, index: number, target: Uint8Array): Promise<CellRead | 'gone'> {
    const { files, cells } = this.#parts
    const source = {
      id: this.#id,
      layout: layoutRecord(row.headerBytes, row.cellBytes, row.shardBytes),
      offset: row.offset,
      read: (bytes: Uint8Array, position: number) => files.read(row.segment, bytes, position),
    }
    return cells.read(source, index, target)
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
