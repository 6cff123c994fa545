// Reads what the log of a drive still has of every replica on it, before the log is opened to be written.
import { listIfThere } from '../../kit/files.ts'
import type { World } from '../../kit/world.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import { RecordKind } from '../metalog/record.ts'
import { parseLogFileName, readSealedFile, type WholeRecord } from '../metalog/scan-file.ts'
import { ReplicaHistory } from './replica-history.ts'
import { decodeReplicaState } from './replica-state.ts'

/** A replica of which there are records. */
export interface LoggedReplica {
  partition: number
  incarnation: string
  history: ReplicaHistory
}

/** What a drive's log says. */
export interface LogReading {
  /** By incarnation. */
  replicas: Map<string, LoggedReplica>
  /** Files in which something durable was lost. */
  rottenFiles: string[]
}

/** Reads all files in their order. `floorOf`: up to where rows surely hold the entries of a replica. */
export async function readLog(
  drive: MetaDrive,
  { disk }: Pick<World, 'disk'>,
  floorOf: (incarnation: string) => number,
): Promise<LogReading> {
  const reading: LogReading = { replicas: new Map(), rottenFiles: [] }
  const directory = `${drive.path}/metalog`
  for (const name of (await drive.run(() => listIfThere({ disk }, directory))).sort()) {
    const parsed = parseLogFileName(name)
    if (parsed === undefined) continue
    const bytes = await drive.run(() => disk.readFile(`${directory}/${name}`))
    const records = readSealedFile(bytes, parsed.salt)
    for (const record of records) {
      if (record.isBehindLoss) doubtAll(reading)
      takeRecord(record, reading, floorOf)
    }
    if (records.some(({ isBehindLoss }) => isBehindLoss)) reading.rottenFiles.push(name)
  }
  return reading
}

/** Nobody knows whose record was lost. */
function doubtAll({ replicas }: LogReading): void {
  for (const { history } of replicas.values()) history.doubt()
}

function takeRecord(
  { record, batch }: WholeRecord,
  { replicas }: LogReading,
  floorOf: (incarnation: string) => number,
): void {
  const { kind, partition, incarnation, epoch, sequence, prevEpoch, committed } = record
  if (kind !== RecordKind.ReplicatedEntry && kind !== RecordKind.ReplicaState) return
  const known = replicas.get(incarnation)
  const history = known?.history ?? new ReplicaHistory(floorOf(incarnation))
  if (known === undefined) replicas.set(incarnation, { partition, incarnation, history })
  if (kind === RecordKind.ReplicaState) history.setState(decodeReplicaState(batch))
  else history.entry({ epoch, sequence, prevEpoch, committed, batch })
}
