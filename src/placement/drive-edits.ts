// What can not be done with the drives of a store, in a sentence for whoever asked. Pure: the changes of
// coordinator-changes.ts ask it, too, and change nothing where it refuses.
import { nameCode, shardCount } from '../kit/erasure-code.ts'
import type { ClusterMap, MapDrive } from './cluster-map.ts'
import type { OrphanHold } from './coordinator.ts'
import { stayingDrives } from './rebalance.ts'

/** Why a drive can not be emptied; undefined when it can. */
export function refuseDrain(map: ClusterMap, driveId: number): string | undefined {
  const drive = findDrive(map, driveId)
  if (!drive) return unknownDrive(map, driveId)
  if (drive.isLeaving) return `drive ${driveId} is being emptied already.`
  return refuseWithout(map, [driveId], `drive ${driveId} can not be drained`)
}

/** Why the draining of a drive can not be called off; undefined when it can. */
export function refuseUndrain(map: ClusterMap, driveId: number): string | undefined {
  const drive = findDrive(map, driveId)
  if (!drive) return unknownDrive(map, driveId)
  if (!drive.isLeaving) return `drive ${driveId} is not being emptied.`
  return undefined
}

/** Why a drive can not be replaced by a new one; undefined when it can. */
export function refuseReplace(map: ClusterMap, driveId: number): string | undefined {
  const drive = findDrive(map, driveId)
  if (!drive) return unknownDrive(map, driveId)
  if (drive.isLeaving) {
    return `drive ${driveId} is being emptied already, and its slots are others' by now: add the new drive instead.`
  }
  return undefined
}

/** Why a drive can not be taken out of the store; undefined when it can. */
export function refuseRemove(
  map: ClusterMap,
  driveId: number,
  orphanHold?: OrphanHold,
): string | undefined {
  const drive = findDrive(map, driveId)
  if (!drive) return unknownDrive(map, driveId)
  if (drive.state === 'active') return `drive ${driveId} is in service: drain it first.`
  if (!drive.isVacated) {
    return `drive ${driveId} can not be removed yet: it was not verified that nothing names it any more.`
  }
  // What is out is no copy that anybody can reach; what is here may hold the only one.
  if (orphanHold && drive.state === 'draining') {
    return `drive ${driveId} can not be removed yet: since a recovery shards that no object names are kept, and it may have some. kintsugi release-orphans lets them go.`
  }
  return drive.isLeaving
    ? undefined
    : refuseWithout(map, [driveId], `drive ${driveId} can not be removed`)
}

/** Too few drives for the code of the store, were these gone. */
function refuseWithout(
  map: ClusterMap,
  leaving: readonly number[],
  what: string,
): string | undefined {
  const left = stayingDrives(map.drives).filter(({ id }) => !leaving.includes(id))
  const active = left.filter(({ state }) => state === 'active').length
  const needed = shardCount(map.code)
  if (active >= needed) return undefined
  const out = left.length - active
  const beside = out === 0 ? '' : `, beside ${count(out)} out of service`
  const drives = active === 1 ? '1 drive' : `${active} drives`
  return (
    `${what}: ${drives} would be left${beside}, but the code of the store, ` +
    `${nameCode(map.code)}, needs ${needed}, ` +
    'and what is stored can not be re-encoded yet. Add a drive first, or replace this one.'
  )
}

function count(drives: number): string {
  return drives === 1 ? 'one that is' : `${drives} that are`
}

function unknownDrive({ drives }: ClusterMap, driveId: number): string {
  return `there is no drive ${driveId}: the drives of this store are ${drives.map(({ id }) => id).join(', ')}.`
}

function findDrive({ drives }: ClusterMap, driveId: number): MapDrive | undefined {
  return drives.find(({ id }) => id === driveId)
}
