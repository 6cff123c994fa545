// What can not be done with the drives of a store, in a sentence for whoever asked. Pure: the changes of
// coordinator-changes.ts ask it, too, and change nothing where it refuses.
import { type ErasureCode, nameCode, shardCount } from '../kit/erasure-code.ts'
import type { ClusterMap, MapDrive } from './cluster-map.ts'
import type { OrphanHold } from './coordinator.ts'
import { fitToNodes, isSafeLayout, nodeOf } from './failure-domains.ts'
import { fitCode, overheadOf } from './fit-code.ts'
import { stayingDrives } from './rebalance.ts'

/** What is known of a drain beside the map. */
export interface DrainOptions {
  /** Objects may be written anew with another code when too few drives stay for theirs. */
  reEncode?: boolean
  /** Of the class REDUCED_REDUNDANCY, where somebody chose it: it has to fit as well, for nothing but a start changes it. */
  reducedCode?: ErasureCode | undefined
  /** Who runs the cluster said that the loss of a node may lose data. */
  allowsUnsafeLayout?: boolean | undefined
}

/** What a drain comes to. `code`: of new objects from then on. */
export type DrainPlan =
  | { kind: 'planned'; code: ErasureCode }
  | { kind: 'refused'; sentence: string }

/** How a drive can be emptied, or why not. */
export function planDrain(map: ClusterMap, driveId: number, options: DrainOptions = {}): DrainPlan {
  const drive = findDrive(map, driveId)
  if (!drive) return { kind: 'refused', sentence: unknownDrive(map, driveId) }
  if (drive.isLeaving)
    return { kind: 'refused', sentence: `drive ${driveId} is being emptied already.` }
  const plan = planWithout(map, [driveId], options, drainOf(driveId))
  if (plan.kind === 'planned') return plan
  return { kind: 'refused', sentence: `drive ${driveId} can not be drained: ${plan.sentence}` }
}

/** How all drives of a node can be emptied, or why not. */
export function planDrainNode(
  map: ClusterMap,
  nodeId: string,
  options: DrainOptions = {},
): DrainPlan {
  const drives = map.drives.filter((drive) => drive.nodeId === nodeId)
  if (drives.length === 0)
    return { kind: 'refused', sentence: `no drive is known of node ${nodeId}.` }
  const staying = stayingDrives(drives).map(({ id }) => id)
  if (staying.length === 0)
    return { kind: 'refused', sentence: `node ${nodeId} is being emptied already.` }
  const plan = planWithout(map, staying, options, `kintsugi drain ${nodeId}`)
  if (plan.kind === 'planned') return plan
  return { kind: 'refused', sentence: `node ${nodeId} can not be drained: ${plan.sentence}` }
}

/** Why a drive can not be emptied; undefined when it can. */
export function refuseDrain(
  map: ClusterMap,
  driveId: number,
  options: DrainOptions = {},
): string | undefined {
  const plan = planDrain(map, driveId, options)
  return plan.kind === 'refused' ? plan.sentence : undefined
}

/** Why the draining of a drive can not be called off; undefined when it can. */
export function refuseUndrain(map: ClusterMap, driveId: number): string | undefined {
  const drive = findDrive(map, driveId)
  if (!drive) return unknownDrive(map, driveId)
  if (!drive.isLeaving) return `drive ${driveId} is not being emptied.`
  return undefined
}

/** Why a drive can not be replaced by a new one; undefined when it can. `home`: where the new one is. */
export function refuseReplace(
  map: ClusterMap,
  driveId: number,
  {
    home,
    allowsUnsafeLayout,
  }: Pick<DrainOptions, 'allowsUnsafeLayout'> & { home?: Pick<MapDrive, 'nodeId'> } = {},
): string | undefined {
  const drive = findDrive(map, driveId)
  if (!drive) return unknownDrive(map, driveId)
  if (drive.isLeaving) {
    return `drive ${driveId} is being emptied already, and its slots are others' by now: add the new drive instead.`
  }
  const { nodeId } = home ?? drive
  if (nodeId === drive.nodeId || nodeId === undefined || allowsUnsafeLayout) return undefined
  const before = stayingDrives(map.drives)
  const after = before.map((one) => (one.id === driveId ? { ...one, nodeId } : one))
  if (isSafeLayout(after, map.code) || !isSafeLayout(before, map.code)) return undefined
  return (
    `drive ${driveId} can not be replaced by one of node ${nodeId}: the loss of one node would lose data then. Give a ` +
    `directory of node ${drive.nodeId}, or add drives to other nodes first.`
  )
}

/** Why a drive can not get another weight; undefined when it can. */
export function refuseWeight(map: ClusterMap, driveId: number): string | undefined {
  const drive = findDrive(map, driveId)
  if (!drive) return unknownDrive(map, driveId)
  if (drive.isLeaving) return `drive ${driveId} is being emptied: it gets no share any more.`
  return undefined
}

/** Why a drive can not be taken out of the store; undefined when it can. */
export function refuseRemove(
  map: ClusterMap,
  driveId: number,
  orphanHold?: OrphanHold,
  options: Pick<DrainOptions, 'reducedCode' | 'allowsUnsafeLayout'> = {},
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
  if (drive.isLeaving) return undefined
  // One that was only out was counted on until now.
  const plan = planWithout(map, [driveId], options, drainOf(driveId))
  if (plan.kind === 'planned') return undefined
  return `drive ${driveId} can not be removed: ${plan.sentence}`
}

/** The code on the drives that stay without some of them, or why none fits. `drain`: the command that empties those. */
function planWithout(
  map: ClusterMap,
  driveIds: readonly number[],
  options: DrainOptions,
  drain: string,
): DrainPlan {
  const { reEncode, reducedCode } = options
  const refused = (sentence: string): DrainPlan => ({ kind: 'refused', sentence })
  const left = countWithout(map, driveIds)
  const fitting = fitCode(map.code, left.active)
  if (fitting === undefined) return refused(sayTooFew(map.code, left))
  const code = fitNodesWithout(map, driveIds, fitting, options)
  if (code === undefined) return refused(sayUnsafe(map, driveIds))
  if (code !== map.code && !reEncode) {
    const ways =
      code === fitting
        ? `${sayMisfit(map.code, left)}. Add a drive first, or replace this one.`
        : sayUnsafe(map, driveIds)
    return refused(`${ways} Or ${sayReEncode(map.code, code, drain)}`)
  }
  if (reducedCode !== undefined && shardCount(reducedCode) > left.active)
    return refused(sayReducedMisfit(reducedCode, left))
  return { kind: 'planned', code }
}

function drainOf(driveId: number): string {
  return `kintsugi drive drain ${driveId}`
}

function stayingWithout(drives: readonly MapDrive[], driveIds: readonly number[]): MapDrive[] {
  return stayingDrives(drives).filter(({ id }) => !driveIds.includes(id))
}

/** With fewer data shards where otherwise the loss of a node would lose data that it does not lose now. */
function fitNodesWithout(
  { drives, code: before }: ClusterMap,
  driveIds: readonly number[],
  code: ErasureCode,
  { allowsUnsafeLayout }: DrainOptions,
): ErasureCode | undefined {
  const left = stayingWithout(drives, driveIds)
  if (allowsUnsafeLayout || isSafeLayout(left, code)) return code
  return isSafeLayout(stayingDrives(drives), before) ? fitToNodes(code, left) : code
}

/** Drives that would stay, and how many of them are in service. */
interface Left {
  active: number
  out: number
}

function countWithout({ drives }: ClusterMap, driveIds: readonly number[]): Left {
  const staying = stayingWithout(drives, driveIds)
  const active = staying.filter(({ state }) => state === 'active').length
  return { active, out: staying.length - active }
}

function sayLeft({ active, out }: Left): string {
  const beside = out === 0 ? '' : `, beside ${count(out)} out of service`
  return `${active === 1 ? '1 drive' : `${active} drives`} would be left${beside}`
}

function sayMisfit(code: ErasureCode, left: Left): string {
  return `${sayLeft(left)}, but the code of the store, ${nameCode(code)}, needs ${shardCount(code)}`
}

function sayReEncode(code: ErasureCode, fitting: ErasureCode, drain: string): string {
  const more = Math.round((overheadOf(fitting) / overheadOf(code) - 1) * 100)
  return (
    `${drain} --re-encode: everything is written again ` +
    `as ${nameCode(fitting)} then, which takes ${more} % more space.`
  )
}

function sayUnsafe({ drives, code }: ClusterMap, driveIds: readonly number[]): string {
  const nodes = new Set(stayingWithout(drives, driveIds).map(nodeOf)).size
  return (
    `on the ${nodes === 1 ? 'one node' : `${nodes} nodes`} that would be left the loss of one node would lose data: no node may ` +
    `have more than ${code.parityCount} of the ${shardCount(code)} shards of an object. Add drives to other nodes first.`
  )
}

function sayTooFew(code: ErasureCode, left: Left): string {
  const { parityCount } = code
  return (
    `${sayLeft(left)}, but with ${parityCount} shards of parity, as the store has, no code needs less than ` +
    `${parityCount + 1}. Add a drive first, or replace this one.`
  )
}

function sayReducedMisfit(code: ErasureCode, left: Left): string {
  return (
    `${sayLeft(left)}, but the code of the class REDUCED_REDUNDANCY, ${nameCode(code)}, needs ${shardCount(code)}. ` +
    `Start the store with a --reduced-redundancy-code of ${left.active} shards at most, or add a drive first.`
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
