// Rows as they will be: what the log has applied, with the batches on top that are appended but not yet durable.
// So a command is decided before the one ahead of it has reached the disk, and the log can sync many at once.
import { assert } from '../../kit/assert.ts'
import { asBuffer, compareBytes } from '../../kit/bytes.ts'
import type { RowBatch, RowRange, RowReader } from '../log/contract.ts'
import type { Row, View } from './decision.ts'

interface PendingChange {
  key: Uint8Array
  value: Uint8Array | undefined
  /** Resolves, never rejects, when the change is readable in the rows or has failed. */
  fate: Promise<unknown>
}

/** Rows read from the log at a time. */
const ROWS_PER_READ = 512

/** The rows of a partition with its pending batches on top. Rows may not be decided on by two commands at once. */
export class PendingRows implements View {
  readonly #rows: RowReader
  /** The latest pending change of every key that has one. */
  readonly #changes = new Map<string, PendingChange>()

  constructor(rows: RowReader) {
    this.#rows = rows
  }

  /** Puts an appended batch on top, until its fate is met and settle() is told. */
  add(batch: RowBatch, fate: Promise<unknown>): void {
    for (const { key, value } of batch) this.#changes.set(nameKey(key), { key, value, fate })
  }

  /** What was added with this fate is in the rows now, or will never be. */
  settle(batch: RowBatch, fate: Promise<unknown>): void {
    for (const { key } of batch) {
      const name = nameKey(key)
      if (this.#changes.get(name)?.fate === fate) this.#changes.delete(name)
    }
  }

  /** Whether there is nothing on top. */
  get isEmpty(): boolean {
    return this.#changes.size === 0
  }

  /** Resolves when the latest pending write of `key` has met its fate; undefined when there is none. */
  fateOf(key: Uint8Array): Promise<unknown> | undefined {
    // Between writes nothing has to be looked up, which every read would do.
    return this.#changes.size === 0 ? undefined : this.#changes.get(nameKey(key))?.fate
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const pending = this.#changes.get(nameKey(key))
    return pending ? pending.value : await this.#rows.get(key)
  }

  getAtHand(key: Uint8Array): { value: Uint8Array | undefined } | undefined {
    return this.#changes.get(nameKey(key)) ?? this.#rows.getAtHand?.(key)
  }

  async scan(range: RowRange, limit: number): Promise<Row[]> {
    assert(limit > 0, 'a scan asks for something')
    // Taken before the first read: a batch that settles meanwhile is then seen here, there or in both.
    const pending = this.#pendingIn(range)
    const found: Row[] = []
    const cursor = this.#rows.scan(range)
    try {
      while (found.length < limit) {
        const wanted = Math.min(limit - found.length, ROWS_PER_READ)
        const rows = await cursor.next(wanted)
        const isLast = rows.length < wanted
        mergeInto(found, rows, takeUpTo(pending, isLast ? undefined : rows.at(-1)!.key))
        if (isLast) break
      }
    } finally {
      await cursor.close()
    }
    return found.slice(0, limit)
  }

  /** Pending changes in the range, in order of key. */
  #pendingIn({ from, to }: RowRange): PendingChange[] {
    const changes = [...this.#changes.values()].filter(
      ({ key }) => compareBytes(key, from) >= 0 && compareBytes(key, to) < 0,
    )
    return changes.sort((left, right) => compareBytes(left.key, right.key))
  }
}

/** Removes and returns the changes up to `last`, inclusive; all of them when there is no `last`. */
function takeUpTo(changes: PendingChange[], last: Uint8Array | undefined): PendingChange[] {
  const end = last ? changes.findIndex(({ key }) => compareBytes(key, last) > 0) : -1
  return changes.splice(0, end === -1 ? changes.length : end)
}

/** Appends rows to `found` in order of key; a change goes before a row of the same key. */
function mergeInto(found: Row[], rows: readonly Row[], changes: readonly PendingChange[]): void {
  let next = 0
  for (const change of changes) {
    while (next < rows.length && compareBytes(rows[next]!.key, change.key) < 0) {
      found.push(rows[next]!)
      next += 1
    }
    if (next < rows.length && compareBytes(rows[next]!.key, change.key) === 0) next += 1
    if (change.value !== undefined) found.push({ key: change.key, value: change.value })
  }
  found.push(...rows.slice(next))
}

function nameKey(key: Uint8Array): string {
  return asBuffer(key).toString('latin1')
}
