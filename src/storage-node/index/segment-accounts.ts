// How much of every segment is alive. Kept in memory, counted from the index at start.
import { assert } from '../../kit/assert.ts'
import type { ShardId } from '../contract.ts'
import { layoutRecord, type RecordPlace } from '../segment/record-format.ts'
import type { ShardRow } from './index-rows.ts'

/** What is known of one segment file. */
export interface SegmentAccount {
  readonly number: number
  /** Bytes of the file that hold records. */
  bytes: number
  /** Records with a row, and their bytes. */
  live: number
  liveBytes: number
  /** Records with a dead note. */
  dead: number
  /**
   * open: the appender writes to it. ended: no more, but its rows may not be durable yet. sealed: they are.
   * retired: nothing in it is alive, the file waits for its last reader.
   */
  state: 'open' | 'ended' | 'sealed' | 'retired'
  retiredAtMs: number
  /** Open readers of shards in it. */
  readers: number
  /** A live record could not be moved: compaction leaves the segment alone. */
  stuck: boolean
  /**
   * Records may be in it that have no row, where the drive could not read when it was scanned. It is not sealed, so the next start
   * looks again, and it keeps its file.
   */
  isPartly: boolean
  /** The appender of this process began it, and it is not sealed yet. */
  awaitsSeal: boolean
  /** Shards whose rows may not be durable yet: written once more before it is sealed. */
  unsynced: ShardId[]
}

/** All segments of a drive by number. */
export type SegmentAccounts = Map<number, SegmentAccount>

/** One thing that happened to a record. Applied to the accounts once the index has it. */
export type RecordEvent = RecordPlace & {
  kind: 'born' | 'died' | 'stillborn'
  recordBytes: number
}

/** An account with nothing in it. */
export function newAccount(
  number: number,
  state: SegmentAccount['state'],
  bytes: number,
): SegmentAccount {
  return {
    number,
    bytes,
    live: 0,
    liveBytes: 0,
    dead: 0,
    state,
    retiredAtMs: 0,
    readers: 0,
    stuck: false,
    isPartly: false,
    awaitsSeal: state === 'open',
    unsynced: [],
  }
}

/** Bytes that the record of a row takes. */
export function recordBytesOf(row: ShardRow): number {
  return layoutRecord(row.headerBytes, row.cellBytes, row.shardBytes).recordBytes
}

/** Enters what happened. Records of segments that are gone are nobody's. */
export function applyEvents(accounts: SegmentAccounts, events: readonly RecordEvent[]): void {
  for (const event of events) {
    const account = accounts.get(event.segment)
    if (account === undefined) continue
    if (event.kind !== 'died') account[event.kind === 'born' ? 'live' : 'dead'] += 1
    if (event.kind === 'born') account.liveBytes += event.recordBytes
    if (event.kind === 'died') {
      account.live -= 1
      account.dead += 1
      account.liveBytes -= event.recordBytes
    }
    assert(account.live >= 0 && account.liveBytes >= 0, 'no record dies twice')
  }
}

/** Whether two places are the same. */
export function samePlace(left: RecordPlace | undefined, right: RecordPlace): boolean {
  return left !== undefined && left.segment === right.segment && left.offset === right.offset
}

/** Whether `left` was written before `right`. */
export function isEarlier(left: RecordPlace, right: RecordPlace): boolean {
  return (
    left.segment < right.segment || (left.segment === right.segment && left.offset < right.offset)
  )
}
