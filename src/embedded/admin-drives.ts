// The drives of the store as its root sees them, and the commands about them.
import type {
  AddDrive,
  DriveDetails,
  DriveList,
  DriveOutcome,
  DriveStatus,
  DrivesApi,
  MoveStatus,
} from '../gateway/admin-api.ts'
import type { MapDrive } from '../placement/cluster-map.ts'
import type { ClusterState } from '../placement/coordinator.ts'
import type { DriveSpace } from '../storage-node/space/space-watch.ts'
import type { MoveProgress } from '../storage-node/upkeep/mover.ts'
import type { ShownCondition } from './drive-care.ts'
import type { EmbeddedStorage } from './storage.ts'

/** The drives of the admin API. */
export function openDriveAdmin(storage: EmbeddedStorage): DrivesApi {
  const { commands } = storage
  return {
    list: () => listDrives(storage),
    add: (request) => onThisMachine(request, () => commands.add(request)),
    replace: (request) => onThisMachine(request, () => commands.replace(request)),
    drain: (request) => commands.drain(request),
    weigh: (request) => commands.weigh(request),
    remove: (driveId) => commands.remove(driveId),
  }
}

async function onThisMachine(
  { nodeId }: AddDrive,
  work: () => Promise<DriveOutcome>,
): Promise<DriveOutcome> {
  if (nodeId === undefined) return await work()
  return { kind: 'refused', sentence: 'this store runs on one machine and has no nodes.' }
}

/** Every drive of the map, in words of people. */
export function statusOfDrives({
  coordinator,
  drives,
  care,
  space,
}: Pick<EmbeddedStorage, 'coordinator' | 'drives' | 'care' | 'space'>): DriveStatus[] {
  return coordinator.state.map.drives.map((drive) => statusOf(drive, { drives, care, space }))
}

function statusOf(
  { id, state, reason, path, isVacated }: MapDrive,
  { drives, care, space }: Pick<EmbeddedStorage, 'drives' | 'care' | 'space'>,
): DriveStatus {
  const drive = drives.find(id)
  const isFailing = state !== 'out' && drive?.failure !== undefined
  const why = isFailing ? String(drive?.failure) : reason
  const where = drive?.path ?? path
  const condition = drive?.failure === undefined ? sickness(care.conditionOf(id)) : undefined
  return {
    id,
    ...(where === undefined ? {} : { path: where }),
    state: isFailing ? 'failed' : state,
    ...(why === undefined ? {} : { reason: why }),
    ...(condition === undefined ? {} : { condition }),
    ...(isVacated ? { isVacated } : {}),
    ...spaceOf(isFailing || state === 'out' ? undefined : space.spaces().get(id)),
  }
}

function spaceOf(found: DriveSpace | undefined): Pick<DriveStatus, 'space'> {
  if (found === undefined || found.totalBytes === 0) return {}
  const { driveId: _, ...space } = found
  return { space }
}

function sickness(condition: ShownCondition): DriveStatus['condition'] {
  return condition === 'healthy' || condition === 'failed' ? undefined : condition
}

async function listDrives(storage: EmbeddedStorage): Promise<DriveList> {
  const { coordinator, drives, healer } = storage
  const { state } = coordinator
  const { leaving, ...moving } = healer.progress().moves
  const details = await Promise.all(
    state.map.drives.map(async (drive): Promise<DriveDetails> => {
      const { blobs, leftBehind } = leaving.find(({ driveId }) => driveId === drive.id) ?? {}
      const space = await drives.spaceOf(drive.id)
      return {
        ...statusOf(drive, storage),
        weight: drive.weight,
        isLeaving: drive.isLeaving === true,
        isVacated: drive.isVacated === true,
        ...(space ? { totalBytes: space.totalBytes, freeBytes: space.freeBytes } : {}),
        metadataReplicas: replicasOn(state, drive.id),
        ...(blobs === undefined ? {} : { blobs }),
        ...(leftBehind === undefined ? {} : { oldCopies: leftBehind }),
      }
    }),
  )
  return { drives: details, moving: describeMoves(moving) }
}

/** How it stands with moving, for the admin API. */
export function describeMoves(moves: Omit<MoveProgress, 'leaving'>): MoveStatus {
  const { phase, movedShards, movedBytes, remainingShards, remainingBytes, bytesPerSecond } = moves
  const { anewBlobs: reEncodedBlobs, remainingAnew: remainingReEncodes } = moves
  const { waitingShards, leftMs } = moves
  return {
    ...{ phase, movedShards, movedBytes, reEncodedBlobs },
    ...(remainingReEncodes === undefined ? {} : { remainingReEncodes }),
    ...(remainingShards === undefined ? {} : { remainingShards }),
    ...(remainingBytes === undefined ? {} : { remainingBytes }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(waitingShards === undefined ? {} : { waitingShards }),
    ...(leftMs === undefined ? {} : { leftMs }),
  }
}

function replicasOn({ metaPartitions }: ClusterState, driveId: number): number {
  return metaPartitions.filter(({ inSync }) => inSync.some((one) => one.driveId === driveId)).length
}
