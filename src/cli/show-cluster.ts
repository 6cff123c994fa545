// How a cluster stands, in lines for people.
import type { ClusterDriveStatus, ClusterStatus } from '../gateway/admin-api.ts'
import { alignColumns, showCount, showTime } from './amounts.ts'

/** The status of a cluster in lines. */
export function showCluster(found: ClusterStatus): string[] {
  const { health, reasons, clusterId, code, reducedCode, nodes, drives } = found
  const answering = nodes.filter(({ answers }) => answers).length
  const active = drives.filter(({ state }) => state === 'active').length
  return [
    `Health    ${health}`,
    ...reasons.map((reason) => `          ${reason}`),
    `Cluster   ${clusterId}`,
    `Code      ${code}, reduced ${reducedCode}`,
    `etcd      ${showEtcd(found)}`,
    `Nodes     ${answering} of ${nodes.length} answer`,
    ...alignColumns(
      nodes.map(({ id, zone, address, answers, drives: count, leads }) => [
        ...['         ', id, zone ?? '', address ?? '(never registered)'],
        ...[answers ? 'answers' : 'does not answer', showNumber(count, 'drive')],
        `leads ${showNumber(leads, 'partition')}`,
      ]),
    ),
    `Drives    ${active} of ${drives.length} active`,
    ...alignColumns(
      drives.map((drive) => [
        ...['         ', String(drive.id), drive.nodeId ?? '', showDrive(drive)],
        `weight ${showCount(drive.weight)}`,
      ]),
    ),
    ...showPartitions(found),
  ]
}

function showEtcd({ etcd: { kind, sinceMs, why } }: ClusterStatus): string {
  if (kind === 'current') return 'answers'
  const since = sinceMs === undefined ? '' : ` since ${showTime(sinceMs)}`
  const reason = why === undefined ? '' : `: ${why}`
  return kind === 'away' ? `does not answer${since}${reason}` : `is not believed${since}${reason}`
}

function showDrive({ state, reason, isLeaving }: ClusterDriveStatus): string {
  const why = reason === undefined ? '' : ` (${reason})`
  return `${state}${why}${isLeaving && state === 'out' ? ', to be removed' : ''}`
}

/** In one line; by themselves only those that something is wrong with. */
function showPartitions({ partitions, replicas, drives }: ClusterStatus): string[] {
  const led = partitions.filter(({ primary }) => primary !== undefined)
  const whole = partitions.filter((one) => one.replicas.length >= replicas)
  const nodeOf = new Map(drives.map(({ id, nodeId }) => [id, nodeId ?? '']))
  const odd = partitions.filter(
    (one) => one.primary === undefined || one.replicas.length < replicas || one.isChanging,
  )
  return [
    `Metadata  ${led.length} of ${partitions.length} partitions are led, ${whole.length} have all ${replicas} replicas`,
    ...alignColumns(
      odd.map(({ id, epoch, primary, replicas: holders, isChanging }) => [
        ...['         ', `partition ${id}`, `epoch ${epoch}`],
        primary === undefined ? 'nobody leads' : `led by ${nodeOf.get(primary)}`,
        `on drives ${holders.join(', ')}${isChanging ? ', changing' : ''}`,
      ]),
    ),
  ]
}

function showNumber(count: number, of: string): string {
  return `${count} ${of}${count === 1 ? '' : 's'}`
}
