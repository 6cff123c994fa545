// Entries of a log, a page of a message at a time.
import { kibibytes } from '../../kit/bytes.ts'
import type { LogEntry } from '../../metadata/log/entry.ts'

const PAGE_ENTRIES = 1024
const PAGE_BYTES = kibibytes(512)

/** Portions in their order, none of them empty. One ends with the entry that makes it long enough. */
export function* inPortions(entries: readonly LogEntry[]): Generator<LogEntry[]> {
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
