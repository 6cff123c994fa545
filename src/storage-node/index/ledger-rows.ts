// What the ledger writes and counts, row by row.
import type { ShardId } from '../contract.ts'
import type { IndexEntry } from './index-rows.ts'
import { recordBytesOf, type SegmentAccount } from './segment-accounts.ts'
import type { IndexChange, ShardIndex } from './shard-index.ts'

const CHUNK_ROWS = 2048

/** Counts a row in the account of its segment. */
export function countEntry(account: SegmentAccount, entry: IndexEntry): void {
  if (entry.kind === 'shard') {
    account.live += 1
    account.liveBytes += recordBytesOf(entry.row)
  } else account.dead += 1
}

/** Writes the mark that a segment is sealed. */
export async function markSealed(index: ShardIndex, account: SegmentAccount): Promise<void> {
  const records = account.live + account.dead
  const mark: IndexChange = { put: { kind: 'sealed', segment: account.number, records } }
  await index.write([mark], { sync: true })
  if (account.state !== 'retired') account.state = 'sealed'
}

/** Writes the rows of shards once more, synced, as far as they are in the segment. */
export async function rewriteRows(
  index: ShardIndex,
  segment: number,
  ids: ShardId[],
): Promise<void> {
  const rows = await index.getMany(ids)
  const changes: IndexChange[] = []
  for (const [at, row] of rows.entries()) {
    if (row?.segment === segment) changes.push({ put: { kind: 'shard', id: ids[at]!, row } })
  }
  await index.write(changes, { sync: true })
}

/** Removes what is noted of a segment; with `keepNumber` all but that there was one of its number. */
export async function dropSegment(
  index: ShardIndex,
  segment: number,
  { keepNumber }: { keepNumber: boolean },
): Promise<void> {
  const notes: IndexChange[] = []
  for (const offset of await index.deadOffsets(segment)) {
    notes.push({ removeDead: { segment, offset } })
  }
  const last: IndexChange = keepNumber
    ? { put: { kind: 'sealed', segment, records: 0 } }
    : { remove: { kind: 'sealed', segment } }
  await writeInChunks(index, [...notes, last])
}

/** Writes changes, synced, some at a time. */
export async function writeInChunks(index: ShardIndex, changes: IndexChange[]): Promise<void> {
  for (let from = 0; from < changes.length; from += CHUNK_ROWS) {
    await index.write(changes.slice(from, from + CHUNK_ROWS), { sync: true })
  }
}

/** The segment that a row is about. */
export function segmentOf(entry: IndexEntry): number {
  if (entry.kind === 'shard') return entry.row.segment
  return entry.kind === 'sealed' ? entry.segment : entry.place.segment
}

/** The change that removes a row. */
export function removalOf(entry: IndexEntry): IndexChange {
  switch (entry.kind) {
    case 'shard':
      return { remove: { kind: 'shard', id: entry.id } }
    case 'sealed':
      return { remove: { kind: 'sealed', segment: entry.segment } }
    default:
      return { removeDead: entry.place }
  }
}
