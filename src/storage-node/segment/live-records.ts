// Walks over the live records of all segments by their headers: what compaction copies and what a scrub reads.
import type { ShardDescription } from '../contract.ts'
import { type SegmentAccount, samePlace } from '../index/segment-accounts.ts'
import type { ShardLedger } from '../index/shard-ledger.ts'
import type { SegmentFiles } from './segment-files.ts'
import { type ScannedRecord, scanRecords } from './segment-scan.ts'

/** What knows which records are live, and the files that have them. `secret`: recordSecret() of the cluster. */
export interface LiveRecordParts {
  ledger: ShardLedger
  files: SegmentFiles
  secret: bigint
}

const CHUNK_RECORDS = 128

/** Descriptions of all shards that lie in segments. */
export async function* scanLiveRecords(parts: LiveRecordParts): AsyncGenerator<ShardDescription> {
  for (const account of [...parts.ledger.accounts.values()]) {
    for await (const { description } of liveRecordsOf(account, parts)) yield description
  }
}

/** The records of one segment that the index names. */
export async function* liveRecordsOf(
  account: SegmentAccount,
  parts: LiveRecordParts,
): AsyncGenerator<ScannedRecord> {
  const source = parts.files.salvage(account.number, account.bytes)
  let chunk: ScannedRecord[] = []
  for await (const record of scanRecords(source, parts.secret)) {
    chunk.push(record)
    if (chunk.length < CHUNK_RECORDS) continue
    yield* keepLive(account, chunk, parts)
    chunk = []
  }
  yield* keepLive(account, chunk, parts)
}

async function* keepLive(
  account: SegmentAccount,
  chunk: ScannedRecord[],
  { ledger }: LiveRecordParts,
): AsyncGenerator<ScannedRecord> {
  const rows = await ledger.lookupMany(chunk.map((record) => record.description.id))
  for (const [at, record] of chunk.entries()) {
    const place = { segment: account.number, offset: record.offset }
    if (samePlace(rows[at], place)) yield record
  }
}
