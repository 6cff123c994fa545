// What a node says of the others that it asks for signs of life, as bytes and back. Layout: docs/formats/node-protocol.md.
import type { HeardNode } from '../../placement/witnesses.ts'
import { cbor, unpack } from './cbor.ts'
import { MessageType } from './messages.ts'
import type { NodeService } from './node-service.ts'
import type { NodePeers } from './peers.ts'
import { flag, list, number, record, text } from './shapes.ts'

const heardNodes = list(record<HeardNode>({ nodeId: text, silentMs: number, hasAnswered: flag }))

/** Bytes of whom a node hears. */
export function encodeHeard(heard: readonly HeardNode[]): Uint8Array {
  return cbor.encode(heardNodes([...heard], 'ignored'))
}

/** Whom a node hears. Throws BadMessage. */
export function decodeHeard(bytes: Uint8Array): readonly HeardNode[] {
  return unpack(bytes, heardNodes, 'ignored')
}

/** Tells others whom this node hears. */
export function answerWhomItHears(heard: () => readonly HeardNode[]): NodeService {
  return {
    messages: new Map([[MessageType.WhomDoYouHear, async () => encodeHeard(heard())]]),
    streams: new Map(),
  }
}

/** Whom another node hears. Rejects as NodePeers.ask() does, and with BadMessage. */
export async function askWhomItHears(
  nodeId: string,
  { peers, deadlineMs }: { peers: Pick<NodePeers, 'ask'>; deadlineMs: number },
): Promise<readonly HeardNode[]> {
  const request = { type: MessageType.WhomDoYouHear, body: new Uint8Array(), deadlineMs }
  return decodeHeard(await peers.ask(nodeId, request))
}
