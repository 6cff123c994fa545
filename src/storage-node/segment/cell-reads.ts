// Reads one cell and verifies it, every time. The read goes into a buffer of our own and is copied out once it is
// verified: a read that outlives its caller (a disk that hangs) never writes into memory that is someone else's by then.
import { shardSeed } from '../../digest/cell-checksum.ts'
import { assert } from '../../kit/assert.ts'
import { CELL_BYTES } from '../../kit/erasure-code.ts'
import type { CellRead, ShardId } from '../contract.ts'
import {
  cellLength,
  cellOffset,
  findCellDamage,
  type RecordLayout,
  TRAILER_BYTES,
} from './record-format.ts'

/** Reads bytes of the file that holds the record, from a position in the file. */
export type ReadAt = (
  target: Uint8Array,
  position: number,
) => Promise<number | 'gone' | 'medium-error'>

/** The record that a cell is read from. `offset`: where the record begins in its file. */
export interface CellSource {
  id: ShardId
  layout: RecordLayout
  offset: number
  read: ReadAt
}

// As many as a drive reads at once (DriveLimits.parallel).
const MAX_SPARE = 8

/** Cell reads of one drive, with their buffers. */
export class CellReads {
  readonly #spare: Uint8Array[] = []

  /** Reads cell `index` into `target`; 'gone' when the file is not there. */
  async read(source: CellSource, index: number, target: Uint8Array): Promise<CellRead | 'gone'> {
    const { id, layout, offset } = source
    const length = cellLength(layout, index)
    assert(target.length >= length, 'the cell fits into the buffer it is read into')
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(CELL_BYTES + TRAILER_BYTES)
    const whole = buffer.subarray(0, length + TRAILER_BYTES)
    const count = await source.read(whole, offset + cellOffset(layout, index))
    if (this.#spare.length < MAX_SPARE) this.#spare.push(buffer)
    if (count === 'gone') return 'gone'
    if (count === 'medium-error')
      return { kind: 'corrupt', detail: `cell ${index}: the drive can not read it` }
    if (count < whole.length)
      return { kind: 'corrupt', detail: `cell ${index}: the file is cut short` }
    const bytes = whole.subarray(0, length)
    const damage = findCellDamage(whole.subarray(length), { seed: shardSeed(id), index, bytes })
    if (damage !== undefined) return { kind: 'corrupt', detail: `cell ${index}: ${damage}` }
    target.set(bytes)
    return { kind: 'found', bytes: length }
  }
}
