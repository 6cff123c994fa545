// What a node answers to the hosts of replicas on other nodes.
import type { World } from '../../kit/world.ts'
import { HeldPages } from '../rpc/held-pages.ts'
import { MessageType } from '../rpc/messages.ts'
import type { NodeService, RequestContext } from '../rpc/node-service.ts'
import type { ReplicasOfNode, RowsPage } from './contract.ts'
import type { PeerTransport } from './peer-transport.ts'
import {
  decodeRequest,
  encodeDigest,
  encodeFlag,
  encodeMessages,
  encodePage,
  encodeRenewal,
  encodeReplica,
  type ReplicaRequest,
} from './replica-messages.ts'
import { type RowJobParts, RowJobs } from './row-jobs.ts'

/** The replicas here, and what waits to be sent to whoever asks: it goes along with the answer. */
export interface ReplicaServiceParts {
  host: Pick<ReplicasOfNode, 'receive' | 'serveRows' | 'prepare' | 'lives'> & RowJobParts['host']
  world: Pick<World, 'clock'>
  transport: Pick<PeerTransport, 'takeFor'>
}

const COPIES_MAX = 8
// A page, and a large row at its end.
const PAGE_ROOM_BYTES = 2 * 1024 * 1024

/** Replicas, as other nodes ask them. */
export class ReplicaService implements NodeService {
  readonly messages: NodeService['messages']
  readonly streams: NodeService['streams'] = new Map()
  readonly #parts: ReplicaServiceParts
  readonly #copies: HeldPages<RowsPage>
  readonly #jobs: RowJobs

  constructor(parts: ReplicaServiceParts) {
    this.#parts = parts
    this.#copies = new HeldPages(COPIES_MAX, parts.world.clock)
    this.#jobs = new RowJobs(parts)
    this.messages = new Map([
      [MessageType.Metadata, (body, context) => this.#answer(decodeRequest(body), context)],
    ])
  }

  /** Ends copies that are under way. */
  close(): void {
    this.#copies.close()
    this.#jobs.close()
  }

  async #answer(request: ReplicaRequest, context: RequestContext): Promise<Uint8Array> {
    const { host } = this.#parts
    switch (request.kind) {
      case 'messages':
        for (const message of request.messages) host.receive(message)
        return await this.#answersFor(context)
      case 'prepare':
        return encodeReplica(await host.prepare(request.driveId, request.partition))
      case 'lives':
        return encodeFlag(host.lives(request.replica, request.partition))
      case 'page':
        await context.holdAnswer(PAGE_ROOM_BYTES)
        return encodePage(await this.#page(context.from, request))
      case 'end-copy':
        this.#copies.end(`${context.from} ${request.copy}`)
        return new Uint8Array()
      case 'digest':
        return encodeDigest(
          this.#jobs.digest(`${context.from} ${request.ask} ${request.replica}`, request),
        )
      case 'renew':
        return encodeRenewal(this.#jobs.renew(request.replica, request.partition, request.source))
    }
  }

  /** Most of what is said can be answered at once: that saves a request of our own. */
  async #answersFor({ from, holdAnswer }: RequestContext): Promise<Uint8Array> {
    const messages = this.#parts.transport.takeFor(from)
    const bytes = messages.reduce((sum, { length }) => sum + length, 0)
    if (bytes > 0) await holdAnswer(bytes)
    return encodeMessages(messages)
  }

  async #page(
    from: string,
    { copy, index, source, partition }: ReplicaRequest & { kind: 'page' },
  ): Promise<RowsPage | undefined> {
    return await this.#copies.page(`${from} ${copy}`, index, (signal) =>
      this.#parts.host.serveRows(source, partition, signal),
    )
  }
}
