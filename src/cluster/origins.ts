// Where the nodes of a cluster are, as this process asks them: the registry in etcd, followed.
import type { EtcdMirror } from '../placement/etcd/mirror.ts'
import type { NodeRegistry } from '../placement/etcd/node-registry.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'

/** Tells `peers` of every node from now on, and of every change; returns how to stop. `except`: this process itself. */
export function followOrigins(
  { nodes, mirror, peers }: { nodes: NodeRegistry; mirror: EtcdMirror; peers: NodePeers },
  except?: string,
): () => void {
  const tell = (): void => {
    const others = nodes.list().filter(({ id }) => id !== except)
    void peers.setOrigins(new Map(others.map(({ id, address }) => [id, address])))
  }
  tell()
  return mirror.onChange(tell)
}
