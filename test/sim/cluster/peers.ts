// The ways to the other nodes as a simulated process has them: lanes as shipped, over a network that is simulated.
import type { World } from '../../../src/kit/world.ts'
import type { StorageNode } from '../../../src/storage-node/contract.ts'
import { type AskedRequest, Lane, type LaneRequest } from '../../../src/storage-node/rpc/lane.ts'
import { MessageType } from '../../../src/storage-node/rpc/messages.ts'
import type { AskedPeer } from '../../../src/storage-node/rpc/peer.ts'
import type { NodePeers, Origins } from '../../../src/storage-node/rpc/peers.ts'
import { RemoteNode } from '../../../src/storage-node/rpc/remote-node.ts'
import type { SendOptions } from '../../../src/storage-node/rpc/transport.ts'
import { NodeFailed, NodeUnreachable } from '../../../src/storage-node/rpc/trouble.ts'
import type { Batch, End, SimNetwork } from './network.ts'

/** No shard is larger here: each goes in one message. */
const MESSAGE_SHARD_BYTES = 1024 * 1024

/** One process's ways. */
export class SimPeers implements NodePeers {
  readonly #self: End
  readonly #network: SimNetwork
  readonly #known = new Map<string, { peer: SimPeer; node: StorageNode }>()

  constructor(self: End, network: SimNetwork) {
    this.#self = self
    this.#network = network
  }

  async setOrigins(origins: Origins): Promise<void> {
    for (const id of this.#known.keys()) if (!origins.has(id)) this.#known.delete(id)
    for (const id of origins.keys()) {
      if (this.#known.has(id)) continue
      const peer = new SimPeer(id, this.#self, this.#network)
      const options = { messageShardBytes: MESSAGE_SHARD_BYTES }
      this.#known.set(id, { peer, node: new RemoteNode(peer, this.#world, options) })
    }
  }

  nodeOf(id: string): StorageNode | undefined {
    return this.#known.get(id)?.node
  }

  async send(to: string, body: Uint8Array, { lane, deadlineMs }: SendOptions): Promise<Uint8Array> {
    const request = { type: MessageType.Metadata, body, deadlineMs }
    return await this.#peerOf(to).ask(lane, request, 'metadata')
  }

  async askPartition(to: string, lane: string, request: LaneRequest): Promise<Uint8Array> {
    return await this.#peerOf(to).ask(lane, request, 'partitions')
  }

  async ask(to: string, request: LaneRequest): Promise<Uint8Array> {
    return await this.#peerOf(to).ask('upkeep', request, 'metadata')
  }

  async ping(to: string, deadlineMs: number): Promise<void> {
    const request = { type: MessageType.Ping, body: new Uint8Array(), deadlineMs }
    await this.#peerOf(to).ask('pulse', request, 'metadata')
  }

  async close(): Promise<void> {
    this.#known.clear()
  }

  get #world(): Pick<World, 'clock'> {
    return this.#self.process.world
  }

  #peerOf(to: string): SimPeer {
    const known = this.#known.get(to)
    if (known === undefined) throw new NodeUnreachable(`node ${to} has no address`, 'not-sent')
    return known.peer
  }
}

/** One other node. */
class SimPeer implements AskedPeer {
  readonly to: string
  readonly #self: End
  readonly #network: SimNetwork
  readonly #lanes = new Map<string, Lane>()

  constructor(to: string, self: End, network: SimNetwork) {
    this.to = to
    this.#self = self
    this.#network = network
  }

  get nowMs(): number {
    return this.#self.process.world.clock.monotonicMs()
  }

  async ask(name: string, request: LaneRequest, kind = 'shards'): Promise<Uint8Array> {
    const key = `${kind} ${name}`
    const lane = this.#lanes.get(key) ?? this.#openLane()
    this.#lanes.set(key, lane)
    return await lane.ask(request)
  }

  #openLane(): Lane {
    const gathered: AskedRequest[] = []
    const send = (asked: AskedRequest): void => {
      gathered.push(asked)
      if (gathered.length === 1) queueMicrotask(() => void this.#carry(gathered.splice(0)))
    }
    return new Lane(send, this.#self.process.world.clock)
  }

  /** What leaves in one moment shares its fate. */
  async #carry(requests: readonly AskedRequest[]): Promise<void> {
    let awaited = requests.length
    const batch: Batch = {
      ...{ requests, isGivenUp: false, onGivenUp: () => {} },
      onAnswer: (answer) => {
        const asked = requests[answer.id]!
        if (asked.isSettled) return
        awaited -= 1
        asked.settle(answer.kind === 'done' ? { body: answer.body } : { error: answer.failure })
      },
    }
    const giveUp = (): void => {
      awaited -= 1
      if (awaited > 0) return
      batch.isGivenUp = true
      batch.onGivenUp()
    }
    for (const asked of requests) asked.way = { giveUp }
    try {
      await this.#network.carry(this.#self, this.to, batch)
      settleAll(requests, new NodeFailed('a node left a request without an answer'))
    } catch (error) {
      settleAll(requests, error as Error)
    }
  }

  stream(): never {
    throw new Error('no shard is so large here that it is a stream')
  }
}

function settleAll(requests: readonly AskedRequest[], error: Error): void {
  for (const asked of requests) asked.settle({ error })
}
