// Changes of the agreed state that follow from the life and death of drives. Pure: state in, state out.
import { type ErasureCode, shardCount } from '../kit/erasure-code.ts'
import { DRIVE_ID_MAX } from '../metadata/records.ts'
import { hasTable, type MapDrive } from './cluster-map.ts'
import type { Change, ClusterState, MetaPartitionState, Replica } from './coordinator.ts'
import { leavingReplicas } from './coordinator-replicas.ts'
import {
  type DrainOptions,
  planDrain,
  planDrainNode,
  refuseRemove,
  refuseReplace,
} from './drive-edits.ts'
import { shardsOfWidest } from './fit-code.ts'
import { rebalance, stayingDrives } from './rebalance.ts'

/** A drive that comes in. */
export type NewDrive = Pick<MapDrive, 'id' | 'uuid' | 'weight' | 'nodeId' | 'zone'> & {
  path: string
}

/** A drive is not written to any more, and no metadata partition counts on it. */
export function markOut(driveId: number, reason: string): Change {
  return (state) => {
    const drive = state.map.drives.find(({ id }) => id === driveId)
    if (drive === undefined || drive.state === 'out') return dropReplicasOn(driveId)(state)
    const changed = editDrive(state, driveId, (found) => ({ ...found, state: 'out', reason }))
    return dropReplicasOn(driveId)(changed) ?? changed
  }
}

/** A drive that was out is read again, and written to unless it is to be emptied. */
export function markActive(driveId: number): Change {
  return (state) => {
    const drive = findDrive(state, driveId)
    if (drive?.state !== 'out') return undefined
    const back = editDrive(reopened(state, driveId), driveId, ({ reason: _reason, ...found }) =>
      found.isLeaving ? { ...found, state: 'draining' } : { ...found, state: 'active' },
    )
    // One whose draining was called off while it was out has nothing yet.
    const width = shardCount(back.map.code)
    const isNamed = back.map.slots.some((row) => row.slice(0, width).includes(driveId))
    return drive.isLeaving || isNamed ? back : withNewSlots(back)
  }
}

/** The next drive id is taken: read it from the state before. It is never given again. Throws when all were given. */
export function reserveDriveId(): Change {
  return (state) => {
    if (state.nextDriveId > DRIVE_ID_MAX) throw new Error('all ids of drives were given')
    return { ...state, nextDriveId: state.nextDriveId + 1 }
  }
}

/** A new drive, under an id that was reserved for it: it gets its share of the slots. */
export function addDrive(drive: NewDrive): Change {
  return addDrives([drive])
}

/** New drives, as of a node that joins: the table is edited once. Those that are there already are passed over. */
export function addDrives(drives: readonly NewDrive[]): Change {
  return (state) => {
    let added = state
    for (const drive of drives) added = takeIn(added, drive) ?? added
    return added === state ? undefined : withNewSlots(added)
  }
}

/** A drive is found in another node, or at another place of it. The table follows as far as that is possible. */
export function moveDrive(
  driveId: number,
  { nodeId, zone, path }: Pick<MapDrive, 'nodeId' | 'zone'> & { path: string },
): Change {
  return (state) => {
    const drive = findDrive(state, driveId)
    if (drive === undefined) return undefined
    const isAtHome = drive.nodeId === nodeId && drive.zone === zone
    if (isAtHome && drive.path === path) return undefined
    const moved = editDrive(state, driveId, ({ nodeId: _node, zone: _zone, ...found }) => ({
      ...found,
      path,
      ...(nodeId === undefined ? {} : { nodeId }),
      ...(zone === undefined ? {} : { zone }),
    }))
    return isAtHome ? moved : (withNewSlots(moved) ?? moved)
  }
}

/**
 * A drive is to be emptied: its slots go to the others. One that is out stays out. With `reEncode` the code of new objects
 * becomes one that fits on the drives that stay; what is stored is written anew by whoever moves shards.
 */
export function drainDrive(driveId: number, options: DrainOptions = {}): Change {
  return (state) => {
    const allowsUnsafeLayout = options.allowsUnsafeLayout ?? state.cluster?.allowsUnsafeLayout
    const plan = planDrain(state.map, driveId, { ...options, allowsUnsafeLayout })
    if (plan.kind === 'refused') return undefined
    return changeCode(plan.code)(leave(state, driveId))
  }
}

/** All drives of a node are to be emptied, in one decision. */
export function drainNode(nodeId: string, options: DrainOptions = {}): Change {
  return (state) => {
    const allowsUnsafeLayout = options.allowsUnsafeLayout ?? state.cluster?.allowsUnsafeLayout
    const plan = planDrainNode(state.map, nodeId, { ...options, allowsUnsafeLayout })
    if (plan.kind === 'refused') return undefined
    const drives = stayingDrives(state.map.drives).filter((drive) => drive.nodeId === nodeId)
    const left = drives.reduce((so, { id }) => leave(so, id), state)
    return changeCode(plan.code)(left)
  }
}

/** A drive is not to be emptied any more: it gets its share of the slots again, once it is active. */
export function undrainDrive(driveId: number): Change {
  return (state) => {
    const drive = findDrive(state, driveId)
    if (!drive?.isLeaving) return undefined
    return withNewSlots(
      editDrive(reopened(state, driveId), driveId, ({ isLeaving: _leaving, ...found }) => ({
        ...found,
        state: found.state === 'out' ? 'out' : 'active',
      })),
    )
  }
}

/**
 * A new drive gets exactly the slots of another, which is emptied. On another node or in another zone its share is what
 * those may have: there the same slots could be too much of an object.
 */
export function replaceDrive(oldId: number, drive: NewDrive): Change {
  return (state) => {
    const added = takeIn(state, drive)
    const old = findDrive(state, oldId)
    const allowsUnsafeLayout = state.cluster?.allowsUnsafeLayout
    if (added === undefined || old === undefined) return undefined
    if (refuseReplace(state.map, oldId, { home: drive, allowsUnsafeLayout })) return undefined
    const left = leave(added, oldId)
    if (old.nodeId !== drive.nodeId || old.zone !== drive.zone) return withNewSlots(left)
    const slots = state.map.slots.map((row) => row.map((id) => (id === oldId ? drive.id : id)))
    return { ...left, map: { ...left.map, slots } }
  }
}

/** A vacated drive leaves the store for ever. */
export function removeDrive(driveId: number): Change {
  return (state) => {
    const allowsUnsafeLayout = state.cluster?.allowsUnsafeLayout
    if (refuseRemove(state.map, driveId, state.orphanHold, { allowsUnsafeLayout }) !== undefined)
      return undefined
    if (isReplicaOn(state, driveId)) return undefined
    const drives = state.map.drives.filter(({ id }) => id !== driveId)
    // Embedded the drives themselves know it: a marker that no map names is one of a drive that was removed.
    const removed = state.cluster ? { removed: withRemoved(state.map, driveId) } : {}
    const left = { ...state, map: { ...state.map, drives, ...removed } }
    // A drive that was only out has its slots still.
    return state.map.slots.some((row) => row.includes(driveId)) ? withNewSlots(left) : left
  }
}

/** Embedded: a verified pass found nothing that names a drive which is out or draining. Clusters: departure.ts. */
export function vacate(driveId: number): Change {
  return (state) => {
    const drive = findDrive(state, driveId)
    if (drive === undefined || drive.state === 'active' || drive.isVacated) return undefined
    if (isReplicaOn(state, driveId)) return undefined
    return editDrive(state, driveId, (found) => ({ ...found, isVacated: true }))
  }
}

/** The code of new objects, and with it how many slots a partition has. */
export function changeCode(code: ErasureCode): Change {
  return (state) => withNewSlots({ ...state, map: { ...state.map, code } })
}

/** Where a drive was found. */
export function setPath(driveId: number, path: string): Change {
  return (state) => {
    const drive = findDrive(state, driveId)
    if (drive === undefined || drive.path === path) return undefined
    return editDrive(state, driveId, (found) => ({ ...found, path }))
  }
}

/** A drive is to have another share of the data. */
export function setWeight(driveId: number, weight: number): Change {
  return (state) => {
    const drive = findDrive(state, driveId)
    if (drive === undefined || drive.weight === weight) return undefined
    return withNewSlots(editDrive(state, driveId, (found) => ({ ...found, weight })))
  }
}

/**
 * Removes a drive from every in-sync set that has another member. The last member stays, living or not:
 * it alone holds every acknowledged row, so the partition waits for it.
 */
export function dropReplicasOn(driveId: number): Change {
  return (state) => {
    let changed = false
    const metaPartitions = state.metaPartitions.map((partition) => {
      const inSync = partition.inSync.filter((replica) => replica.driveId !== driveId)
      if (inSync.length === partition.inSync.length || inSync.length === 0) return partition
      changed = true
      // Epoch 0 says that the partition was never started and is empty by right: nobody has to be fenced.
      return { epoch: partition.epoch === 0 ? 0 : partition.epoch + 1, inSync }
    })
    return changed ? { ...state, metaPartitions } : undefined
  }
}

/** Adds a replica that has caught up with a partition: on no drive that went out, is to be emptied or left meanwhile. */
export function addReplica(partitionId: number, replica: Replica): Change {
  return (state) => {
    const partition = state.metaPartitions[partitionId]
    if (partition === undefined) return undefined
    if (findDrive(state, replica.driveId)?.state !== 'active') return undefined
    if (partition.inSync.some(({ driveId }) => driveId === replica.driveId)) return undefined
    return editPartition(state, partitionId, {
      epoch: partition.epoch + 1,
      inSync: [...partition.inSync, replica],
    })
  }
}

/**
 * From this decision on the replica surely does not count, unless it is the last one. Decided also where it does not count
 * as far as is known: a decision by which it does may be on drives that failed since.
 */
export function withoutReplica(partitionId: number, { incarnation }: Replica): Change {
  return (state) => {
    const partition = state.metaPartitions[partitionId]
    const inSync = partition?.inSync.filter((replica) => replica.incarnation !== incarnation) ?? []
    if (partition === undefined || inSync.length === 0) return undefined
    return editPartition(state, partitionId, { epoch: partition.epoch + 1, inSync })
  }
}

/** Removes the replicas of a partition from drives that are to be emptied, once there are `least` on others. */
export function releaseReplicas(partitionId: number, least: number): Change {
  return (state) => {
    const partition = state.metaPartitions[partitionId]
    if (partition === undefined) return undefined
    const leaving = leavingReplicas(state.map, partition)
    const inSync = partition.inSync.filter((replica) => !leaving.includes(replica))
    if (leaving.length === 0 || inSync.length < Math.max(1, least)) return undefined
    return editPartition(state, partitionId, { epoch: partition.epoch + 1, inSync })
  }
}

/**
 * A start: every listed partition gets a new epoch, and keeps the replicas that were found whole.
 * A replica that left the set meanwhile stays out.
 */
export function startPartitions(whole: ReadonlyMap<number, readonly Replica[]>): Change {
  return (state) => {
    if (whole.size === 0) return undefined
    const metaPartitions = state.metaPartitions.map((partition, id) => {
      const found = whole.get(id) ?? []
      const inSync = partition.inSync.filter(({ incarnation }) =>
        found.some((replica) => replica.incarnation === incarnation),
      )
      return inSync.length === 0 ? partition : { epoch: partition.epoch + 1, inSync }
    })
    return { ...state, metaPartitions }
  }
}

/** One decision of several changes; those that change nothing are passed over. */
export function inOrder(changes: readonly Change[]): Change {
  return (state) => {
    let edited = state
    for (const change of changes) {
      const next = change(edited)
      if (next !== undefined) edited = { ...next, epoch: state.epoch }
    }
    return edited === state ? undefined : edited
  }
}

/** Active, unless there is such a drive, it was removed for ever, or its id was never reserved. */
function takeIn(state: ClusterState, drive: NewDrive): ClusterState | undefined {
  const { drives, removed = [] } = state.map
  const isKnown = drives.some(({ id, uuid }) => id === drive.id || uuid === drive.uuid)
  if (isKnown || removed.includes(drive.id) || drive.id >= state.nextDriveId) return undefined
  const { id, uuid, weight, path, nodeId, zone } = drive
  const added: MapDrive = {
    ...{ id, uuid, weight, state: 'active', path },
    ...(nodeId === undefined ? {} : { nodeId }),
    ...(zone === undefined ? {} : { zone }),
  }
  return { ...state, map: { ...state.map, drives: [...drives, added] } }
}

/** Rows may come to name it again. */
function reopened(state: ClusterState, driveId: number): ClusterState {
  return editDrive(state, driveId, asBeforeCounting)
}

/** A drive of which nobody says that nothing names it. */
export function asBeforeCounting({
  isVacated: _vacated,
  closedEpoch: _closed,
  ...drive
}: MapDrive): MapDrive {
  return drive
}

function withRemoved({ removed = [] }: ClusterState['map'], driveId: number): number[] {
  return [...removed, driveId].sort((left, right) => left - right)
}

function leave(state: ClusterState, driveId: number): ClusterState {
  return editDrive(state, driveId, (found) => ({
    ...found,
    state: found.state === 'out' ? 'out' : 'draining',
    isLeaving: true,
  }))
}

/**
 * Undefined where too few drives would stay for the code: refused before by drive-edits.ts, in words. A cluster that has no
 * table yet gets none here (first-map.ts).
 */
function withNewSlots(state: ClusterState): ClusterState | undefined {
  const { map, cluster } = state
  if (cluster !== undefined && !hasTable(map)) return state
  if (stayingDrives(map.drives).length < shardCount(map.code)) return undefined
  const slots = rebalance(map)
  const widestShards = shardsOfWidest(map)
  // Blobs keep their code until they are written anew, and after that nobody knows that the last one was.
  const isNarrower = widestShards > shardsOfWidest({ slots })
  return { ...state, map: { ...map, slots, ...(isNarrower ? { widestShards } : {}) } }
}

function isReplicaOn({ metaPartitions }: ClusterState, driveId: number): boolean {
  return metaPartitions.some(({ inSync }) => inSync.some((replica) => replica.driveId === driveId))
}

function findDrive({ map }: ClusterState, driveId: number): MapDrive | undefined {
  return map.drives.find(({ id }) => id === driveId)
}

/**
 * Replicas that were made anew take the place of a set of which nothing is left. From the same decision on orphans are
 * held: a shard that the new rows do not name may be the only copy of what was acknowledged.
 */
export function replaceReplicas(
  made: ReadonlyMap<number, readonly Replica[]>,
  nowMs: number,
): Change {
  return (state) => ({
    ...state,
    orphanHold: state.orphanHold ?? { sinceMs: nowMs },
    metaPartitions: state.metaPartitions.map((partition, id) => {
      const inSync = made.get(id)
      return inSync ? { epoch: partition.epoch + 1, inSync: [...inSync] } : partition
    }),
  })
}

/** From now on no shard is deleted for want of a row that names it: rows are about to be made again. */
export function holdOrphans(nowMs: number): Change {
  return (state) => (state.orphanHold ? undefined : { ...state, orphanHold: { sinceMs: nowMs } })
}

/** Shards that no row names may be deleted again. */
export function releaseOrphans(): Change {
  return ({ orphanHold, ...state }) => (orphanHold ? state : undefined)
}

/** The state with a drive of it edited. */
export function editDrive(
  state: ClusterState,
  driveId: number,
  edit: (drive: MapDrive) => MapDrive,
): ClusterState {
  const drives = state.map.drives.map((drive) => (drive.id === driveId ? edit(drive) : drive))
  return { ...state, map: { ...state.map, drives } }
}

function editPartition(
  state: ClusterState,
  partitionId: number,
  edited: MetaPartitionState,
): ClusterState {
  const metaPartitions = state.metaPartitions.map((partition, id) =>
    id === partitionId ? edited : partition,
  )
  return { ...state, metaPartitions }
}
