// What a node answers to the hosts of replicas on other nodes.
import { Overloaded } from '../../kit/semaphore.ts'
import type { World } from '../../kit/world.ts'
import { MessageType } from '../rpc/messages.ts'
import type { NodeService, RequestContext } from '../rpc/node-service.ts'
import { BadMessage } from '../rpc/trouble.ts'
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

export interface ReplicaServiceParts {
  host: Pick<ReplicasOfNode, 'receive' | 'serveRows' | 'prepare' | 'lives'> & RowJobParts['host']
  world: Pick<World, 'clock'>
  transport: Pick<PeerTransport, 'takeFor'>
}

/** Rows that are being copied away. */
interface Copy {
  pages: AsyncIterator<RowsPage>
  ending: AbortController
  index: number
  /** That of `index`: asked for again it is given again. */
  page: Promise<RowsPage | undefined>
  usedMs: number
}

const COPIES_MAX = 8
const IDLE_MS = 60_000
// A page, and a large row at its end.
const PAGE_ROOM_BYTES = 2 * 1024 * 1024

/** Replicas, as other nodes ask them. */
export class ReplicaService implements NodeService {
  readonly messages: NodeService['messages']
  readonly streams: NodeService['streams'] = new Map()
  readonly #parts: ReplicaServiceParts
  readonly #copies = new Map<string, Copy>()
  readonly #jobs: RowJobs

  constructor(parts: ReplicaServiceParts) {
    this.#parts = parts
    this.#jobs = new RowJobs(parts)
    this.messages = new Map([
      [MessageType.Metadata, (body, context) => this.#answer(decodeRequest(body), context)],
    ])
  }

  /** Ends copies that are under way. */
  close(): void {
    for (const name of [...this.#copies.keys()]) this.#end(name)
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
        return encodePage(await this.#page(`${context.from} ${request.copy}`, request))
      case 'end-copy':
        this.#end(`${context.from} ${request.copy}`)
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
    name: string,
    request: ReplicaRequest & { kind: 'page' },
  ): Promise<RowsPage | undefined> {
    const copy = this.#copies.get(name) ?? this.#begin(name, request)
    copy.usedMs = this.#parts.world.clock.monotonicMs()
    if (request.index === copy.index + 1) {
      copy.index = request.index
      copy.page = next(copy.pages)
    } else if (request.index !== copy.index) throw new BadMessage('pages are asked for in order')
    return await copy.page
  }

  #begin(name: string, { index, source, partition }: ReplicaRequest & { kind: 'page' }): Copy {
    if (index !== 0) throw new BadMessage('the copy of rows is not known any more')
    if (this.#copies.size >= COPIES_MAX) throw new Overloaded('too many copies of rows are made')
    const ending = new AbortController()
    const rows = this.#parts.host.serveRows(source, partition, ending.signal)
    const pages = rows[Symbol.asyncIterator]()
    const usedMs = this.#parts.world.clock.monotonicMs()
    const copy: Copy = { pages, ending, index: 0, page: next(pages), usedMs }
    this.#copies.set(name, copy)
    void this.#endWhenIdle(name, copy)
    return copy
  }

  /** Who asks for no more pages may have gone: what is read for it must not be held for ever. */
  async #endWhenIdle(name: string, copy: Copy): Promise<void> {
    const { clock } = this.#parts.world
    while (!copy.ending.signal.aborted) {
      await clock.sleep(IDLE_MS, copy.ending.signal).catch(() => undefined) // It was ended.
      if (clock.monotonicMs() - copy.usedMs >= IDLE_MS) this.#end(name)
    }
  }

  #end(name: string): void {
    const copy = this.#copies.get(name)
    if (copy === undefined) return
    this.#copies.delete(name)
    copy.ending.abort(new Error('the copy was ended'))
    // It fails because it was ended: nobody waits for it.
    copy.page.catch(() => undefined)
    copy.pages.return?.().catch(() => undefined)
  }
}

async function next(pages: AsyncIterator<RowsPage>): Promise<RowsPage | undefined> {
  const result = await pages.next()
  return result.done ? undefined : result.value
}
