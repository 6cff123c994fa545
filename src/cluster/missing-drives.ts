// Which drives of a cluster can be asked, and which can not: what is made from dumps and shards lacks what those have. Nothing is given up
// that was not named.
import { Exit } from '../exit.ts'
import { parseReplicaId } from '../metadata/replication/replica-id.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import { NodeRefused, NodeUnreachable } from '../storage-node/rpc/trouble.ts'
import { type LostPartition, silentOf } from './lost-partitions.ts'

/** A drive of the map that can not be asked. */
export interface MissingDrive {
  driveId: number
  /** Absent: no node has it. */
  node?: string
  /** Its node does not answer, or answers and has not opened it. */
  why: 'node' | 'drive' | 'metadata'
}

/** The drives of the map, as they are found. */
export interface SeenDrives {
  /** Nodes that answer. */
  nodes: readonly string[]
  /** Whose shards and dumps can be read. */
  open: ReadonlySet<number>
  missing: readonly MissingDrive[]
}

/** The map, which says which drives there are, and the way to the nodes that have them. */
export interface LookAtDrivesParts {
  coordinator: Pick<Coordinator, 'state'>
  recovery: Pick<RemoteRecovery, 'drives'>
}

/** Asks all nodes of the map, also for drives that are out: they may have what others lack. */
export async function lookAtDrives({
  coordinator,
  recovery,
}: LookAtDrivesParts): Promise<SeenDrives> {
  const { drives } = coordinator.state.map
  const ids = [...new Set(drives.flatMap(({ nodeId }) => nodeId ?? []))]
  const answers = new Map<string, readonly number[] | undefined>()
  const ask = async (node: string): Promise<void> => {
    answers.set(node, await openDrivesOf(node, recovery))
  }
  await Promise.all(ids.map(ask))
  const missing = drives.flatMap(({ id: driveId, nodeId: node }): MissingDrive[] => {
    if (node === undefined) return [{ driveId, why: 'node' }]
    const open = answers.get(node)
    if (open?.includes(driveId)) return []
    return [{ driveId, node, why: open === undefined ? 'node' : 'drive' }]
  })
  return {
    nodes: ids.filter((node) => answers.get(node) !== undefined),
    open: new Set([...answers.values()].flatMap((open) => open ?? [])),
    missing,
  }
}

async function openDrivesOf(
  node: string,
  recovery: LookAtDrivesParts['recovery'],
): Promise<readonly number[] | undefined> {
  try {
    return await recovery.drives(node)
  } catch (error) {
    if (error instanceof NodeUnreachable) return undefined
    if (!(error instanceof NodeRefused)) throw error
    throw new Exit(
      1,
      `node ${node} does not say which drives it has open (${error.message}): all nodes have to run this version.`,
    )
  }
}

/** All that may have something of these partitions and can not be asked: a drive may be open and its replicas not. */
export function missingFor(
  { missing }: SeenDrives,
  lost: readonly LostPartition[],
): MissingDrive[] {
  const all = new Map(missing.map((drive) => [drive.driveId, drive]))
  for (const { replica, node } of lost.flatMap(silentOf)) {
    const { driveId } = parseReplicaId(replica)!
    if (all.has(driveId)) continue
    all.set(driveId, { driveId, ...(node === undefined ? {} : { node }), why: 'metadata' })
  }
  return [...all.values()].sort((left, right) => left.driveId - right.driveId)
}

/** Only what is really missing is given up. Throws Exit when something else was named. */
export function refuseOthers(
  givenUp: readonly number[],
  missing: readonly MissingDrive[],
  { state }: Pick<Coordinator, 'state'>,
): void {
  for (const id of givenUp) {
    if (missing.some(({ driveId }) => driveId === id)) continue
    const isKnown = state.map.drives.some((drive) => drive.id === id)
    throw new Exit(
      2,
      isKnown
        ? `drive ${id} can be read: --without-missing gives up drives that are gone for good, and nothing else.`
        : `the cluster has no drive ${id}: --without-missing takes ids of drives, as 3,7.`,
    )
  }
}

/** Names them, for people. */
export function sayMissing(missing: readonly MissingDrive[]): string[] {
  const why = {
    node: 'its node does not answer',
    drive: 'its node has not opened it',
    metadata: 'its metadata is not open',
  }
  return missing.map(({ driveId, node, why: reason }) => {
    const where = node === undefined ? '' : ` of node ${node}`
    return `  drive ${driveId}${where}: ${why[reason]}`
  })
}
