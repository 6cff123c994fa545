// Which metadata partitions of a cluster have lost the majority of their replicas, and what is left of them. Nothing is changed, and
// what does not answer is never taken for lost.
import type { LogPosition } from '../metadata/log/contract.ts'
import type { ReplicaId } from '../metadata/replication/decision.ts'
import { comparePositions } from '../metadata/replication/log-tail.ts'
import { parseReplicaId, replicaIdOf } from '../metadata/replication/replica-id.ts'
import type { Replica } from '../placement/coordinator.ts'
import { neverLed, type PartitionRecord } from '../placement/etcd/leadership.ts'
import type { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import type { ReplicaStanding } from '../storage-node/replicated/contract.ts'
import { NodeFailed, NodeUnreachable } from '../storage-node/rpc/trouble.ts'

/** A replica of the record. `closed` also stands for a node that does not answer. */
export interface SeenReplica {
  replica: ReplicaId
  /** Absent where no node has its drive any more. */
  node?: string
  standing: ReplicaStanding
}

/** A partition that nobody can lead as its record is. */
export interface LostPartition {
  partition: number
  record: PartitionRecord
  replicas: readonly SeenReplica[]
}

/** A replica that lives. */
export interface Survivor {
  replica: ReplicaId
  node: string
  /** Of its log. */
  end: LogPosition
}

/** The nodes that are asked how replicas stand. `nodeOf`: undefined for a drive that no node has. */
export interface LookParts {
  recovery: Pick<RemoteRecovery, 'standings' | 'fence'>
  nodeOf: (driveId: number) => string | undefined
}

/** Undefined when a majority lives, or when nothing was ever stored in it. */
export async function lookAtPartition(
  partition: number,
  record: PartitionRecord,
  parts: LookParts,
): Promise<LostPartition | undefined> {
  if (neverLed(record)) return undefined
  const ask = (node: string, replica: ReplicaId) =>
    parts.recovery.standings(node, partition, [replica])
  const lost = { partition, record, replicas: await askNodes(record, ask, parts) }
  return isWhole(lost) ? undefined : lost
}

/**
 * Tells the replicas of a record in which nobody leads of it, and how each stands from then on: the log of one that lives stays as it is. One that
 * could not be told counts as one that does not answer.
 */
export async function fencePartition(
  partition: number,
  record: PartitionRecord,
  parts: LookParts,
): Promise<LostPartition> {
  const { epoch } = record
  const ask = (node: string, replica: ReplicaId) =>
    parts.recovery.fence(node, { partition, epoch }, [replica])
  return { partition, record, replicas: await askNodes(record, ask, parts) }
}

/** Whether it can be led as its record is. */
export function isWhole({ record, replicas }: LostPartition): boolean {
  // One that is suspected votes and acknowledges like any other, and gets its rows anew while the partition serves.
  const living = new Set(
    replicas
      .filter(({ standing: { kind } }) => kind === 'lives' || kind === 'suspect')
      .map(({ replica }) => replica),
  )
  const sets = [record.replicas, ...(record.previous ? [record.previous] : [])]
  return sets.every((set) => 2 * countIn(set, living) > set.length)
}

/** Those that may have everything, and are not here. */
export function silentOf({ replicas }: LostPartition): SeenReplica[] {
  return replicas.filter(({ standing }) => standing.kind === 'closed')
}

/** Those that live, the one whose log goes furthest first: it has all that any of them has. None whose rows are not trusted. */
export function survivorsOf({ replicas }: LostPartition): Survivor[] {
  const living = replicas.flatMap(({ replica, node, standing }) =>
    standing.kind === 'lives' && node !== undefined ? [{ replica, node, end: standing.end }] : [],
  )
  return living.sort((left, right) => comparePositions(right.end, left.end))
}

/** What its node says of a replica. */
export async function standingOf(
  { partition, node, replica }: { partition: number; node: string; replica: ReplicaId },
  recovery: Pick<RemoteRecovery, 'standings'>,
): Promise<ReplicaStanding> {
  const [standing] = await recovery.standings(node, partition, [replica])
  return standing ?? { kind: 'closed' }
}

async function askNodes(
  record: PartitionRecord,
  ask: (node: string, replica: ReplicaId) => Promise<ReplicaStanding[]>,
  { nodeOf }: Pick<LookParts, 'nodeOf'>,
): Promise<SeenReplica[]> {
  const ids = [...new Set([...record.replicas, ...(record.previous ?? [])].map(replicaIdOf))]
  const seen = ids.map(async (replica): Promise<SeenReplica> => {
    const node = nodeOf(parseReplicaId(replica)!.driveId)
    if (node === undefined) return { replica, standing: { kind: 'gone' } }
    try {
      const [standing] = await ask(node, replica)
      return { replica, node, standing: standing ?? { kind: 'closed' } }
    } catch (error) {
      if (!(error instanceof NodeUnreachable || error instanceof NodeFailed)) throw error
      return { replica, node, standing: { kind: 'closed' } }
    }
  })
  return await Promise.all(seen)
}

function countIn(set: readonly Replica[], ids: ReadonlySet<ReplicaId>): number {
  return set.filter((replica) => ids.has(replicaIdOf(replica))).length
}
