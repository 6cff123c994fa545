// A node whose state directory was copied, and that runs twice: each of both says to the map that the drives of the other one
// are not there, and they are out. A lock tells of one directory, not of a copy.
import { Exit } from '../exit.ts'
import type { Clock } from '../kit/world.ts'
import type { NodeRegistry } from '../placement/etcd/node-registry.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'

/** Who has not answered by then is taken to be gone: it was this node, before it was started again. */
const ANSWER_MS = 10_000

/** Where nodes are, and how one is asked. */
export interface TwinParts {
  nodes: Pick<NodeRegistry, 'list'>
  openPeers(): Pick<NodePeers, 'setOrigins' | 'ping' | 'close'>
  clock: Pick<Clock, 'monotonicMs'>
}

/**
 * Throws Exit where somebody answers for `nodeId` where it registered last. To be asked before this process listens, so that it is not itself
 * who answers. Sessions are refused by who has another id: whoever listens there in its place by now is no twin.
 */
export async function refuseTwin(
  nodeId: string,
  { nodes, openPeers, clock }: TwinParts,
): Promise<void> {
  const address = nodes.list().find(({ id }) => id === nodeId)?.address
  if (address === undefined || !URL.canParse(address)) return
  const peers = openPeers()
  try {
    await peers.setOrigins(new Map([[nodeId, address]]))
    const answered = await peers.ping(nodeId, clock.monotonicMs() + ANSWER_MS).then(
      () => true,
      () => false, // Nobody is there, or somebody else: as after every restart.
    )
    if (!answered) return
  } finally {
    await peers.close()
  }
  throw new Exit(
    4,
    `node ${nodeId} runs already, at ${address}: this state directory is a copy of its own, and only one of both can be that node. End that one first if this one is to be it, or join with another --state.`,
  )
}
