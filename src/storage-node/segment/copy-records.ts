// The records of copies: shards of one small blob that all hold the same bytes. What is the same in the records is made once.
import { assert } from '../../kit/assert.ts'
import type { CopiesDescription } from '../contract.ts'
import type { NewRecord } from './appender.ts'
import {
  cellLength,
  cellOffset,
  encodeHeader,
  layoutShard,
  type RecordLayout,
  replaceSlot,
  sealRecord,
} from './record-format.ts'

/** Records of copies, slot by slot. */
export class CopyRecords {
  readonly #name: CopiesDescription['id']
  readonly #layout: RecordLayout
  /** The record of slot 0, but for its checksums. */
  readonly #bytes: Uint8Array

  /** `cell` is copied. */
  constructor(description: CopiesDescription, cell: Uint8Array) {
    const first = { ...description, id: { ...description.id, slot: 0 } }
    this.#name = description.id
    this.#layout = layoutShard(first)
    assert(this.#layout.cellCount === 1, 'a copy is one cell')
    assert(cell.length === cellLength(this.#layout, 0), 'a cell is as long as its shard says')
    this.#bytes = Buffer.allocUnsafeSlow(this.#layout.recordBytes)
    encodeHeader(this.#bytes, first, this.#layout)
    this.#bytes.set(cell, cellOffset(this.#layout, 0))
  }

  /** The record of one of the copies, its own memory, for Appender.append(). */
  of(slot: number): NewRecord {
    const { uid, part } = this.#name
    const id = { uid, part, slot }
    const bytes = Buffer.allocUnsafeSlow(this.#layout.recordBytes)
    bytes.set(this.#bytes)
    replaceSlot(bytes, slot)
    sealRecord(bytes, id, this.#layout)
    return { id, layout: this.#layout, bytes }
  }
}
