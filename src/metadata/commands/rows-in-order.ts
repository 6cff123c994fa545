// What a view shows, for code that reads rows: pages of a walk over it all belong to one moment, for a view that is held
// still.
import { assert } from '../../kit/assert.ts'
import type { RowCursor, RowRange, RowReader } from '../log/contract.ts'
import { keyAfter } from '../rows/keys.ts'
import type { Row, View } from './decision.ts'

/** A search that looked at so many rows keeps every command of the partition waiting: it is given up. */
export class SearchTooLong extends Error {
  override readonly name = 'SearchTooLong'
  readonly code = 'SEARCH_TOO_LONG'
}

/** Reads a view as rows are read. Throws SearchTooLong once more than `rowsMax` were read. */
export function rowsInOrder(view: View, rowsMax: number): RowReader {
  let left = rowsMax
  const spend = (count: number): void => {
    left -= count
    if (left < 0) throw new SearchTooLong(`more than ${rowsMax} rows would have to be looked at`)
  }
  return {
    get: async (key) => {
      spend(1)
      return await view.get(key)
    },
    getAtHand: (key) => {
      spend(1)
      return view.getAtHand?.(key)
    },
    scan: (range) => new ViewCursor(view, range, spend),
  }
}

class ViewCursor implements RowCursor {
  readonly #view: View
  readonly #to: Uint8Array
  readonly #spend: (count: number) => void
  #from: Uint8Array

  constructor(view: View, { from, to }: RowRange, spend: (count: number) => void) {
    this.#view = view
    this.#from = from
    this.#to = to
    this.#spend = spend
  }

  async next(count: number): Promise<Row[]> {
    const rows = await this.#view.scan({ from: this.#from, to: this.#to }, count)
    assert(rows.length <= count, 'a scan gives no more than it is asked for')
    this.#spend(rows.length)
    const last = rows.at(-1)
    if (last) this.#from = keyAfter(last.key)
    return rows
  }

  seek(key: Uint8Array): void {
    this.#from = key
  }

  async close(): Promise<void> {}
}
