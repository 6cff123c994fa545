// What a start finds of each replica: how far its rows surely go, how far they say they go, which entries are intact.
import type { LogPosition } from '../../metadata/log/contract.ts'
import { BEGINNING, type EntryHead } from '../../metadata/log/entry.ts'
import type { ReplicaEvidence } from '../../metadata/log/recovery.ts'
import type { ClusterState, MetaPartitionState, Replica } from '../../placement/coordinator.ts'
import type { MetaRows } from '../meta-rows/meta-rows.ts'
import type { RowsVerdict } from '../meta-rows/open.ts'
import type { Marker, ReplicaStatus } from '../meta-rows/status.ts'
import type { FoundRecord, IsNeeded } from '../metalog/log-files.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import type { HostDrive } from './drive.ts'

/** The rows of a drive and what they say. */
export interface StartRows {
  drive: MetaDrive
  rows: MetaRows
  verdict: RowsVerdict
  /** False when its tables are too large to be checked at the start. */
  checked: boolean
  marker: Marker | undefined
  statuses: ReadonlyMap<number, ReplicaStatus>
}

/** A drive and what was found on it. */
export interface StartDrive extends StartRows {
  host: HostDrive
  /** Intact records that may be needed, by incarnation. */
  records: ReadonlyMap<string, FoundRecord[]>
}

/** Which records a start needs: those of in-sync replicas above the lowest position that rows of their partition surely hold. */
export function neededRecords(
  state: ClusterState,
  drives: ReadonlyMap<number, StartRows>,
): IsNeeded {
  const floors = new Map<string, number>()
  for (const [id, partition] of state.metaPartitions.entries()) {
    const bases = partition.inSync.flatMap((replica) => {
      const drive = drives.get(replica.driveId)
      const base = drive && findBase(replica, { id, state: partition }, drive)
      if (base === undefined) return []
      return drive?.verdict.kind === 'replay-all' ? [0] : [base.sequence]
    })
    const floor = bases.length === 0 ? 0 : Math.min(...bases)
    for (const { incarnation } of partition.inSync) floors.set(incarnation, floor)
  }
  return ({ incarnation, sequence }) => {
    const floor = floors.get(incarnation)
    return floor !== undefined && sequence > floor
  }
}

/** What one in-sync replica still has. */
export function gatherEvidence(
  replica: Replica,
  { id, state }: { id: number; state: MetaPartitionState },
  drive: StartDrive,
): ReplicaEvidence<Replica> {
  const status = drive.statuses.get(id)
  const claimed = status?.incarnation === replica.incarnation ? status.applied : undefined
  const entries = drive.records.get(replica.incarnation) ?? []
  const proven = findBase(replica, { id, state }, drive)
  // LevelDB admits to have dropped something: as much as there is is applied again.
  const replayAll = drive.verdict.kind === 'replay-all'
  const base = proven && replayAll ? oldestBefore(proven, entries) : proven
  return { id: replica, base, claimed, entries }
}

function findBase(
  { incarnation }: Replica,
  { id, state }: { id: number; state: MetaPartitionState },
  { marker, verdict }: StartRows,
): LogPosition | undefined {
  if (verdict.kind === 'suspect') return undefined
  const marked = marker?.find((one) => one.partition === id && one.incarnation === incarnation)
  // A partition that was never started is empty, and that is right.
  if (marked === undefined) return state.epoch === 0 ? BEGINNING : undefined
  // The marker before last: LevelDB may have lost what it should not have (docs/formats/metadata-log.md, meta.db).
  return marked.previous
}

/** The oldest position from which the log leads to `position` without a hole. */
function oldestBefore(position: LogPosition, entries: readonly EntryHead[]): LogPosition {
  const bySequence = new Map(entries.map((entry) => [entry.sequence, entry]))
  let oldest = position
  for (;;) {
    const entry = bySequence.get(oldest.sequence)
    if (entry === undefined || entry.epoch !== oldest.epoch) return oldest
    oldest = { epoch: entry.prevEpoch, sequence: entry.sequence - 1 }
  }
}
