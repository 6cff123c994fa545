// What nodes and gateways remember of etcd, read from their state directories, as evidence for a restore.

import type { ClusterRestoreConfig } from '../config-cluster.ts'
import { prepareDigests } from '../digest/prepare.ts'
import { Exit } from '../exit.ts'
import type { World } from '../kit/world.ts'
import type { EtcdClient } from '../placement/etcd/etcd-client.ts'
import { readKnownCopy } from '../placement/etcd/known-copy.ts'
import {
  type Evidence,
  type RestoreOutcome,
  restoreCoordinator,
} from '../placement/etcd/restore-coordinator.ts'
import { readAgreed } from '../placement/etcd/state-keys.ts'

export type { RestoreOutcome }

/** The etcd that is restored, and the disk with the state directories. `random` draws the id of the new head, and orphans are held from now on. */
export interface RestoreParts {
  etcd: EtcdClient
  world: Pick<World, 'clock' | 'disk' | 'random'>
}

/** Restores etcd from these directories. Throws Exit when one of them is of no use, or of another cluster. */
export async function restoreFrom(
  { etcd: { prefix }, directories, forsakesEtcd }: ClusterRestoreConfig,
  { etcd, world }: RestoreParts,
): Promise<RestoreOutcome> {
  await prepareDigests()
  const evidence: Evidence[] = []
  for (const directory of directories) evidence.push(await evidenceIn(directory, world))
  refuseStrangers(evidence)
  return await restoreCoordinator(evidence, { prefix, forsakeEtcd: forsakesEtcd }, { etcd, world })
}

/** Whoever names a directory believes that it says something: silence would hide that it does not. */
async function evidenceIn(directory: string, world: Pick<World, 'disk'>): Promise<Evidence> {
  const copy = await readKnownCopy(world, directory)
  if (copy.kind === 'found') return { name: directory, known: copy.image }
  const why =
    copy.kind === 'none'
      ? 'is no state directory of a node or gateway: it has no file "known"'
      : 'has a damaged file "known"'
  throw new Exit(4, `${directory} ${why}. Leave it out.`)
}

function refuseStrangers(evidence: readonly Evidence[]): void {
  const clusters = new Map<string, string>()
  for (const { name, known } of evidence) {
    const clusterId = known && readAgreed(known)?.state.clusterId
    if (clusterId !== undefined) clusters.set(clusterId, name)
  }
  if (clusters.size <= 1) return
  throw new Exit(4, `${[...clusters.values()].join(' and ')} are of different clusters.`)
}
