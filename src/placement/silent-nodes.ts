// What becomes of the drives of nodes that do not answer: taken off the map when it is one failure domain and enough is
// left, and back when they answer again. Pure. A wrong guess must never cost more than some copying.
import type { ClusterMap, MapDrive } from './cluster-map.ts'
import type { Change } from './coordinator.ts'
import { editDrive, inOrder, markActive, markOut } from './coordinator-changes.ts'
import { FailureDomains, nodeOf, zoneOf } from './failure-domains.ts'
import { stayingDrives } from './rebalance.ts'

/** Of drives that are out because their node was silent for too long: for people, and to know them again. */
export const SILENT_REASON = 'its node does not answer'

/** With less than so much of the drives in service, the rest is more likely cut off than dead, and has no room anyway. */
const LEAST_SHARE = 0.75

/** Drives of silent nodes that are to be out: none when nodes of two failure domains are silent, or too few would be left. */
export function drivesToTakeOut(map: ClusterMap, isSilent: (nodeId: string) => boolean): number[] {
  // Drives that somebody drains, or that nothing names any more, are mended around already.
  const isGivenUp = ({ state, isLeaving, isVacated }: MapDrive): boolean =>
    state === 'out' && (isLeaving === true || isVacated === true)
  const counted = map.drives.filter((drive) => !isGivenUp(drive))
  const silent = counted.filter(({ nodeId }) => nodeId !== undefined && isSilent(nodeId))
  const taken = counted.filter(({ state, reason }) => state === 'out' && reason === SILENT_REASON)
  const domainOf = wholeOf(map)
  if (new Set([...silent, ...taken].map(domainOf)).size !== 1) return []
  const ids = silent.filter(({ state }) => state !== 'out').map(({ id }) => id)
  const staying = stayingDrives(map.drives)
  const left = staying.filter(({ id, state }) => state === 'active' && !ids.includes(id))
  return left.length < staying.length * LEAST_SHARE ? [] : ids
}

/** Drives that were taken out and whose nodes answer again. */
export function drivesToTakeBack(map: ClusterMap, answers: (nodeId: string) => boolean): number[] {
  return map.drives
    .filter(({ state, reason }) => state === 'out' && reason === SILENT_REASON)
    .filter(({ nodeId }) => nodeId !== undefined && answers(nodeId))
    .map(({ id }) => id)
}

/** Both, by the map as it is when it is decided. */
export function followNodes(
  isSilent: (nodeId: string) => boolean,
  answers: (nodeId: string) => boolean,
): Change {
  return (state) =>
    inOrder([
      ...drivesToTakeBack(state.map, answers).map((id) => markActive(id)),
      ...drivesToTakeOut(state.map, isSilent).map((id) => markOut(id, SILENT_REASON)),
    ])(state)
}

/**
 * A drive that is out for `reason` comes back as one does whose node was only silent: when the node answers, and with what
 * the rows still name of it.
 */
export function awaitReturn(driveId: number, reason: string): Change {
  return (state) => {
    const drive = state.map.drives.find(({ id }) => id === driveId)
    if (drive?.state !== 'out' || drive.reason !== reason) return undefined
    return setReason(driveId, SILENT_REASON)(state)
  }
}

/**
 * Drives that their node does not serve although it is there: out for these reasons, by drive id, until it serves them. Also
 * those that went out with the node: it answers again, and they are not back. Drives that moved to another node stay.
 */
export function markUnserved(nodeId: string, reasons: ReadonlyMap<number, string>): Change {
  return (state) => {
    const own = state.map.drives.filter((drive) => drive.nodeId === nodeId)
    const changes = own.flatMap(({ id, ...drive }) => {
      const reason = reasons.get(id)
      if (reason === undefined) return []
      if (drive.state !== 'out') return [markOut(id, reason)]
      return drive.reason === SILENT_REASON ? [setReason(id, reason)] : []
    })
    return inOrder(changes)(state)
  }
}

function setReason(driveId: number, reason: string): Change {
  return (state) => editDrive(state, driveId, (drive) => ({ ...drive, reason }))
}

/** What is lost together with a drive: a zone where the table counts on zones, else a node. */
function wholeOf(map: ClusterMap): (drive: MapDrive) => string {
  const perZone = FailureDomains.of(map)?.limits.perZone ?? Number.POSITIVE_INFINITY
  return Number.isFinite(perZone) ? zoneOf : nodeOf
}
