// Who leads a metadata partition and who holds it: the record of one partition and the changes that are allowed. Pure.
// A change is a compare-and-swap in etcd (partition-records.ts); what replicas promise each other is theirs to know.
import type { Replica } from '../coordinator.ts'

/** One metadata partition of a cluster. */
export interface PartitionRecord {
  /** Grows with every change but activation: of two primaries the one of the higher epoch holds. */
  epoch: number
  /** Random: names the change that made this record, for who asked for it and heard no answer. */
  id: string
  /** Absent until one of the replicas takes the lead. */
  primary?: Replica
  replicas: Replica[]
  /**
   * The last set that was activated, while `replicas` is not: recovery and commit need majorities of both. It stays the same
   * over a chain of sets none of which was activated.
   */
  previous?: Replica[]
  /**
   * Its epoch before etcd was restored (restore-coordinator.ts), until somebody leads again. Its replicas have lived: one that
   * is missing is lost, and is not made anew under its name.
   */
  restoredFrom?: number
  /**
   * A recovery began with it: nobody leads in this epoch, and replicas take nothing more of a primary before it. Until somebody leads again, or
   * the recovery puts another set in its place.
   */
  isFenced?: true
}

/** What is left out has to be given by who writes the record. */
export type NextRecord = Omit<PartitionRecord, 'id'>

/** The record of a new partition. Epochs are numbers of up to 53 bits: a restore lifts them by 2³² and more. */
export function firstRecord(replicas: readonly Replica[], epoch: number): NextRecord {
  return { epoch, replicas: [...replicas] }
}

/** Nothing can have been committed, so a replica that is missing has never been. */
export function neverLed({ primary, previous, restoredFrom }: PartitionRecord): boolean {
  return primary === undefined && previous === undefined && restoredFrom === undefined
}

/**
 * The same set in a new epoch in which nobody leads. Where a majority of it lives one of them takes the lead, by another record: so whoever
 * changes this very one knows that nothing was acknowledged since its replicas knew of it.
 */
export function fence(record: PartitionRecord): NextRecord {
  const { primary: _primary, ...rest } = withoutId(record)
  return { ...rest, epoch: record.epoch + 1, restoredFrom: record.epoch, isFenced: true }
}

/** A replica becomes primary in a new epoch; undefined unless it is one of the set. */
export function takeLead(record: PartitionRecord, replica: Replica): NextRecord | undefined {
  if (!holds(record.replicas, replica)) return undefined
  return { ...withoutId(record), epoch: record.epoch + 1, primary: replica }
}

/** Whether those on drives that are there are a majority of every set that counts: without that nothing is read or written. */
export function hasMajority(
  { replicas, previous }: Pick<PartitionRecord, 'replicas' | 'previous'>,
  isThere: (driveId: number) => boolean,
): boolean {
  const sets = previous === undefined ? [replicas] : [replicas, previous]
  return sets.every((set) => set.filter(({ driveId }) => isThere(driveId)).length * 2 > set.length)
}

/** Drives and incarnations are compared: a replica that was made anew is another one. */
export function holds(replicas: readonly Replica[], { driveId, incarnation }: Replica): boolean {
  return replicas.some((known) => known.driveId === driveId && known.incarnation === incarnation)
}

/** What a restore left in it goes with the next change, too. */
function withoutId({ epoch, primary, replicas, previous }: PartitionRecord): NextRecord {
  return {
    epoch,
    ...(primary ? { primary } : {}),
    replicas,
    ...(previous ? { previous } : {}),
  }
}
