// Reads all rows of a replica as of one position, for another replica that lacks them.
import { kibibytes } from '../../kit/bytes.ts'
import type { LogPosition } from '../../metadata/log/contract.ts'
import { wasNotRead } from '../drive-errors.ts'
import { openStoredRow, type StoredCursor, type StoredRow } from '../meta-rows/meta-rows.ts'
import type { CopiedRow, RowsPage } from './contract.ts'
import type { ReplicaDrive } from './replica-drive.ts'

/** Whose rows are read. */
export interface RowsSource {
  drive: Pick<ReplicaDrive, 'cursor' | 'appliedIn'>
  slot: () => number
  /** Calls back between two changes of the rows. */
  see: (look: () => void) => void
  /** A row is rotten, or can not be read. */
  onBadRow?: ((why: string) => void) | undefined
}

interface Snapshot {
  slot: number
  position: LogPosition
  cursor: StoredCursor
}

// Rows of a page: as many as make up so much, asked for in such portions.
const PAGE_BYTES = kibibytes(512)
const PORTION_ROWS = 256

/** Pages of rows, until the signal aborts. Throws at a row that is rotten. */
export async function* readRows(source: RowsSource, signal: AbortSignal): AsyncGenerator<RowsPage> {
  const { slot, position, cursor } = await takeSnapshot(source, signal)
  try {
    let rows: CopiedRow[] = []
    let bytes = 0
    for (;;) {
      const stored = await readPortion(cursor, source, signal)
      for (const row of stored) {
        const { key } = row
        const value = openStoredRow(slot, row)
        if (value === undefined) throw badRow(source, 'its checksum is wrong')
        rows.push({ key, value })
        bytes += key.length + value.length
      }
      const isLast = stored.length < PORTION_ROWS
      if (!isLast && bytes < PAGE_BYTES) continue
      yield { position, rows }
      if (isLast) return
      rows = []
      bytes = 0
    }
  } finally {
    await cursor.close()
  }
}

async function readPortion(
  cursor: StoredCursor,
  source: RowsSource,
  signal: AbortSignal,
): Promise<StoredRow[]> {
  try {
    const stored = await cursor.next(PORTION_ROWS)
    signal.throwIfAborted()
    return stored
  } catch (error) {
    // LevelDB could not read on. Or the drive is closed, fails or has too much to do, or nobody waits: nothing is known of the rows then.
    if (signal.aborted || wasNotRead(error)) throw error
    throw badRow(source, String(error), error)
  }
}

function badRow({ onBadRow }: RowsSource, why: string, cause?: unknown): Error {
  onBadRow?.(why)
  return new Error(`a row that is to be copied is damaged: ${why}`, { cause })
}

/** A cursor of a LevelDB shows the rows as they were when it was made. */
function takeSnapshot({ drive, slot, see }: RowsSource, signal: AbortSignal): Promise<Snapshot> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason)
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    see(() => {
      signal.removeEventListener('abort', leave)
      if (signal.aborted) return
      const place = slot()
      const cursor = drive.cursor(place, { from: new Uint8Array() })
      resolve({ slot: place, position: drive.appliedIn(place), cursor })
    })
  })
}
