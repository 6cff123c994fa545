// Reads one cell and verifies it, every time. The read goes into a buffer of our own and is copied out once it is
// verified: a read that outlives its caller (a disk that hangs) never writes into memory that is someone else's by then.
import { shardSeed } from '../../digest/cell-checksum.ts'
import { assert } from '../../kit/assert.ts'
import { CELL_BYTES } from '../../kit/erasure-code.ts'
import type { CellRead, ShardId } from '../contract.ts'
import { takeSlot } from './cell-memory.ts'
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

  /** Cells `first` to `first + count - 1` by one read, in memory that is lent; undefined unless all are whole. */
  async readRun(
    { id, layout, offset, read }: CellSource,
    first: number,
    count: number,
  ): Promise<readonly Uint8Array[] | undefined> {
    const start = cellOffset(layout, first)
    const last = first + count - 1
    const runBytes = cellOffset(layout, last) + cellLength(layout, last) + TRAILER_BYTES - start
    // Where the read throws or never ends the slot is nobody's any more.
    const slot = takeSlot(runBytes)
    const run = slot.bytes.subarray(0, runBytes)
    const got = await read(run, offset + start)
    if (got !== runBytes) {
      slot.release()
      return undefined
    }
    const seed = shardSeed(id)
    const cells: Uint8Array[] = []
    for (let index = first, from = 0; index <= last; index += 1) {
      const to = from + cellLength(layout, index)
      const bytes = run.subarray(from, to)
      from = to + TRAILER_BYTES
      if (findCellDamage(run.subarray(to, from), { seed, index, bytes }) !== undefined) {
        slot.release()
        return undefined
      }
      cells.push(bytes)
    }
    slot.lendMore(cells)
    return cells
  }
}
