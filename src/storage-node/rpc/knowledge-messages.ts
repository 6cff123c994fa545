// What a node knows of etcd, as bytes and back. Layout: docs/formats/node-protocol.md.
import type { EtcdKnowledge } from '../../placement/etcd/history.ts'
import { cbor, unpack } from './cbor.ts'
import { MessageType } from './messages.ts'
import type { NodeService } from './node-service.ts'
import type { NodePeers } from './peers.ts'
import { count, list, record, text } from './shapes.ts'

const knowledge = list(
  record<EtcdKnowledge>({
    ...{ clusterId: text, revision: count },
    ...{ generation: count, epoch: count, head: text },
  }),
)

/** Tells others what this node knows of etcd: a list of one, or of none where there is no cluster in it yet. */
export function answerWhatItKnows(known: () => EtcdKnowledge | undefined): NodeService {
  const answer = async (): Promise<Uint8Array> => {
    const found = known()
    return cbor.encode(knowledge(found === undefined ? [] : [found], 'ignored'))
  }
  return { messages: new Map([[MessageType.WhatDoYouKnow, answer]]), streams: new Map() }
}

/** What another node knows of etcd. Rejects as NodePeers.ask() does, and with BadMessage. */
export async function askWhatItKnows(
  nodeId: string,
  { peers, deadlineMs }: { peers: Pick<NodePeers, 'ask'>; deadlineMs: number },
): Promise<EtcdKnowledge | undefined> {
  const request = { type: MessageType.WhatDoYouKnow, body: new Uint8Array(), deadlineMs }
  const [found] = unpack(await peers.ask(nodeId, request), knowledge, 'ignored')
  return found
}
