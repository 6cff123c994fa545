// Rows of a partition as its primary has them: read from its own drive, each with its checksum.
import { Overloaded } from '../../kit/semaphore.ts'
import type { RowCursor, RowRange, RowReader } from '../../metadata/log/contract.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import { wasNotRead } from '../drive-errors.ts'
import { openStoredRow, type StoredCursor, type StoredRow } from '../meta-rows/meta-rows.ts'
import type { ReplicaDrive } from './replica-drive.ts'

/** Whose rows are read. */
export interface RowsOwner {
  partition: number
  drive: Pick<ReplicaDrive, 'get' | 'cursor'>
  /** Where its rows are now. */
  slot(): number
  /** Once it aborts, nothing that was read counts. */
  ended: AbortSignal
  /** A row is rotten, or can not be read: this replica is not to be asked any more. */
  onBadRow(why: string): void
}

/** Throws MetadataUnavailable for what can not be read, and for everything once the reign is over. */
export class ReignRows implements RowReader {
  readonly #owner: RowsOwner

  constructor(owner: RowsOwner) {
    this.#owner = owner
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const owner = this.#owner
    const read = await whileReigning(owner, () => owner.drive.get(owner.slot(), key))
    if (read.kind === 'rotten') throw badRow(owner, read.detail)
    return read.kind === 'found' ? read.value : undefined
  }

  scan(range: RowRange): RowCursor {
    return new ReignCursor(this.#owner, range)
  }
}

class ReignCursor implements RowCursor {
  readonly #owner: RowsOwner
  readonly #range: RowRange
  #cursor: { slot: number; rows: StoredCursor } | undefined
  #from: Uint8Array

  constructor(owner: RowsOwner, range: RowRange) {
    this.#owner = owner
    this.#range = range
    this.#from = range.from
  }

  async next(count: number): Promise<{ key: Uint8Array; value: Uint8Array }[]> {
    const owner = this.#owner
    const { slot, rows } = this.#open()
    const stored = await whileReigning(owner, () => rows.next(count))
    return stored.map((row) => ({ key: row.key, value: openRow(owner, slot, row) }))
  }

  seek(key: Uint8Array): void {
    this.#from = key
    this.#cursor?.rows.seek(key)
  }

  async close(): Promise<void> {
    await this.#cursor?.rows.close()
    this.#cursor = undefined
  }

  #open(): { slot: number; rows: StoredCursor } {
    if (this.#owner.ended.aborted) throw ended(this.#owner)
    const slot = this.#owner.slot()
    const range = { from: this.#from, to: this.#range.to }
    this.#cursor ??= { slot, rows: this.#owner.drive.cursor(slot, range) }
    return this.#cursor
  }
}

/** What was read while the reign ended may be of other rows. */
async function whileReigning<T>(owner: RowsOwner, read: () => Promise<T>): Promise<T> {
  if (owner.ended.aborted) throw ended(owner)
  try {
    const found = await read()
    if (!owner.ended.aborted) return found
  } catch (cause) {
    if (owner.ended.aborted) throw ended(owner)
    // Nothing was read, which says nothing of the rows. Not Overloaded for who asked: a command may have been done in part.
    if (!wasNotRead(cause)) throw badRow(owner, String(cause))
    const why = cause instanceof Overloaded ? 'has too much to do' : 'fails'
    throw new MetadataUnavailable(`the drive of partition ${owner.partition} ${why}`, { cause })
  }
  throw ended(owner)
}

function openRow(owner: RowsOwner, slot: number, row: StoredRow): Uint8Array {
  const value = openStoredRow(slot, row)
  if (value === undefined) throw badRow(owner, 'its checksum is wrong')
  return value
}

function badRow(owner: RowsOwner, why: string): MetadataUnavailable {
  owner.onBadRow(why)
  return new MetadataUnavailable(`a row of partition ${owner.partition} is damaged here: ${why}`)
}

function ended({ partition }: RowsOwner): MetadataUnavailable {
  return new MetadataUnavailable(`partition ${partition} is not served here any more`)
}
