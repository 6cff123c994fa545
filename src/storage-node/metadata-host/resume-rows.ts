// LevelDB takes no more changes once it had no room for one, even when there is room again (leveldb#865): it is opened
// anew then, and given again what the log has above the last marker. Nothing of it is believed but what was marked.

import type { LogPosition } from '../../metadata/log/contract.ts'
import type { EntryHead } from '../../metadata/log/entry.ts'
import { decodeBatch } from '../../metadata/log/entry.ts'
import type { MetaRows } from '../meta-rows/meta-rows.ts'
import type { DriveLog } from '../metalog/drive-log.ts'
import type { FoundRecord } from '../metalog/log-files.ts'

/** A replica whose rows are to be made whole again. */
export interface ResumedReplica {
  partition: number
  incarnation: string
  /** The rows are known to be durable up to here. */
  marked: LogPosition
  /** Up to here they were applied. */
  applied: LogPosition
}

// How many bytes of batches are applied at once.
const REPLAY_BYTES = 1024 * 1024

/** Applies again what lies between the marker and what was applied. Throws when the log lacks any of it. */
export async function replayReplicas(
  replicas: readonly ResumedReplica[],
  { log, rows }: { log: DriveLog; rows: MetaRows },
): Promise<void> {
  const byIncarnation = new Map(replicas.map((replica) => [replica.incarnation, replica]))
  const found = await log.findAgain(({ incarnation, sequence }) => {
    const replica = byIncarnation.get(incarnation)
    if (replica === undefined) return false
    return sequence > replica.marked.sequence && sequence <= replica.applied.sequence
  })
  try {
    for (const replica of replicas) {
      await replayOne(replica, newestOf(replica, found), { log, rows })
    }
  } finally {
    log.endReading()
  }
}

/** One record for each sequence: the log may hold one of an older epoch that was never committed. */
function newestOf({ incarnation, marked, applied }: ResumedReplica, found: readonly FoundRecord[]) {
  const newest = new Map<number, FoundRecord>()
  for (const record of found) {
    if (record.incarnation !== incarnation) continue
    const known = newest.get(record.sequence)
    if (known === undefined || known.epoch <= record.epoch) newest.set(record.sequence, record)
  }
  const records: FoundRecord[] = []
  for (let sequence = marked.sequence + 1; sequence <= applied.sequence; sequence += 1) {
    const record = newest.get(sequence)
    if (record === undefined) throw new Error(`the log lacks entry ${sequence} of ${incarnation}`)
    records.push(record)
  }
  return records
}

async function replayOne(
  { partition, incarnation }: ResumedReplica,
  records: readonly FoundRecord[],
  { log, rows }: { log: DriveLog; rows: MetaRows },
): Promise<void> {
  let group: Uint8Array[] = []
  let bytes = 0
  for (const [index, record] of records.entries()) {
    const batch = await log.readFound(record)
    group.push(batch)
    bytes += batch.length
    if (bytes < REPLAY_BYTES && index < records.length - 1) continue
    const status = { incarnation, applied: positionOf(record) }
    await rows.apply(partition, status, group.map(decodeBatch))
    group = []
    bytes = 0
  }
}

function positionOf({ epoch, sequence }: Pick<EntryHead, 'epoch' | 'sequence'>): LogPosition {
  return { epoch, sequence }
}
