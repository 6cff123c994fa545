// Everything that a replica would lead on with, for a recovery: its rows as of one position, then what its log has behind that.
import { kibibytes } from '../../kit/bytes.ts'
import { decodeBatch, type LogEntry } from '../../metadata/log/entry.ts'
import { type LogTail, positionOf } from '../../metadata/replication/log-tail.ts'
import type { ChangesPage } from './contract.ts'
import { type RowsSource, readRows } from './serve-rows.ts'

/** Whose rows and log are read. */
export interface WholeSource extends RowsSource {
  tail: () => Pick<LogTail, 'between' | 'last'>
}

const PAGE_ENTRIES = 1024
const PAGE_BYTES = kibibytes(512)

/** Pages of changes, each to be made after those before it. Throws at a row that is rotten. */
export async function* readToEnd(
  source: WholeSource,
  signal: AbortSignal,
): AsyncGenerator<ChangesPage> {
  let behind: LogEntry[] = []
  const { drive, slot, tail } = source
  const see = (look: () => void): void =>
    source.see(() => {
      look()
      behind = tail().between(drive.appliedIn(slot()).sequence, tail().last.sequence)
    })
  for await (const { position, rows } of readRows({ ...source, see }, signal)) {
    yield { position, changes: [...rows] }
  }
  for (const entries of inPortions(behind)) {
    const position = positionOf(entries.at(-1)!)
    yield { position, changes: entries.flatMap(({ batch }) => decodeBatch(batch)) }
  }
}

function* inPortions(entries: readonly LogEntry[]): Generator<LogEntry[]> {
  let portion: LogEntry[] = []
  let bytes = 0
  for (const entry of entries) {
    portion.push(entry)
    bytes += entry.batch.length
    if (portion.length < PAGE_ENTRIES && bytes < PAGE_BYTES) continue
    yield portion
    portion = []
    bytes = 0
  }
  if (portion.length > 0) yield portion
}
