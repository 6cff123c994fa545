// Decides, record by record, which of two records of one shard is the live one (the later),
// and gathers what that changes in the index and in the accounts.
import type { ShardId } from '../contract.ts'
import type { RecordLayout, RecordPlace } from '../segment/record-format.ts'
import type { ShardRow } from './index-rows.ts'
import { isEarlier, type RecordEvent, recordBytesOf, samePlace } from './segment-accounts.ts'
import type { IndexChange } from './shard-index.ts'
import { nameOf } from './shard-name.ts'

/** A record at its place. `copyOf`: it counts only if the record there is still the live one. */
export interface PlacedRecord {
  id: ShardId
  place: RecordPlace
  layout: RecordLayout
  copyOf?: RecordPlace
  /** nameOf() its id, where that is known. */
  name?: string
}

/** Changes that belong together: one batch of the index, then the events for the accounts. */
export class RowChanges {
  readonly changes: IndexChange[] = []
  readonly events: RecordEvent[] = []
  readonly #entered = new Map<string, ShardRow>()

  /** Takes one record in; `indexed` is the row that the index has for its shard. */
  enter(record: PlacedRecord, indexed: ShardRow | undefined): void {
    const { id, place, layout, copyOf } = record
    const name = record.name ?? nameOf(id)
    const other = this.#entered.get(name) ?? indexed
    if (samePlace(other, place)) return
    const row = rowOf(place, layout)
    const superseded = other !== undefined && isEarlier(place, other)
    if (superseded || (copyOf !== undefined && !samePlace(other, copyOf))) {
      this.#bury(row, 'stillborn')
      return
    }
    if (other !== undefined) this.#bury(other, 'died')
    this.changes.push({ put: { kind: 'shard', id, row } })
    this.events.push({ kind: 'born', ...place, recordBytes: layout.recordBytes })
    this.#entered.set(name, row)
  }

  /** The row that a shard has by now; `indexed` as of enter(). */
  current(id: ShardId, indexed: ShardRow | undefined): ShardRow | undefined {
    return this.#entered.get(nameOf(id)) ?? indexed
  }

  /** Forgets the shard of `row`. */
  remove(id: ShardId, row: ShardRow): void {
    this.changes.push({ remove: { kind: 'shard', id } })
    this.#bury(row, 'died')
  }

  #bury(row: ShardRow, kind: 'died' | 'stillborn'): void {
    const { segment, offset } = row
    this.changes.push({ put: { kind: 'dead', place: { segment, offset } } })
    this.events.push({ kind, segment, offset, recordBytes: recordBytesOf(row) })
  }
}

/** The row of a record. */
export function rowOf(place: RecordPlace, layout: RecordLayout): ShardRow {
  const { headerBytes, cellBytes, shardBytes } = layout
  return { segment: place.segment, offset: place.offset, headerBytes, cellBytes, shardBytes }
}
