// What a recovery of a cluster runs on: a process that knows the cluster by etcd and asks its nodes, as a gateway does, and keeps nothing.
import type { ClusterRecoverConfig } from '../config-cluster.ts'
import { prepareDigests } from '../digest/digest.ts'
import { asBuffer } from '../kit/bytes.ts'
import { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import { NodeRegistry } from '../placement/etcd/node-registry.ts'
import { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import { Peers } from '../storage-node/rpc/peers.ts'
import { openEtcdForCommand, readTlsFiles } from './etcd.ts'
import { identityIn } from './identity.ts'
import { followOrigins } from './origins.ts'
import type { ClusterRecoverParts } from './recover-cluster.ts'

/** Opens it. Rejects with CoordinatorUnavailable when etcd is away, or has no cluster. */
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
    return {
      ...{ world, log, coordinator },
      records: new PartitionRecords(mirror, world),
      recovery: new RemoteRecovery(peers, world),
      close: () => opened.close(),
    }
  })
}
