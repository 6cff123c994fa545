// All other nodes of a cluster, as this process asks them: one Peer for each that it has an address of.
import type { Clock, World } from '../../kit/world.ts'
import type { StorageNode } from '../contract.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import type { LaneRequest } from './lane.ts'
import { MessageType } from './messages.ts'
import type { NodeService } from './node-service.ts'
import type { PartitionTransport } from './partition-seams.ts'
import { Peer, type PeerOptions } from './peer.ts'
import { RemoteNode } from './remote-node.ts'
import type { MessageTransport, SendOptions } from './transport.ts'
import { NodeUnreachable } from './trouble.ts'

/** Where a node listens, such as `http://10.0.0.3:9100`, by its id. */
export type Origins = ReadonlyMap<string, string>

interface Known {
  origin: string
  peer: Peer
  node: RemoteNode
}

/** All ways to the other nodes: Peers, or the network of a simulation. */
export type NodePeers = Pick<
  Peers,
  'setOrigins' | 'nodeOf' | 'send' | 'askPartition' | 'ask' | 'ping' | 'close'
> &
  Partial<Pick<Peers, 'heardMs' | 'askClock'>>

/** The other nodes. */
export class Peers implements MessageTransport, PartitionTransport {
  readonly #options: Pick<PeerOptions, 'identity' | 'limits' | 'tls'>
  readonly #world: Pick<World, 'clock' | 'random'>
  readonly #known = new Map<string, Known>()

  constructor(
    options: Pick<PeerOptions, 'identity' | 'limits' | 'tls'>,
    world: Pick<World, 'clock' | 'random'>,
  ) {
    this.#options = options
    this.#world = world
  }

  /** Takes the addresses of all nodes. What is under way to one that has moved, or is not among them, is broken off. */
  async setOrigins(origins: Origins): Promise<void> {
    const gone = [...this.#known].filter(([id, { origin }]) => origins.get(id) !== origin)
    for (const [id] of gone) this.#known.delete(id)
    for (const [id, origin] of origins) {
      if (!this.#known.has(id)) this.#known.set(id, this.#open(id, origin))
    }
    await Promise.all(gone.map(([, { peer }]) => peer.close()))
  }

  /** The shards of a node; undefined when it has no address. */
  nodeOf(id: string): StorageNode | undefined {
    return this.#known.get(id)?.node
  }

  async send(to: string, bytes: Uint8Array, options: SendOptions): Promise<Uint8Array> {
    const { deadlineMs, lane } = options
    const request = { type: MessageType.Metadata, body: bytes, deadlineMs }
    return await this.#peerOf(to).ask(lane, request, 'metadata')
  }

  async askPartition(to: string, lane: string, request: LaneRequest): Promise<Uint8Array> {
    return await this.#peerOf(to).ask(lane, request, 'partitions')
  }

  /** Asks a node something small that is not about shards or partitions. Rejects as send() does. */
  async ask(to: string, request: LaneRequest): Promise<Uint8Array> {
    return await this.#peerOf(to).ask('upkeep', request, 'metadata')
  }

  /** Whether a node answers: rejects as send() does. */
  async ping(to: string, deadlineMs: number): Promise<void> {
    await this.askClock(to, deadlineMs)
  }

  /** As ping(): what the clock of the node says, in milliseconds since 1970; undefined of one that does not tell. */
  async askClock(to: string, deadlineMs: number): Promise<number | undefined> {
    const request = { type: MessageType.Ping, body: new Uint8Array(), deadlineMs }
    const answer = await this.#peerOf(to).ask('pulse', request, 'metadata')
    return answer.length === 0 ? undefined : new FieldReader(answer).u64()
  }

  /** When a node last answered a small request, whatever it was, on the monotonic clock; undefined when it never did. */
  heardMs(of: string): number | undefined {
    return this.#known.get(of)?.peer.heardMs
  }

  /** Breaks off what is under way. */
  async close(): Promise<void> {
    await this.setOrigins(new Map())
  }

  #peerOf(to: string): Peer {
    const known = this.#known.get(to)
    if (known === undefined) throw new NodeUnreachable(`node ${to} has no address`, 'not-sent')
    return known.peer
  }

  #open(to: string, origin: string): Known {
    const peer = new Peer({ ...this.#options, to, origin }, this.#world)
    return { origin, peer, node: new RemoteNode(peer, this.#world) }
  }
}

/** What a node answers to those who only want to know whether it does: what its clock says. */
export function answerPings({ now }: Pick<Clock, 'now'>): NodeService {
  const answer = async (): Promise<Uint8Array> => new FieldWriter().u64(Math.floor(now())).end()
  return {
    messages: new Map([[MessageType.Ping, answer]]),
    streams: new Map(),
  }
}

/** One service that does what all of them do. */
export function joinServices(services: readonly NodeService[]): NodeService {
  return {
    messages: new Map(services.flatMap(({ messages }) => [...messages])),
    streams: new Map(services.flatMap(({ streams }) => [...streams])),
  }
}
