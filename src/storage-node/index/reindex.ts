// Makes the index rows of one segment from the segment itself: at start for segments that were not sealed,
// and for all of them when the index was lost. Deleted records may come back to life so: they are garbage, never wrong.
// Where sectors can not be read the others are entered all the same, and nothing is concluded from what was not seen.

import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { ShardId } from '../contract.ts'
import type { Drive } from '../drive.ts'
import { findRecordDamage, type RecordPlace } from '../segment/record-format.ts'
import type { Salvage } from '../segment/salvage.ts'
import type { SegmentFiles } from '../segment/segment-files.ts'
import { type ScannedRecord, scanRecords } from '../segment/segment-scan.ts'
import { RowChanges } from './row-changes.ts'
import {
  applyEvents,
  isEarlier,
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
  /** Hears of every sector that can not be read; what it throws ends the scan. */
  onHole(): void
}

/** What a scan found. `torn`: records of the last group that are not whole and that no row knows: never acknowledged. */
export interface Reindexed {
  records: number
  torn: number
  /** Where the drive could not read there may be records that have no row now. */
  isPartly: boolean
}

const CHUNK_RECORDS = 1024

/** Enters the records of `account`'s segment. `tailTrusted`: nothing at its end can be torn. */
export async function reindexSegment(
  account: SegmentAccount,
  parts: ReindexParts,
  options: { tailTrusted: boolean },
): Promise<Reindexed> {
  const source = parts.files.salvage(account.number, account.bytes, parts.onHole)
  const { records, hasGaps } = await collectRecords(source, parts.secret)
  for (const { id } of records) parts.onRecord(id)
  const dead = await parts.index.deadOffsets(account.number)
  // Every group but the last was synced before the next one began, so only the last can be torn.
  const lastGroup = records.reduce((last, record) => Math.max(last, record.groupOffset), 0)
  const found: Reindexed = { records: records.length, torn: 0, isPartly: hasGaps }
  for (let from = 0; from < records.length; from += CHUNK_RECORDS) {
    const chunk = records.slice(from, from + CHUNK_RECORDS).filter((each) => !dead.has(each.offset))
    const rows = await parts.index.getMany(chunk.map((record) => record.id))
    const changes = new RowChanges()
    for (const [at, record] of chunk.entries()) {
      const suspect = !options.tailTrusted && record.offset >= lastGroup
      const place = { segment: account.number, offset: record.offset }
      const known = samePlace(rows[at], place)
      const state = suspect && !known ? await lookAtTail(record, source, lastGroup) : 'whole'
      if (state === 'torn') found.torn += 1
      else if (state === 'unknown' && takesPlace(place, changes.current(record.id, rows[at])))
        found.isPartly = true
      else changes.enter({ id: record.id, layout: record.layout, place }, rows[at])
    }
    await parts.index.write(changes.changes, { sync: true })
    applyEvents(parts.accounts, changes.events)
  }
  return found
}

/** Whether a record would make another one dead. One that may be torn must not: the other may be all that is whole. */
function takesPlace(place: RecordPlace, other: RecordPlace | undefined): boolean {
  return other !== undefined && isEarlier(other, place)
}

// As many errors of reads as a drive in service may have within ten minutes (docs/decisions/0009).
const MAX_HOLES = 8

/** For `onHole`: fails the drive when it has too many. Nobody else looks at it while its segments are scanned, and a dying disk takes hours. */
export function limitHoles(drive: Pick<Drive, 'id' | 'fail'>): () => void {
  let holes = 0
  return () => {
    holes += 1
    if (holes <= MAX_HOLES) return
    const cause = new Error(`more than ${MAX_HOLES} sectors of its segments can not be read`)
    drive.fail(cause)
    throw new DriveUnavailable(drive.id, 'failed', { cause })
  }
}

/** A scanned record without its key and metadata: there may be many of them. */
type FoundRecord = Pick<ScannedRecord, 'offset' | 'layout' | 'groupOffset'> & {
  id: ScannedRecord['description']['id']
}

/** `hasGaps`: something between records, or behind them, can not be read. There may be others. */
async function collectRecords(
  source: Salvage,
  secret: bigint,
): Promise<{ records: FoundRecord[]; hasGaps: boolean }> {
  const records: FoundRecord[] = []
  let hasGaps = false
  let end = 0
  for await (const { description, layout, groupOffset, offset } of scanRecords(source, secret)) {
    records.push({ id: description.id, layout, groupOffset, offset })
    hasGaps ||= source.isUnread(end, offset)
    end = offset + layout.recordBytes
  }
  return { records, hasGaps: hasGaps || source.isUnread(end, source.bytes) }
}

/**
 * Of a record of the last group that was found. `unknown`: it is not whole, but some of it can not be read, or something behind
 * it can not: then its group need not be the last, and it may have been acknowledged.
 */
async function lookAtTail(
  { id, layout, offset }: FoundRecord,
  source: Salvage,
  lastGroup: number,
): Promise<'whole' | 'torn' | 'unknown'> {
  const bytes = Buffer.allocUnsafe(layout.recordBytes)
  const count = await source.read(bytes, offset)
  if (findRecordDamage(bytes.subarray(0, count), id, layout) === undefined) return 'whole'
  return source.isUnread(lastGroup, source.bytes) ? 'unknown' : 'torn'
}
