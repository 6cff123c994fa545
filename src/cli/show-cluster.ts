// How a cluster stands, in lines for people.
import type { HealingStatus, PassStatus } from '../gateway/admin-api.ts'
import type {
  ClusterDriveStatus,
  ClusterPartitionStatus,
  ClusterStatus,
} from '../gateway/cluster-api.ts'
import { showBytes } from '../kit/bytes.ts'
import { counted } from '../kit/counted.ts'
import { alignColumns, showCount, showDuration, showTime } from './amounts.ts'
import { showMoving } from './show-drives.ts'
import { showLost } from './show-lost.ts'

/** The status of a cluster in lines. */
export function showCluster(found: ClusterStatus): string[] {
  const { health, reasons, clusterId, code, reducedCode, nodes, drives } = found
  const asked = nodes.filter(({ answers }) => answers !== undefined)
  const answering = asked.filter(({ answers }) => answers).length
  const active = drives.filter(({ state, answers }) => state === 'active' && answers).length
  return [
    `Health    ${HEALTH_WORDS[health]}`,
    ...reasons.map((reason) => `          ${reason}`),
    `Cluster   ${clusterId}`,
    `Code      ${code}, reduced ${reducedCode}`,
    `etcd      ${showEtcd(found)}`,
    `Nodes     ${answering} of ${asked.length} answer`,
    ...alignColumns(
      nodes.map(({ id, zone, address, answers, isHeardByEtcd, drives: count, leads }) => [
        ...['         ', id, zone ?? '', address ?? '(never registered)'],
        ...[showAnswers(answers, isHeardByEtcd), counted(count, 'drive')],
        // Until another one took over it leads on record alone.
        `${answers ? 'leads' : 'led'} ${counted(leads, 'partition')}`,
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
    ...showHealing(found),
  ]
}

const HEALTH_WORDS = {
  healthy: 'healthy: the nodes that lead have read every byte, and nothing has been owed since',
  serving: 'serving, not verified',
  mending: 'mending',
  degraded: 'degraded',
  damaged: 'damaged',
} as const satisfies Record<ClusterStatus['health'], string>

/** How long what is under way takes: nodes work side by side, so the slowest of them counts. */
function showHealing({ healing }: ClusterStatus): string[] {
  const { queued, waiting, unrepairableCount, lastVerifiedMs, checkedBlobs, mendedShards } = healing
  const { checkedFiles, damagedFiles } = healing
  const indent = '          '
  return [
    `Healing   ${queued} queued, ${waiting} waiting for a drive, ${unrepairableCount} unrepairable`,
    `${indent}since their starts nodes checked ${counted(checkedBlobs, 'blob')} and mended ${counted(mendedShards, 'shard')}`,
    `${indent}${checkedFiles} other files checked, ${damagedFiles} were damaged`,
    ...showOrphans(healing),
    ...(['check', 'scrub'] as const).flatMap((kind) => showPasses(healing.passes, kind)),
    ...(healing.moves === undefined ? [] : showMoving(healing.moves)),
    `Verified  ${lastVerifiedMs === undefined ? 'not by all nodes that lead now' : showTime(lastVerifiedMs)}`,
    ...showLost(healing),
  ]
}

function showOrphans({ orphans }: HealingStatus): string[] {
  if (!orphans?.deleted) return []
  const shards = counted(orphans.deleted, 'shard')
  return [`          ${shards} that no object names deleted, ${showBytes(orphans.deletedBytes)}`]
}

/** Those of one kind together. */
function showPasses(passes: readonly PassStatus[], kind: PassStatus['kind']): string[] {
  const own = passes.filter((pass) => pass.kind === kind)
  if (own.length === 0) return []
  const blobs = own.reduce((sum, pass) => sum + pass.blobs, 0)
  const left = own.map(({ leftMs }) => leftMs)
  const leftMs = left.every((ms) => ms !== undefined) ? Math.max(...left) : 0
  const toGo = leftMs > 0 ? `, about ${showDuration(leftMs)} to go` : ''
  return [
    `          ${kind} by ${counted(own.length, 'node')}: ${counted(blobs, 'blob')} seen${toGo}`,
  ]
}

function showEtcd({ etcd: { kind, sinceMs, why } }: ClusterStatus): string {
  if (kind === 'current') return 'answers'
  const since = sinceMs === undefined ? '' : ` since ${showTime(sinceMs)}`
  const reason = why === undefined ? '' : `: ${why.replace(/^etcd does not answer: /, '')}`
  return kind === 'away' ? `does not answer${since}${reason}` : `is not believed${since}${reason}`
}

function showAnswers(answers: boolean | undefined, isHeardByEtcd: boolean | undefined): string {
  if (answers === undefined) return 'is not asked: the map has no drive of it'
  if (answers) return 'answers'
  if (isHeardByEtcd === undefined) return 'does not answer'
  return isHeardByEtcd
    ? 'does not answer, but etcd hears it'
    : 'does not answer, nor does etcd hear it'
}

function showDrive({ state, reason, isLeaving, answers }: ClusterDriveStatus): string {
  const why = reason === undefined ? '' : ` (${reason})`
  const fate = isLeaving && state === 'out' ? ', to be removed' : ''
  return `${state}${why}${fate}${answers || state === 'out' ? '' : ', its node does not answer'}`
}

/** In one line; by themselves only those that something is wrong with, beyond a node that does not answer and that they do without. */
function showPartitions({ partitions, replicas, drives }: ClusterStatus): string[] {
  const nodeOf = new Map(drives.map(({ id, nodeId }) => [id, nodeId ?? '']))
  const serves = ({ isLed, hasMajority }: ClusterPartitionStatus): boolean => isLed && hasMajority
  const serving = partitions.filter(serves)
  const whole = partitions.filter(({ there }) => there >= replicas)
  const odd = partitions.filter(
    (one) => !serves(one) || one.replicas.length < replicas || one.isChanging,
  )
  return [
    `Metadata  ${serving.length} of ${partitions.length} partitions serve, ${whole.length} have all ${replicas} replicas`,
    ...alignColumns(
      odd.map((one) => [
        ...['         ', `partition ${one.id}`, `epoch ${one.epoch}`],
        showLead(one, nodeOf),
        `on drives ${one.replicas.join(', ')}${one.isChanging ? ', changing' : ''}`,
        one.hasMajority ? '' : `without a majority: ${one.there} there`,
      ]),
    ),
  ]
}

function showLead(
  { primary, isLed }: ClusterPartitionStatus,
  nodeOf: ReadonlyMap<number, string>,
): string {
  if (primary === undefined) return 'nobody leads'
  return `led by ${nodeOf.get(primary)}${isLed ? '' : ', which does not answer'}`
}
