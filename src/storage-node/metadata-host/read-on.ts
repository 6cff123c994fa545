// What logs of a lost partition still have behind a dump: entries that lead on from it without a hole, whichever replica
// has them. So a dump that is days old is as new as the logs are, where these outlived the rows.
import type { LogPosition, RowBatch } from '../../metadata/log/contract.ts'
import { decodeBatch, type EntryHead, nameOfPosition } from '../../metadata/log/entry.ts'
import { chainAfter } from '../../metadata/log/recovery.ts'
import type { Replica } from '../../placement/coordinator.ts'
import type { DriveLog } from '../metalog/drive-log.ts'
import type { FoundRecord } from '../metalog/log-files.ts'

/** The batches of all entries that follow `position`, in order. Throws when one rots while it is read. */
export async function* readOn(
  position: LogPosition,
  replicas: readonly Replica[],
  logOf: (driveId: number) => DriveLog | undefined,
): AsyncGenerator<RowBatch> {
  const sources: Source[] = []
  for (const { driveId, incarnation } of replicas) {
    const log = logOf(driveId)
    const found = await log?.findAgain(
      (record) => record.incarnation === incarnation && record.sequence > position.sequence,
    )
    if (log && found)
      sources.push({ log, found: new Map(found.map((one) => [nameOfPosition(one), one])) })
  }
  try {
    for (const entry of chainAfter(
      position,
      sources.map(({ found }) => [...found.values()]),
    ))
      yield decodeBatch(await readEntry(entry, sources))
  } finally {
    for (const { log } of sources) log.endReading()
  }
}

interface Source {
  log: DriveLog
  found: ReadonlyMap<string, FoundRecord>
}

async function readEntry(entry: EntryHead, sources: readonly Source[]): Promise<Uint8Array> {
  let failure: unknown
  for (const { log, found } of sources) {
    const record = found.get(nameOfPosition(entry))
    try {
      if (record) return await log.readFound(record)
    } catch (error) {
      failure = error // Another replica may have it.
    }
  }
  throw new Error(`entry ${nameOfPosition(entry)} can not be read`, { cause: failure })
}
