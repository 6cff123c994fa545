// A shard on its way into a segment: the whole record in memory, built cell by cell.
import { assert } from '../../kit/assert.ts'
import type { ShardDescription, ShardId } from '../contract.ts'
import {
  cellLength,
  cellOffset,
  encodeHeader,
  layoutShard,
  type RecordLayout,
  replaceMetadata,
  sealRecord,
} from './record-format.ts'

/** The bytes of one record. */
export class RecordBuffer {
  readonly id: ShardId
  readonly layout: RecordLayout
  readonly bytes: Uint8Array
  #cells = 0

  constructor(description: ShardDescription) {
    this.id = description.id
    this.layout = layoutShard(description)
    this.bytes = Buffer.allocUnsafeSlow(this.layout.recordBytes)
    encodeHeader(this.bytes, description, this.layout)
  }

  /** Copies the next cell in. */
  add(cell: Uint8Array): void {
    const { layout } = this
    assert(cell.length === cellLength(layout, this.#cells), 'a cell is as long as its shard says')
    this.bytes.set(cell, cellOffset(layout, this.#cells))
    this.#cells += 1
  }

  /** Adds checksums and tail, and other metadata if there is some; the stamp of the header comes with its place. */
  seal(metadata?: Uint8Array): void {
    assert(this.#cells === this.layout.cellCount, 'a shard that is committed has all its cells')
    if (metadata) replaceMetadata(this.bytes, metadata)
    sealRecord(this.bytes, this.id, this.layout)
  }
}
