// The records of copies: shards of one small blob that all hold the same bytes. What is the same in the records is made once, and
// the bytes are those of all of them: nothing is copied.
import { assert } from '../../kit/assert.ts'
import type { CopiesDescription } from '../contract.ts'
import type { NewRecord } from './appender.ts'
import {
  cellLength,
  encodeEnd,
  encodeHeader,
  layoutShard,
  type RecordLayout,
  replaceSlot,
} from './record-format.ts'

/** Records of copies, slot by slot. */
export class CopyRecords {
  readonly #name: CopiesDescription['id']
  readonly #layout: RecordLayout
  /** Without a slot. */
  readonly #header: Uint8Array
  readonly #cell: Uint8Array

  /** `cell` is read until the last record is written. */
  constructor(description: CopiesDescription, cell: Uint8Array) {
    this.#name = description.id
    this.#layout = layoutShard(description)
    assert(this.#layout.cellCount === 1, 'a copy is one cell')
    assert(cell.length === cellLength(this.#layout, 0), 'a cell is as long as its shard says')
    this.#header = Buffer.allocUnsafe(this.#layout.headerBytes)
    encodeHeader(this.#header, description, this.#layout)
    this.#cell = cell
  }

  /** The record of one of the copies, for Appender.append(). */
  of(slot: number): NewRecord {
    const { uid, part } = this.#name
    const id = { uid, part, slot }
    const { headerBytes, recordBytes } = this.#layout
    const around = Buffer.allocUnsafe(recordBytes - this.#cell.length)
    const [header, end] = [around.subarray(0, headerBytes), around.subarray(headerBytes)]
    header.set(this.#header)
    replaceSlot(header, slot)
    encodeEnd(end, { id, layout: this.#layout, cell: this.#cell })
    return { id, layout: this.#layout, parts: [header, this.#cell, end] }
  }
}
