// Shards that are durable in a segment and have no row in the index yet: rows are written some hundreds at a time, for each
// batch is a trip to another thread. Nothing is lost with them: a segment that is not sealed is scanned at every start.
import type { ShardId } from '../contract.ts'
import type { ShardRow } from './index-rows.ts'
import { type PlacedRecord, rowOf } from './row-changes.ts'
import { nameOf } from './shard-name.ts'

interface Coming {
  record: PlacedRecord
  row: ShardRow
}

/** In the order in which they became durable. Of two of one shard the later counts, and the other is noted as dead with it. */
export class ComingRows {
  readonly #records: PlacedRecord[] = []
  readonly #coming = new Map<string, Coming>()

  get count(): number {
    return this.#records.length
  }

  /** Of the record nothing else is kept: its bytes are on the drive. */
  add({ id, place, layout }: PlacedRecord, name = nameOf(id)): void {
    const record = { id, place, layout, name }
    this.#records.push(record)
    this.#coming.set(name, { record, row: rowOf(place, layout) })
  }

  /** Where the shard lies, if its row is still to come. */
  find(id: ShardId, name?: string): ShardRow | undefined {
    return this.#coming.size === 0 ? undefined : this.#coming.get(name ?? nameOf(id))?.row
  }

  /** All that are there now. */
  records(): PlacedRecord[] {
    return [...this.#records]
  }

  /** The first ones, as records() gave them, are in the index now. */
  forget(records: readonly PlacedRecord[]): void {
    for (const record of this.#records.splice(0, records.length)) {
      const name = record.name ?? nameOf(record.id)
      if (this.#coming.get(name)?.record === record) this.#coming.delete(name)
    }
  }
}
