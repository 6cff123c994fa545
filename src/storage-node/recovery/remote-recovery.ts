// What `kintsugi cluster recover` asks of the nodes. A page whose answer is lost is asked for again: nodes give it again.
import { asBuffer } from '../../kit/bytes.ts'
import type { World } from '../../kit/world.ts'
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import type { LeftLogPage, ReplicaStanding, RowsPage } from '../replicated/contract.ts'
import { decodePage } from '../replicated/replica-messages.ts'
import { MessageType } from '../rpc/messages.ts'
import type { NodePeers } from '../rpc/peers.ts'
import { NodeUnreachable } from '../rpc/trouble.ts'
import {
  decodeIds,
  decodeLogPage,
  decodeShards,
  decodeStandings,
  decodeTimes,
  encodeRecovery,
  type LogRequest,
  type RecoveryRequest,
  type WholeShard,
} from './recovery-messages.ts'

const ASK_MS = 15_000
// Drives that are slow, and pages that are large.
const PAGE_MS = 60_000
const TRIES = 3

/** The nodes, as a recovery sees them. Everything rejects with NodeUnreachable when a node does not answer. */
export class RemoteRecovery {
  readonly #peers: Pick<NodePeers, 'ask'>
  readonly #world: Pick<World, 'clock' | 'random'>

  constructor(peers: Pick<NodePeers, 'ask'>, world: Pick<World, 'clock' | 'random'>) {
    this.#peers = peers
    this.#world = world
  }

  /** How it is with replicas that are to be on drives of a node, in their order. */
  async standings(
    node: string,
    partition: number,
    replicas: readonly ReplicaId[],
  ): Promise<ReplicaStanding[]> {
    const request = { kind: 'standings', partition, replicas } as const
    return decodeStandings(await this.#ask(node, request, ASK_MS))
  }

  /**
   * Nobody leads the partition in this epoch: resolves, with how it is with these replicas, when no replica of it there takes anything of a primary
   * before it any more, whatever happens.
   */
  async fence(
    node: string,
    { partition, epoch }: { partition: number; epoch: number },
    replicas: readonly ReplicaId[],
  ): Promise<ReplicaStanding[]> {
    const request = { kind: 'fence', partition, epoch, replicas } as const
    return decodeStandings(await this.#ask(node, request, ASK_MS))
  }

  /** The drives of a node whose shards can be read. */
  async drives(node: string): Promise<number[]> {
    return decodeIds(await this.#ask(node, { kind: 'drives' }, ASK_MS))
  }

  /** When the dumps of a partition were taken that a node has. */
  async dumps(node: string, partition: number): Promise<number[]> {
    return decodeTimes(await this.#ask(node, { kind: 'dumps', partition }, ASK_MS))
  }

  /** The rows of a dump. Rejects with NodeFailed when it is damaged. */
  async *readDump(node: string, partition: number, takenMs: number): AsyncGenerator<RowsPage> {
    const reading = this.#draw()
    yield* this.#read(node, reading, (index) => {
      return [{ kind: 'dump-page', reading, index, partition, takenMs }, decodePage]
    })
  }

  /** The rows of a replica that lives, as of one position. */
  async *readReplica(
    node: string,
    partition: number,
    replica: ReplicaId,
  ): AsyncGenerator<RowsPage> {
    const reading = this.#draw()
    yield* this.#read(node, reading, (index) => {
      return [{ kind: 'replica-page', reading, index, replica, partition }, decodePage]
    })
  }

  /** What is left of the log of a replica behind a sequence, also of one that is damaged. */
  async *readLog(node: string, { replica, after }: LogRequest): AsyncGenerator<LeftLogPage> {
    const reading = this.#draw()
    yield* this.#read(node, reading, (index) => {
      return [{ kind: 'log-page', reading, index, replica, after }, decodeLogPage]
    })
  }

  /** All whole shards of a partition on the drives of a node. Pages may be empty. */
  async *shards(node: string, partition: number): AsyncGenerator<readonly WholeShard[]> {
    const reading = this.#draw()
    yield* this.#read<readonly WholeShard[]>(node, reading, (index) => {
      return [{ kind: 'shards-page', reading, index, partition }, decodeShards]
    })
  }

  /** Makes a replica with these rows, durably. It counts for nothing before a record names it. */
  async install(
    node: string,
    { replica, partition }: { replica: ReplicaId; partition: number },
    pages: Iterable<RowsPage>,
  ): Promise<void> {
    const making = this.#draw()
    let index = 0
    const put = async (page: RowsPage | undefined): Promise<void> => {
      const request = { kind: 'install', making, index, replica, partition, page } as const
      await this.#ask(node, request, PAGE_MS)
      index += 1
    }
    for (const page of pages) await put(page)
    await put(undefined)
  }

  /** A replica that was installed is not wanted: it is deleted. Rejects with NodeFailed when a decision names it. */
  async discard(node: string, replica: ReplicaId): Promise<void> {
    await this.#ask(node, { kind: 'discard', replica }, ASK_MS)
  }

  async *#read<Page>(
    node: string,
    reading: number,
    page: (index: number) => [RecoveryRequest, (bytes: Uint8Array) => Page | undefined],
  ): AsyncGenerator<Page> {
    try {
      for (let index = 0; ; index += 1) {
        const [request, decode] = page(index)
        const found = decode(await this.#ask(node, request, PAGE_MS))
        if (found === undefined) return
        yield found
      }
    } finally {
      // Who is not told forgets it by itself.
      this.#ask(node, { kind: 'end-reading', reading }, ASK_MS).catch(() => undefined)
    }
  }

  async #ask(node: string, request: RecoveryRequest, waitMs: number): Promise<Uint8Array> {
    const body = encodeRecovery(request)
    for (let tries = 1; ; tries += 1) {
      const deadlineMs = this.#world.clock.monotonicMs() + waitMs
      try {
        return await this.#peers.ask(node, { type: MessageType.Recover, body, deadlineMs })
      } catch (error) {
        if (!(error instanceof NodeUnreachable) || tries === TRIES) throw error
      }
    }
  }

  #draw(): number {
    return asBuffer(this.#world.random.bytes(6)).readUIntLE(0, 6)
  }
}
