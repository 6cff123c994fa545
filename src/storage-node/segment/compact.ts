// Gives back the space of dead records: copies what is alive in a segment to the open one.
// A record that does not verify is never rewritten: it stays where it is until it is repaired or deleted.
import { mebibytes } from '../../kit/bytes.ts'
import type { Log } from '../../kit/log.ts'
import type { SegmentAccount } from '../index/segment-accounts.ts'
import type { Appender, NewRecord } from './appender.ts'
import { type LiveRecordParts, liveRecordsOf } from './live-records.ts'
import { findRecordDamage, parseHeader } from './record-format.ts'
import type { ScannedRecord } from './segment-scan.ts'

/** What knows and reads live records, and the appender that writes their copies. */
export interface CompactParts extends LiveRecordParts {
  appender: Appender
  log: Log
}

/** What a compaction did. `damaged`: live records that were left because they do not verify. */
export interface Compacted {
  segment: number
  copied: number
  damaged: number
}

/** Below this share of live bytes a segment is worth copying. */
export const COMPACT_BELOW = 0.5

/** Likewise where space is short. */
export const COMPACT_TIGHT_BELOW = 0.75

// Copies under way at once: enough to share syncs, little enough for memory.
const BATCH_BYTES = mebibytes(2)

/** The sealed segment with the smallest share of live bytes, if that is below `below`. */
export function chooseSegment(
  accounts: Iterable<SegmentAccount>,
  below = COMPACT_BELOW,
): SegmentAccount | undefined {
  let best: SegmentAccount | undefined
  for (const account of accounts) {
    if (account.state !== 'sealed' || account.stuck || account.live === 0) continue
    if (best === undefined || share(account) < share(best)) best = account
  }
  return best !== undefined && share(best) < below ? best : undefined
}

/** Copies the live records of a segment. Afterwards none is alive in it, or it is stuck. */
export async function compactSegment(
  account: SegmentAccount,
  parts: CompactParts,
): Promise<Compacted> {
  const result = { segment: account.number, copied: 0, damaged: 0 }
  let batch: NewRecord[] = []
  for await (const record of liveRecordsOf(account, parts)) {
    const copy = await readVerified(account, record, parts)
    if (copy === undefined) result.damaged += 1
    else batch.push(copy)
    if (totalBytes(batch) < BATCH_BYTES) continue
    await appendAll(batch, parts, result)
    batch = []
  }
  await appendAll(batch, parts, result)
  // What is still alive has a damaged header, which no scan finds, or damaged cells.
  account.stuck = account.live > 0
  if (account.stuck) parts.log.warn(result, 'a segment keeps shards that do not verify')
  return result
}

async function appendAll(
  batch: NewRecord[],
  { appender }: CompactParts,
  result: Compacted,
): Promise<void> {
  await Promise.all(batch.map((copy) => appender.append(copy)))
  result.copied += batch.length
}

async function readVerified(
  account: SegmentAccount,
  { description, layout, offset }: ScannedRecord,
  { files, secret, log }: CompactParts,
): Promise<NewRecord | undefined> {
  const { id } = description
  const copyOf = { segment: account.number, offset }
  const bytes = Buffer.allocUnsafeSlow(layout.recordBytes)
  const count = await files.salvage(account.number, account.bytes).read(bytes, offset)
  // The header is looked at again, for its checksum is made anew in the copy: rot must not get a fresh one.
  const whole = parseHeader(bytes.subarray(0, count), secret, copyOf).kind === 'header'
  const damage = whole ? findRecordDamage(bytes.subarray(0, count), id, layout) : 'its header'
  if (damage === undefined) return { id, layout, parts: [bytes], copyOf }
  log.warn({ ...copyOf, id, damage }, 'a shard does not verify')
  return undefined
}

function totalBytes(batch: NewRecord[]): number {
  return batch.reduce((sum, { layout }) => sum + layout.recordBytes, 0)
}

function share(account: SegmentAccount): number {
  return account.liveBytes / Math.max(1, account.bytes)
}
