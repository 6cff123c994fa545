// Everything that a replica would lead on with, for a recovery: its rows as of one position, then what its log has behind that.
import { decodeBatch, type LogEntry } from '../../metadata/log/entry.ts'
import { type LogTail, positionOf } from '../../metadata/replication/log-tail.ts'
import type { ChangesPage } from './contract.ts'
import { inPortions } from './entry-portions.ts'
import { type RowsSource, readRows } from './serve-rows.ts'

/** Whose rows and log are read. */
export interface WholeSource extends RowsSource {
  tail: () => Pick<LogTail, 'between' | 'last'>
}

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
