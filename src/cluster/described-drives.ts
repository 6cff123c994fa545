// The drives of a cluster as its nodes tell of them, all asked at once: what each is like, what is left on those that are to leave,
// and what moves. What one node does not say is not made up.
import type { DriveDetails, MoveStatus } from '../gateway/admin-api.ts'
import type { World } from '../kit/world.ts'
import { type MapDrive, metaPartitionIds, nodeIdsOf } from '../placement/cluster-map.ts'
import type { ClusterState, Coordinator } from '../placement/coordinator.ts'
import { holdsReplica } from '../placement/departure.ts'
import type { PartitionRecords } from '../placement/etcd/partition-records.ts'
import type { DescribedMoves, DrivesOfNode } from '../storage-node/rpc/drive-messages.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'
import { describeDrivesOf } from './departures.ts'

/** Who is asked. */
export interface DescribingParts {
  coordinator: Pick<Coordinator, 'state'>
  records: Pick<PartitionRecords, 'get'>
  peers: Pick<NodePeers, 'ask'>
  world: Pick<World, 'clock'>
}

/** What the nodes of the map say of their drives; undefined for one that does not answer. */
export type Described = ReadonlyMap<string, DrivesOfNode | undefined>

/** A node that says nothing for so long is shown without what only it knows. */
const DESCRIBE_MS = 3_000

/** Asks every node of the map. */
export async function describeNodes({
  coordinator,
  peers,
  world,
}: Omit<DescribingParts, 'records'>): Promise<Described> {
  const deadlineMs = world.clock.monotonicMs() + DESCRIBE_MS
  const asked = nodeIdsOf(coordinator.state.map.drives).map(async (nodeId) => {
    // What it would have said is shown as unknown.
    const found = await describeDrivesOf(nodeId, { peers, deadlineMs }).catch(() => undefined)
    return [nodeId, found] as const
  })
  return new Map(await Promise.all(asked))
}

/** One drive of the map, by what was described. */
export function detailsOf(
  drive: MapDrive,
  described: Described,
  parts: Pick<DescribingParts, 'coordinator' | 'records'>,
): DriveDetails {
  const { id, nodeId, state, weight } = drive
  const here = described.get(nodeId ?? '')?.drives.find(({ driveId }) => driveId === id)
  const isFailing = state !== 'out' && here?.failure !== undefined
  const reason = isFailing ? here.failure : drive.reason
  const path = here?.path ?? drive.path
  return {
    ...{ id, weight, state: isFailing ? 'failed' : state },
    ...{ isLeaving: drive.isLeaving === true, isVacated: drive.isVacated === true },
    ...(nodeId === undefined ? {} : { nodeId }),
    ...(described.get(nodeId ?? '') === undefined ? { isUnheard: true as const } : {}),
    ...(path === undefined ? {} : { path }),
    ...(reason === undefined ? {} : { reason }),
    ...(here?.totalBytes === undefined ? {} : { totalBytes: here.totalBytes }),
    ...(here?.freeBytes === undefined ? {} : { freeBytes: here.freeBytes }),
    metadataReplicas: replicasOn(id, parts),
    ...(state === 'active' ? {} : leftOn(id, described)),
  }
}

/** What all nodes move together; undefined when none was heard. `epoch`: a node that knows an older state only has yet to count again. */
export function sumMoves(
  described: Described,
  { epoch }: Pick<ClusterState, 'epoch'>,
): MoveStatus | undefined {
  const heard = [...described.values()].flatMap((found) => found ?? [])
  if (heard.length === 0) return undefined
  const all = heard.map((one) => one.moves)
  const sum = (of: (one: (typeof all)[number]) => number | undefined): number =>
    all.reduce((total, one) => total + (of(one) ?? 0), 0)
  const phases = heard.map((one) =>
    one.moves.phase === 'idle' && one.epoch < epoch ? 'counting' : one.moves.phase,
  )
  const phase = (['moving', 'counting'] as const).find((one) => phases.includes(one)) ?? 'idle'
  const leftMs = leftMsOf(all)
  const bytesPerSecond = sum((one) => one.bytesPerSecond)
  return {
    ...{ phase, movedShards: sum((one) => one.movedShards) },
    ...{ movedBytes: sum((one) => one.movedBytes), reEncodedBlobs: sum((one) => one.anewBlobs) },
    ...{ remainingReEncodes: sum((one) => one.remainingAnew) },
    ...{ remainingShards: sum((one) => one.remainingShards) },
    ...{ remainingBytes: sum((one) => one.remainingBytes) },
    ...(bytesPerSecond > 0 ? { bytesPerSecond } : {}),
    waitingShards: sum((one) => one.waitingShards),
    ...(leftMs === undefined ? {} : { leftMs }),
  }
}

/** They move side by side, so the slowest of them counts. Undefined where one can not tell when it has moved what it can. */
function leftMsOf(all: readonly DescribedMoves[]): number | undefined {
  let longestMs = 0
  for (const { leftMs, remainingShards, waitingShards = 0 } of all) {
    const canMoveMore = remainingShards === undefined || remainingShards > waitingShards
    if (leftMs === undefined && canMoveMore) return undefined
    longestMs = Math.max(longestMs, leftMs ?? 0)
  }
  return longestMs
}

/** Blobs that name a drive, counted by those who lead partitions: unknown while one of them says nothing. */
function leftOn(driveId: number, described: Described): Pick<DriveDetails, 'blobs' | 'oldCopies'> {
  const found = [...described.values()].flatMap((one) => one ?? [])
  const left = found.map(({ leaving }) => leaving.find((one) => one.driveId === driveId))
  const oldCopies = left.reduce((sum, one) => sum + (one?.oldCopies ?? 0), 0)
  if (left.length === 0 || left.some((one) => one?.blobs === undefined)) return { oldCopies }
  return { blobs: left.reduce((sum, one) => sum + (one?.blobs ?? 0), 0), oldCopies }
}

function replicasOn(
  driveId: number,
  { coordinator, records }: Pick<DescribingParts, 'coordinator' | 'records'>,
): number {
  const all = metaPartitionIds(coordinator.state.map).flatMap((id) => records.get(id) ?? [])
  return all.filter((record) => holdsReplica(record, driveId)).length
}
