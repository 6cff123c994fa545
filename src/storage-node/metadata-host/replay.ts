// Gives a replica what it lacks at a start: entries to its log, then their changes to its rows.
import { decodeBatch, type EntryHead, nameOfPosition } from '../../metadata/log/entry.ts'
import type { ReplicaPlan } from '../../metadata/log/recovery.ts'
import type { Replica } from '../../placement/coordinator.ts'
import type { HostDrive } from './drive.ts'
import type { StartDrive } from './evidence.ts'

// How many bytes of batches are applied at once.
const REPLAY_BYTES = 1024 * 1024
// How many entries a replica that lacks them is given at once.
const APPENDED_AT_ONCE = 64

/** Gives batches of one replica's log. */
export interface RecordSource {
  driveId: number
  read(entry: EntryHead): Promise<Uint8Array> | undefined
}

/** The log of one replica as a source. */
export function recordSource(replica: Replica, { host, records }: StartDrive): RecordSource {
  const found = records.get(replica.incarnation) ?? []
  const byPosition = new Map(found.map((record) => [nameOfPosition(record), record]))
  return {
    driveId: replica.driveId,
    read: (entry) => {
      const record = byPosition.get(nameOfPosition(entry))
      return record && host.log.readFound(record)
    },
  }
}

/** A replica of partition `id` to be made whole. `chain`: entries up to the tip, as far back as any replica needs them. */
export interface Mending {
  id: number
  replica: Replica
  plan: ReplicaPlan<Replica> & { kind: 'mend' }
  chain: readonly EntryHead[]
}

/** Makes one replica whole. */
export async function mendReplica(
  what: Mending,
  host: HostDrive,
  sources: readonly RecordSource[],
): Promise<void> {
  const { id, replica, plan, chain } = what
  const own = sources.filter(({ driveId }) => driveId === replica.driveId)
  const ordered = [...own, ...sources.filter(({ driveId }) => driveId !== replica.driveId)]
  for (let at = 0; at < plan.lacks.length; at += APPENDED_AT_ONCE) {
    const group = plan.lacks.slice(at, at + APPENDED_AT_ONCE)
    await Promise.all(
      group.map(async (entry) =>
        host.log.append(
          { ...bare(entry), partition: id, incarnation: replica.incarnation },
          await readBatch(entry, ordered),
        ),
      ),
    )
  }
  if (plan.from.sequence === 0) await host.clear(id)
  host.attach(id, replica.incarnation, plan.from)
  const missing = chain.filter(({ sequence }) => sequence > plan.from.sequence)
  await replay({ id, replica, host }, missing, (entry) => readBatch(entry, ordered))
}

/** Without what else an object that stands for an entry may carry. */
function bare({ epoch, sequence, prevEpoch, committed }: EntryHead): EntryHead {
  return { epoch, sequence, prevEpoch, committed }
}

async function replay(
  { id, replica, host }: { id: number; replica: Replica; host: HostDrive },
  entries: readonly EntryHead[],
  read: (entry: EntryHead) => Promise<Uint8Array>,
): Promise<void> {
  let group: Uint8Array[] = []
  let bytes = 0
  for (const [index, entry] of entries.entries()) {
    const batch = await read(entry)
    group.push(batch)
    bytes += batch.length
    if (bytes < REPLAY_BYTES && index < entries.length - 1) continue
    const applied = { epoch: entry.epoch, sequence: entry.sequence }
    const { incarnation } = replica
    await host.apply(id, { incarnation, applied }, { batches: group.map(decodeBatch), bytes })
    group = []
    bytes = 0
  }
}

async function readBatch(entry: EntryHead, sources: readonly RecordSource[]): Promise<Uint8Array> {
  let failure: unknown
  for (const source of sources) {
    try {
      const batch = await source.read(entry)
      if (batch !== undefined) return batch
    } catch (error) {
      failure = error // Another replica may have it.
    }
  }
  throw new Error(`entry ${entry.epoch}/${entry.sequence} can not be read`, { cause: failure })
}
