// kintsugi cluster restore-coordinator: what nodes and gateways remember takes the place of what etcd lost.

import { openEtcdForCommand } from '../cluster/etcd.ts'
import { type RestoreOutcome, restoreFrom } from '../cluster/restore.ts'
import { loadClusterRestoreConfig } from '../config-cluster.ts'
import { Exit } from '../exit.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import { orExit } from './etcd-exit.ts'
import { type CommandWords, loadConfig } from './load-config.ts'

/** Restores, and says up to where all is known. Throws Exit. */
export async function restoreCoordinatorCommand(words: CommandWords): Promise<void> {
  const world = realWorld()
  const config = await loadConfig(words, loadClusterRestoreConfig, world)
  const etcd = await openEtcdForCommand(config.etcd, world)
  const outcome = await stayAlive(orExit(restoreFrom(config, { etcd, world })))
  if (outcome.kind !== 'restored') throw refusal(outcome, config.etcd.prefix)
  process.stdout.write(words.json ? `${JSON.stringify(outcome)}\n` : describe(outcome))
}

function refusal(outcome: Exclude<RestoreOutcome, { kind: 'restored' }>, prefix: string): Exit {
  if (outcome.kind === 'nothing')
    return new Exit(4, 'none of these directories remembers a cluster.')
  if (outcome.kind === 'other-cluster')
    return new Exit(
      4,
      `etcd has cluster ${outcome.present} under ${prefix}, and these directories are of cluster ${outcome.remembered}: nothing was changed. See --etcd and --etcd-prefix. Only if nobody uses that cluster any more: delete its keys with "etcdctl del --prefix ${prefix}", and run this again.`,
    )
  const [newest, others] = [outcome.newest, outcome.others].map((names) => names.join(', '))
  return new Exit(
    4,
    `two histories, and both may have been acted upon. One: ${newest}. The other: ${others}. What was decided in one of them has to be given up: leave out its directories, and say --forsake-etcd where it is etcd.`,
  )
}

function describe({ epoch, from, asOf }: RestoreOutcome & { kind: 'restored' }): string {
  const lines = [
    `etcd has what ${from} remembers, as epoch ${epoch}. Nodes and gateways go on by themselves.`,
    'Shards that no object names are kept from now on. When nothing is missed: kintsugi release-orphans.',
    `Not known: what was decided after epoch ${asOf.epoch}, and which partitions of metadata changed after revision ${asOf.revision} of the etcd before. A node or gateway that was not named may remember more: then the drives that a partition moved to since count for nothing.`,
  ]
  return `${lines.join('\n')}\n`
}
