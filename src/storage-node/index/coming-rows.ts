// Shards that are durable in a segment and have no row in the index yet: rows are written some hundreds at a time, for each
// batch is a trip to another thread. Nothing is lost with them: a segment that is not sealed is scanned at every start.
import type { ShardId } from '../contract.ts'
import type { ShardRow } from './index-rows.ts'
import { type PlacedRecord, rowOf } from './row-changes.ts'

interface Coming {
  record: PlacedRecord
  row: ShardRow
}

/** In the order in which they became durable, and never two of one shard. */
export class ComingRows {
  readonly #coming = new Map<string, Coming>()

  get count(): number {
    return this.#coming.size
  }

  /** Of the record nothing else is kept: its bytes are on the drive. */
  add({ id, place, layout }: PlacedRecord): void {
    this.#coming.set(nameOf(id), { record: { id, place, layout }, row: rowOf(place, layout) })
  }

  /** Where the shard lies, if its row is still to come. */
  find(id: ShardId): ShardRow | undefined {
    return this.#coming.get(nameOf(id))?.row
  }

  /** All that are there now. */
  records(): PlacedRecord[] {
    return [...this.#coming.values()].map(({ record }) => record)
  }

  /** They are in the index now. */
  forget(records: readonly PlacedRecord[]): void {
    for (const { id } of records) this.#coming.delete(nameOf(id))
  }
}

function nameOf({ uid, part, slot }: ShardId): string {
  return `${uid}.${part}.${slot}`
}
