// From what is known of a cluster to what may be said of it: its health in one word, with reasons. Pure.
import { sayFull } from '../embedded/store-health.ts'
import type { HealingStatus } from '../gateway/admin-api.ts'
import type { ClusterHealth, ClusterPartitionStatus } from '../gateway/cluster-api.ts'
import { counted } from '../kit/counted.ts'
import type { ClusterMap } from '../placement/cluster-map.ts'
import type { Described } from './described-drives.ts'

/** The worst that is true. `degraded`: sentences about what is not there. Nothing is healthy because nothing is known to be wrong. */
export function judgeCluster(
  degraded: readonly string[],
  healing: Pick<
    HealingStatus,
    'verified' | 'queued' | 'waiting' | 'unrepairableCount' | 'passes' | 'moves'
  >,
): { health: ClusterHealth; reasons: string[] } {
  const { queued, waiting, unrepairableCount, moves } = healing
  const findings: [ClusterHealth, string][] = []
  const find = (health: ClusterHealth, isSo: boolean, reason: string): void => {
    if (isSo) findings.push([health, reason])
  }
  find('damaged', unrepairableCount > 0, `${counted(unrepairableCount, 'blob')} can not be mended.`)
  for (const reason of degraded) find('degraded', true, reason)
  find(
    'degraded',
    waiting > 0,
    `${counted(waiting, 'blob')} ${waiting === 1 ? 'waits' : 'wait'} for a drive to put shards on.`,
  )
  find(
    'mending',
    queued > 0,
    `${counted(queued, 'blob')} ${queued === 1 ? 'is' : 'are'} to be mended.`,
  )
  const remaining = moves?.remainingShards ?? 0
  find(
    'mending',
    remaining > 0,
    `${counted(remaining, 'shard')} ${remaining === 1 ? 'is' : 'are'} to be moved.`,
  )
  find('serving', !healing.verified, sayUnverified(healing))
  return { health: findings[0]?.[0] ?? 'healthy', reasons: findings.map(([, reason]) => reason) }
}

/** What is wrong with metadata. `replicas`: that each partition is to have. */
export function sayPartitions(
  partitions: readonly ClusterPartitionStatus[],
  { replicas }: { replicas: number },
): string[] {
  const isSilent = ({ primary, isLed }: ClusterPartitionStatus): boolean =>
    primary !== undefined && !isLed
  const isMinority = (one: ClusterPartitionStatus): boolean =>
    one.replicas.length > 0 && !one.hasMajority
  const say = (isSo: (one: ClusterPartitionStatus) => boolean, one: string, many: string) => {
    const number = partitions.filter(isSo).length
    return number === 0
      ? []
      : [`${counted(number, 'metadata partition')} ${number === 1 ? one : many}`]
  }
  const lost = (whose: string): string =>
    `the majority of ${whose} replicas, and requests for ${whose} objects get 503: bring back what does not answer, or else see kintsugi cluster recover.`
  const silent = 'led by a node that does not answer.'
  const fewer = `fewer than ${replicas} replicas.`
  return [
    ...say(isMinority, `lacks ${lost('its')}`, `lack ${lost('their')}`),
    ...say(({ primary }) => primary === undefined, 'is led by nobody.', 'are led by nobody.'),
    ...say(isSilent, `is ${silent}`, `are ${silent}`),
    ...say((one) => one.replicas.length < replicas, `has ${fewer}`, `have ${fewer}`),
  ]
}

/** What is wrong with drives that the map has in service, as far as their nodes say. */
export function sayDrives({ drives }: Pick<ClusterMap, 'drives'>, described: Described): string[] {
  const found = drives.flatMap(({ id, nodeId = '', state }) => {
    const here = described.get(nodeId)?.drives.find(({ driveId }) => driveId === id)
    return state === 'out' || here === undefined ? [] : [{ ...here, id }]
  })
  const failed = found.filter(({ failure }) => failure !== undefined)
  const verb = failed.length === 1 ? 'is' : 'are'
  const which = failed.map(({ id, failure }) => `drive ${id}: ${failure}`).join(', ')
  const served = found.map(({ id, level }) => ({ id, ...(level ? { space: { level } } : {}) }))
  return [
    ...(failed.length === 0
      ? []
      : [
          `${failed.length} of ${counted(drives.length, 'drive')} ${verb} not in service (${which}).`,
        ]),
    ...sayFull(served, drives.length),
  ]
}

function sayUnverified({ passes }: Pick<HealingStatus, 'passes'>): string {
  return passes.some(({ kind }) => kind === 'scrub')
    ? 'Not every byte was verified by the nodes that lead now; a pass is under way.'
    : 'Not every byte was verified by the nodes that lead now: kintsugi heal begins a pass.'
}
