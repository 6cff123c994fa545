// What the log of a drive still has of one replica, for a recovery, while the drive is in use. Nothing is changed.
import type { LogEntry } from '../../metadata/log/entry.ts'
import type { DriveLog } from '../metalog/drive-log.ts'
import { RecordKind } from '../metalog/record.ts'
import { readSealedFile, type WholeRecord } from '../metalog/scan-file.ts'
import type { LeftLogPage } from './contract.ts'
import { inPortions } from './entry-portions.ts'
import { LeftEntries } from './left-entries.ts'
import { decodeReplicaState } from './replica-state.ts'

/** Whose log it is, and how much of it is wanted. */
export interface LeftLogRequest {
  incarnation: string
  /** Entries up to this sequence are not wanted. */
  after: number
  /** Something of it was seen once up to this sequence. */
  reached: number
}

/**
 * Pages of entries, in the end; an empty one comes after every file that was read, for there may be many. A group that is being written counts
 * as not written.
 */
export async function* readLeftLog(
  { incarnation, after, reached }: LeftLogRequest,
  log: Pick<DriveLog, 'readFiles'>,
): AsyncGenerator<LeftLogPage> {
  const left = new LeftEntries(after)
  for await (const { bytes, salt } of log.readFiles()) {
    for (const record of readSealedFile(bytes, salt)) take(record, incarnation, left)
    yield { isWhole: false, entries: [] }
  }
  yield* pagesOf(left.entries, left.isWhole(reached))
}

/** At least one. */
export function* pagesOf(entries: readonly LogEntry[], isWhole: boolean): Generator<LeftLogPage> {
  if (entries.length === 0) yield { isWhole, entries }
  for (const portion of inPortions(entries)) yield { isWhole, entries: portion }
}

function take({ record, batch, isBehindLoss }: WholeRecord, of: string, left: LeftEntries): void {
  if (isBehindLoss) left.doubt()
  const { kind, incarnation, epoch, sequence, prevEpoch, committed } = record
  if (incarnation !== of) return
  if (kind === RecordKind.ReplicaState) left.setState(decodeReplicaState(batch))
  else if (kind === RecordKind.ReplicatedEntry)
    left.entry({ epoch, sequence, prevEpoch, committed, batch })
}
