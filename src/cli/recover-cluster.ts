// kintsugi cluster recover: which metadata partitions of a cluster lost the majority of their replicas, and what could be made again.
import {
  type ClusterRecoverOutcome,
  type RecoveredOfCluster,
  recoverCluster,
} from '../cluster/recover-cluster.ts'
import { openForRecovery } from '../cluster/recovering.ts'
import { loadClusterRecoverConfig } from '../config-cluster.ts'
import { openLog } from '../kit/log.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import { showTime } from './amounts.ts'
import { orExit } from './etcd-exit.ts'
import { type CommandWords, loadConfig } from './load-config.ts'
import { CAVEATS, showReport } from './recover.ts'

/** Says what is lost and what could be made of it. Throws Exit, with code 4 when that needs nodes that do not answer. */
export async function recoverClusterCommand(words: CommandWords): Promise<void> {
  const world = realWorld()
  const config = await loadConfig(words, loadClusterRecoverConfig, world)
  const parts = { world, log: openLog('warn') }
  const work = async (): Promise<ClusterRecoverOutcome> => {
    const opened = await openForRecovery(config, parts)
    try {
      return await recoverCluster(config, opened)
    } finally {
      await opened.close()
    }
  }
  const outcome = await stayAlive(orExit(work()))
  const text = words.json
    ? JSON.stringify(outcome, undefined, 2)
    : showClusterRecovery(outcome).join('\n')
  process.stdout.write(`${text}\n`)
}

/** What was found, in lines. */
export function showClusterRecovery({
  mode,
  partitions,
  buckets,
}: ClusterRecoverOutcome): string[] {
  if (partitions.length === 0)
    return [
      'Every partition of metadata has a majority of its replicas: nothing is to be recovered.',
    ]
  const end = {
    plan: 'Nothing was changed. --dry-run says what would come out. To carry it out is not there yet.',
    rehearse: 'Nothing was changed: this is what would come out. To carry it out is not there yet.',
    recover:
      'Nodes lead by themselves what was recovered, within a minute. Then run kintsugi heal --wait.',
  }
  const isMade = partitions.some(({ report }) => report !== undefined)
  return [
    ...partitions.flatMap((partition) => showPartition(partition, buckets)),
    end[mode],
    ...(isMade ? CAVEATS : []),
  ]
}

function showPartition(
  { partition, way, replicas, dumpMs, report }: RecoveredOfCluster,
  buckets: ClusterRecoverOutcome['buckets'],
): string[] {
  const seen = replicas.map(({ replica, node, standing, end }) => {
    const where = `drive ${replica.split('-')[0]}${node === undefined ? '' : ` of node ${node}`}`
    return `  ${where}: ${STANDINGS[standing] ?? standing}${end === undefined ? '' : ` ${end}`}`
  })
  const dump = dumpMs === undefined ? 'there is no dump' : `there is a dump of ${showTime(dumpMs)}`
  const what = {
    waits:
      'waits for replicas that do not answer, and that may have everything: bring them back. --without-missing says that they are gone for good.',
    survivor:
      'lost the majority of its replicas. What it has left is what the one has that goes furthest; what only the others had acknowledged is lost.',
    rebuild: `has no replica that lives and has more than a dump; ${dump}. Rows can be made again from that and from shards.`,
  }
  return [
    `Partition ${partition} ${what[way]}`,
    ...seen,
    ...(report ? showReport(report, buckets) : []),
  ]
}

const STANDINGS: Record<string, string> = {
  lives: 'lives, and its log ends at',
  suspect: 'lives, and its rows are not trusted',
  damaged: 'damaged',
  gone: 'gone',
  closed: 'does not answer',
}
