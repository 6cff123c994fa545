// What a recovery of a cluster runs on: a process that knows the cluster by etcd and asks its nodes, as a gateway does, and keeps nothing.
import type { ClusterRecoverConfig } from '../config-cluster.ts'
import { prepareDigests } from '../digest/digest.ts'
import { Exit } from '../exit.ts'
import { asBuffer } from '../kit/bytes.ts'
import { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import type { EtcdMirror } from '../placement/etcd/mirror.ts'
import { NodeRegistry } from '../placement/etcd/node-registry.ts'
import { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import { Peers } from '../storage-node/rpc/peers.ts'
import { openEtcdForCommand, readTlsFiles } from './etcd.ts'
import { hearEveryone } from './hearsay.ts'
import { identityIn } from './identity.ts'
import { followOrigins } from './origins.ts'
import type { ClusterRecoverParts } from './recover-cluster.ts'

/**
 * Opens it. Rejects with CoordinatorUnavailable when etcd is away, or has no cluster, and with Exit when nodes know more than etcd has: by what it
 * says partitions would be taken for lost that live, and be replaced.
 */
export async function openForRecovery(
  config: Pick<ClusterRecoverConfig, 'etcd' | 'nodeTls'>,
  { world, log }: { world: World; log: Log },
): Promise<ClusterRecoverParts & { close(): Promise<void> }> {
  await prepareDigests()
  const opened = new ClosingStack()
  return await opened.guard(async () => {
    const etcd = await openEtcdForCommand(config.etcd, world)
    const coordinator = await EtcdCoordinator.open(
      { prefix: config.etcd.prefix },
      { world, log, etcd },
    )
    opened.defer(() => coordinator.close())
    const tls = config.nodeTls && (await readTlsFiles(config.nodeTls, world))
    const identity = identityIn(coordinator, asBuffer(world.random.bytes(8)).toString('hex'))
    const peers = new Peers({ identity, ...(tls ? { tls } : {}) }, world)
    opened.defer(() => peers.close())
    const { mirror } = coordinator
    const nodes = new NodeRegistry(mirror, { world, log })
    const stopFollowing = followOrigins({ nodes, mirror, peers, log })
    opened.defer(async () => stopFollowing())
    await refuseOlder({ world, peers, mirror, nodes: () => nodes.list().map(({ id }) => id) })
    return {
      ...{ world, log, coordinator },
      records: new PartitionRecords(mirror, world),
      recovery: new RemoteRecovery(peers, world),
      close: () => opened.close(),
    }
  })
}

/** The process knows of etcd only what etcd says: all nodes are asked whether they know more. Throws Exit where one does, or etcd went away. */
export async function refuseOlder(
  parts: Parameters<typeof hearEveryone>[0] & { mirror: Pick<EtcdMirror, 'standing'> },
): Promise<void> {
  await hearEveryone(parts)
  const { standing } = parts.mirror
  if (standing.kind === 'away') throw new Exit(1, `etcd went away: ${standing.why}.`)
  if (standing.kind === 'restored')
    throw new Exit(
      4,
      `etcd is not what nodes knew before (${standing.why}), and they do not act by what it says: nothing was changed. Run kintsugi cluster restore-coordinator first.`,
    )
}
