// The ways from the replicas here to those on other nodes. Messages to one node travel together, whatever partitions they are of.
import { asBuffer, mebibytes } from '../../kit/bytes.ts'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import { parseReplicaId } from '../../metadata/replication/replica-id.ts'
import type { MessageTransport } from '../rpc/transport.ts'
import { NodeUnreachable } from '../rpc/trouble.ts'
import type { RowsTransport } from './compare-replicas.ts'
import type { ReplicaTransport, RowsPage } from './contract.ts'
import {
  decodeDigest,
  decodeFlag,
  decodeMessages,
  decodePage,
  decodeRenewal,
  decodeReplica,
  encodeRequest,
  type ReplicaRequest,
} from './replica-messages.ts'
import type { RenewalState } from './row-jobs.ts'
import type { DigestState } from './rows-digest.ts'

/** The other nodes, and which of them has a drive. `random` draws the number of each copy. */
export interface PeerTransportParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  peers: MessageTransport
  /** The id of the node that has a drive; undefined for a drive that nobody has. */
  nodeOf: (driveId: number) => string | undefined
}

const MESSAGE_MS = 10_000
const ASK_MS = 10_000
const PAGE_MS = 25_000
const END_MS = 5_000

/** What the replicas of a node say to others. */
export class PeerTransport implements ReplicaTransport, RowsTransport {
  readonly #parts: PeerTransportParts
  readonly #outboxes = new Map<string, Outbox>()
  #receive: (message: Uint8Array) => void = () => {}

  constructor(parts: PeerTransportParts) {
    this.#parts = parts
  }

  /** Messages that come as answers go to `receive` from now on; those before are lost, as any may be. */
  hear(receive: (message: Uint8Array) => void): void {
    this.#receive = receive
  }

  /** What waits to be sent to a node, for who is about to answer it: it need not be sent then. */
  takeFor(node: string): readonly Uint8Array[] {
    return this.#outboxes.get(node)?.take() ?? []
  }

  send(to: ReplicaId, bytes: Uint8Array): void {
    const node = this.#nodeOf(to)
    if (node === undefined) return
    const known = this.#outboxes.get(node)
    const outbox = known ?? new Outbox((messages) => this.#sendAll(node, messages))
    if (known === undefined) this.#outboxes.set(node, outbox)
    outbox.add(bytes)
  }

  async *copyRows(
    source: ReplicaId,
    partition: number,
    signal: AbortSignal,
  ): AsyncGenerator<RowsPage> {
    const node = this.#needNode(source)
    const copy = asBuffer(this.#parts.world.random.bytes(6)).readUIntLE(0, 6)
    try {
      for (let index = 0; ; index += 1) {
        signal.throwIfAborted()
        const request = { kind: 'page', copy, index, source, partition } as const
        const page = decodePage(await this.#ask(node, request, PAGE_MS, 'copies'))
        if (page === undefined) return
        yield page
      }
    } finally {
      // Who is not told forgets it by itself.
      this.#ask(node, { kind: 'end-copy', copy }, END_MS, 'copies').catch(() => undefined)
    }
  }

  async prepare(driveId: number, partition: number): Promise<ReplicaId> {
    const node = this.#parts.nodeOf(driveId)
    if (node === undefined) throw new NodeUnreachable(`no node has drive ${driveId}`, 'not-sent')
    const request = { kind: 'prepare', driveId, partition } as const
    return decodeReplica(await this.#ask(node, request, ASK_MS, 'replicas asked'))
  }

  async lives(replica: ReplicaId, partition: number): Promise<boolean> {
    const request = { kind: 'lives', replica, partition } as const
    const node = this.#needNode(replica)
    return decodeFlag(await this.#ask(node, request, ASK_MS, 'replicas asked'))
  }

  async digest(
    replica: ReplicaId,
    request: { ask: number; partition: number; sequence: number },
  ): Promise<DigestState> {
    const whole = { kind: 'digest', replica, ...request } as const
    return decodeDigest(await this.#ask(this.#needNode(replica), whole, ASK_MS, 'digests'))
  }

  async renew(replica: ReplicaId, partition: number, source: ReplicaId): Promise<RenewalState> {
    const request = { kind: 'renew', replica, partition, source } as const
    return decodeRenewal(await this.#ask(this.#needNode(replica), request, ASK_MS, 'digests'))
  }

  async #sendAll(node: string, messages: readonly Uint8Array[]): Promise<void> {
    const answer = await this.#ask(node, { kind: 'messages', messages }, MESSAGE_MS, 'replicas')
    try {
      for (const message of decodeMessages(answer)) this.#receive(message)
    } catch (error) {
      // What was sent did arrive: it is not lost for that.
      const data = { node, error: String(error) }
      this.#parts.log.warn(data, 'what a node answers to messages of replicas is not understood')
    }
  }

  async #ask(
    node: string,
    request: ReplicaRequest,
    waitMs: number,
    lane: string,
  ): Promise<Uint8Array> {
    const deadlineMs = this.#parts.world.clock.monotonicMs() + waitMs
    return await this.#parts.peers.send(node, encodeRequest(request), { deadlineMs, lane })
  }

  #needNode(replica: ReplicaId): string {
    const node = this.#nodeOf(replica)
    if (node === undefined) throw new NodeUnreachable(`no node has replica ${replica}`, 'not-sent')
    return node
  }

  #nodeOf(replica: ReplicaId): string | undefined {
    const name = parseReplicaId(replica)
    return name && this.#parts.nodeOf(name.driveId)
  }
}

const UNDER_WAY_MAX = 2
// A message of one large entry goes alone.
const TOGETHER_BYTES = mebibytes(1)
const TOGETHER_MAX = 1024
const WAITING_BYTES = mebibytes(64)
const WAITING_MAX = 16_384

/** Messages that wait for one node. When it does not answer they are lost, as the protocol expects: what matters is said again. */
class Outbox {
  readonly #send: (messages: readonly Uint8Array[]) => Promise<void>
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #underWay = 0
  #isFlushing = false

  constructor(send: (messages: readonly Uint8Array[]) => Promise<void>) {
    this.#send = send
  }

  add(message: Uint8Array): void {
    const isFull = this.#waiting.length >= WAITING_MAX || this.#waitingBytes >= WAITING_BYTES
    if (isFull) return
    this.#waiting.push(message)
    this.#waitingBytes += message.length
    if (this.#isFlushing) return
    this.#isFlushing = true
    // All that is said in one turn of the event loop goes together.
    queueMicrotask(() => {
      this.#isFlushing = false
      this.#flush()
    })
  }

  /** As many as go together. */
  take(): Uint8Array[] {
    let bytes = 0
    let count = 0
    for (const { length } of this.#waiting) {
      if (count > 0 && (count >= TOGETHER_MAX || bytes + length > TOGETHER_BYTES)) break
      bytes += length
      count += 1
    }
    this.#waitingBytes -= bytes
    return this.#waiting.splice(0, count)
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#underWay < UNDER_WAY_MAX) {
      void this.#sendSome(this.take())
    }
  }

  async #sendSome(messages: readonly Uint8Array[]): Promise<void> {
    this.#underWay += 1
    try {
      await this.#send(messages)
    } catch {
      // What was said meanwhile is as old as that which did not arrive.
      this.#waiting = []
      this.#waitingBytes = 0
    } finally {
      this.#underWay -= 1
      this.#flush()
    }
  }
}
