// Where the nodes of a cluster are, as this process asks them: the registry in etcd, followed.
import type { Log } from '../kit/log.ts'
import type { EtcdMirror } from '../placement/etcd/mirror.ts'
import type { NodeRegistry } from '../placement/etcd/node-registry.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'

/** The registry that is followed, and the peers that are told. An address that is no URL is logged once, and not told. */
export interface OriginsParts {
  nodes: Pick<NodeRegistry, 'list'>
  mirror: Pick<EtcdMirror, 'onChange'>
  peers: Pick<NodePeers, 'setOrigins'>
  log: Log
}

/** Tells `peers` of every node from now on, and of every change; returns how to stop. `except`: this process itself. */
export function followOrigins(
  { nodes, mirror, peers, log }: OriginsParts,
  except?: string,
): () => void {
  const refused = new Set<string>()
  /** What one node says of itself must not be the end of the others: without an address it can not be reached, as one that is away. */
  const isOrigin = (node: string, address: string): boolean => {
    if (URL.canParse(address)) return true
    if (!refused.has(address))
      log.error({ node, address }, 'a node gives no address: see --advertise')
    refused.add(address)
    return false
  }
  const tell = (): void => {
    const origins = new Map<string, string>()
    for (const { id, address } of nodes.list())
      if (id !== except && isOrigin(id, address)) origins.set(id, address)
    peers.setOrigins(origins).catch((error) => {
      log.error({ error }, 'connections to nodes that have moved could not be closed')
    })
  }
  tell()
  return mirror.onChange(tell)
}
