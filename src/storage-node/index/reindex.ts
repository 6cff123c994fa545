// Makes the index rows of one segment from the segment itself: at start for segments that were not sealed,
// and for all of them when the index was lost. Deleted records may come back to life so: they are garbage, never wrong.

import type { ShardId } from '../contract.ts'
import { findRecordDamage } from '../segment/record-format.ts'
import type { SegmentFiles } from '../segment/segment-files.ts'
import { type ScannedRecord, type ScanSource, scanRecords } from '../segment/segment-scan.ts'
import { RowChanges } from './row-changes.ts'
import {
  applyEvents,
  type SegmentAccount,
  type SegmentAccounts,
  samePlace,
} from './segment-accounts.ts'
import type { ShardIndex } from './shard-index.ts'

/** Where records are read, and where their rows and counts go. `secret`: recordSecret() of the cluster. */
export interface ReindexParts {
  index: ShardIndex
  files: SegmentFiles
  accounts: SegmentAccounts
  secret: bigint
  /** Hears of every record that is found. */
  onRecord(id: ShardId): void
}

/** What a scan found. `torn`: records of the last group that are not whole and that no row knows: never acknowledged. */
export interface Reindexed {
  records: number
  torn: number
}

const CHUNK_RECORDS = 1024

/** Enters the records of `account`'s segment. `tailTrusted`: nothing at its end can be torn. */
export async function reindexSegment(
  account: SegmentAccount,
  parts: ReindexParts,
  options: { tailTrusted: boolean },
): Promise<Reindexed> {
  const source = parts.files.source(account.number, account.bytes)
  const records = await collectRecords(source, parts.secret)
  for (const { id } of records) parts.onRecord(id)
  const dead = await parts.index.deadOffsets(account.number)
  // Every group but the last was synced before the next one began, so only the last can be torn.
  const lastGroup = records.reduce((last, record) => Math.max(last, record.groupOffset), 0)
  let torn = 0
  for (let from = 0; from < records.length; from += CHUNK_RECORDS) {
    const chunk = records.slice(from, from + CHUNK_RECORDS).filter((each) => !dead.has(each.offset))
    const rows = await parts.index.getMany(chunk.map((record) => record.id))
    const changes = new RowChanges()
    for (const [at, record] of chunk.entries()) {
      const suspect = !options.tailTrusted && record.offset >= lastGroup
      const place = { segment: account.number, offset: record.offset }
      const known = samePlace(rows[at], place)
      if (suspect && !known && !(await isWhole(record, source))) torn += 1
      else changes.enter({ id: record.id, layout: record.layout, place }, rows[at])
    }
    await parts.index.write(changes.changes, { sync: true })
    applyEvents(parts.accounts, changes.events)
  }
  return { records: records.length, torn }
}

/** A scanned record without its key and metadata: there may be many of them. */
type FoundRecord = Pick<ScannedRecord, 'offset' | 'layout' | 'groupOffset'> & {
  id: ScannedRecord['description']['id']
}

async function collectRecords(source: ScanSource, secret: bigint): Promise<FoundRecord[]> {
  const found: FoundRecord[] = []
  for await (const { description, layout, groupOffset, offset } of scanRecords(source, secret)) {
    found.push({ id: description.id, layout, groupOffset, offset })
  }
  return found
}

async function isWhole({ id, layout, offset }: FoundRecord, source: ScanSource): Promise<boolean> {
  const bytes = Buffer.allocUnsafe(layout.recordBytes)
  const count = await source.read(bytes, offset)
  return findRecordDamage(bytes.subarray(0, count), id, layout) === undefined
}
