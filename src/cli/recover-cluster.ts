// kintsugi cluster recover: which metadata partitions of a cluster lost the majority of their replicas, and what is made again of what is
// left of them.

import { sayMissing } from '../cluster/missing-drives.ts'
import {
  type ClusterRecoverOutcome,
  type RecoveredOfCluster,
  recoverCluster,
} from '../cluster/recover-cluster.ts'
import { openForRecovery } from '../cluster/recovering.ts'
import type { Replay } from '../cluster/replica-logs.ts'
import { loadClusterRecoverConfig } from '../config-cluster.ts'
import { Exit } from '../exit.ts'
import { openLog } from '../kit/log.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import { showTime } from './amounts.ts'
import { orExit } from './etcd-exit.ts'
import { type CommandWords, loadConfig } from './load-config.ts'
import { CAVEATS, showReport } from './recover.ts'

/** Says what is lost, and recovers it with --yes. Throws Exit: with code 4 when drives are missing, with 1 when somebody else was quicker. */
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
  refuseHalf(outcome)
}

/** What was to be done and was not is no success. */
function refuseHalf({ mode, partitions, missing }: ClusterRecoverOutcome): void {
  if (mode === 'plan') return
  const idsOf = (list: typeof partitions): string =>
    list.map(({ partition }) => partition).join(', ')
  const waiting = partitions.filter(({ way }) => way === 'waits')
  if (waiting.length > 0)
    throw new Exit(
      4,
      missing.length > 0
        ? `partitions ${idsOf(waiting)} wait for drives ${missing.map(({ driveId }) => driveId).join(', ')}.`
        : `partitions ${idsOf(waiting)} wait, for a node went away meanwhile: run it again.`,
    )
  const changed = partitions.filter(({ isDone }) => isDone === false)
  if (changed.length > 0)
    throw new Exit(
      1,
      `partitions ${idsOf(changed)} were changed by somebody else meanwhile, and nothing of this was kept: look again.`,
    )
}

/** What was found and done, in lines. */
export function showClusterRecovery(outcome: ClusterRecoverOutcome): string[] {
  const { mode, partitions, missing, givenUp, buckets } = outcome
  if (partitions.length === 0)
    return [
      'Every partition of metadata has a majority of its replicas: nothing is to be recovered.',
    ]
  const isMade = partitions.some(({ report }) => report !== undefined)
  return [
    ...partitions.flatMap((partition) => showPartition(partition, mode, buckets)),
    ...showMissing(missing),
    ...(givenUp.length > 0
      ? [`Given up, with all that only they have: drives ${givenUp.join(', ')}.`]
      : []),
    ...showEnd(outcome),
    ...(isMade ? CAVEATS : []),
  ]
}

function showMissing(missing: ClusterRecoverOutcome['missing']): string[] {
  if (missing.length === 0) return []
  const ids = missing.map(({ driveId }) => driveId).join(',')
  return [
    'These drives can not be read, and may have replicas, dumps and shards that nothing else has:',
    ...sayMissing(missing),
    `Bring them back first. Where they are gone for good, and never come back, give them up by name: --without-missing ${ids}`,
  ]
}

function showEnd({ mode, partitions }: ClusterRecoverOutcome): string[] {
  if (mode === 'plan')
    return ['Nothing was changed. --dry-run says what would come out, --yes does it.']
  if (partitions.every(({ way }) => way === 'waits')) return ['Nothing was recovered.']
  if (mode === 'rehearse') return ['Nothing was changed: this is what --yes would do.']
  return [
    'Nodes lead by themselves what was recovered, within a minute. Then run kintsugi heal --wait.',
  ]
}

function showPartition(
  { partition, way, replicas, dumpMs, replay, report, isDone }: RecoveredOfCluster,
  mode: ClusterRecoverOutcome['mode'],
  buckets: ClusterRecoverOutcome['buckets'],
): string[] {
  const seen = replicas.map(({ replica, node, standing, end }) => {
    const where = `drive ${replica.split('-')[0]}${node === undefined ? '' : ` of node ${node}`}`
    return `  ${where}: ${STANDINGS[standing] ?? standing}${end === undefined ? '' : ` ${end}`}`
  })
  const dump = dumpMs === undefined ? 'there is no dump' : `there is a dump of ${showTime(dumpMs)}`
  const what = {
    waits: 'lost the majority of its replicas, and waits for drives that can not be read.',
    survivor:
      'lost the majority of its replicas. It goes on with the rows of the one that goes furthest, what logs have behind them, and what shards tell beyond that; what only the others had acknowledged and neither logs nor shards tell is lost.',
    rebuild: `has no replica that lives and has more than a dump; ${dump}. Rows are made again from that, from what logs have behind it, and from shards.`,
    returned: 'has a majority of its replicas again meanwhile: it goes on with what those have.',
  }
  const done = {
    true: ['  It was recovered.'],
    false: ['  Somebody else changed it meanwhile: nothing of this was kept.'],
  }
  return [
    `Partition ${partition} ${what[way]}`,
    ...seen,
    ...(replay ? showReplay(replay) : []),
    ...(report ? showReport(report, buckets, way === 'survivor' ? 'the replica' : 'the dump') : []),
    ...(mode === 'recover' && isDone !== undefined ? done[`${isDone}`] : []),
  ]
}

/** What came from logs, and what of them is known to be missing. */
function showReplay({ replayed, end, acknowledgedEnd, logs }: Replay): string[] {
  const count = (entries: number): string => (entries === 1 ? '1 entry' : `${entries} entries`)
  const uses = logs.flatMap(({ replica, gained, unused, isWhole }) => {
    const log = `  the log of drive ${replica.split('-')[0]}`
    return [
      ...(gained > 0 ? [`${log} has ${gained} of them, which no replica has that lives`] : []),
      ...(isWhole ? [] : [`${log} lost something, or can not be read: nobody knows how it ended`]),
      ...(unused > 0
        ? [
            `${log} has ${count(unused)} beyond that, not used: what leads to them is lost, or others took their place`,
          ]
        : []),
    ]
  })
  return [
    `  ${count(replayed)} of logs behind the rows, up to ${end}`,
    ...uses,
    ...(acknowledgedEnd === undefined
      ? []
      : [
          `  acknowledged up to ${acknowledgedEnd}, by what logs say: what is behind ${end} is in none that can be read; what no shard tells of it is lost`,
        ]),
  ]
}

const STANDINGS: Record<string, string> = {
  lives: 'lives, and its log ends at',
  suspect: 'lives, and its rows are not trusted',
  damaged: 'damaged',
  gone: 'gone',
  closed: 'does not answer',
}
