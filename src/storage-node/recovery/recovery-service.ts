// What a node answers to `kintsugi cluster recover`: how it is with replicas, what dumps and shards of a partition it has; and it
// takes the rows of a new replica. Reading changes nothing, and a replica that was made counts only once a record names it.
import type { World } from '../../kit/world.ts'
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import { type DumpDrive, findDumps, readDump } from '../dump/dump-files.ts'
import type { LeftLogPage, ReplicaStanding, RowsPage } from '../replicated/contract.ts'
import { encodePage } from '../replicated/replica-messages.ts'
import { HeldPages } from '../rpc/held-pages.ts'
import { MessageType } from '../rpc/messages.ts'
import type { NodeService, RequestContext } from '../rpc/node-service.ts'
import { BadMessage } from '../rpc/trouble.ts'
import { Inbox } from './inbox.ts'
import {
  decodeRecovery,
  encodeIds,
  encodeLogPage,
  encodeShards,
  encodeStandings,
  encodeTimes,
  type RecoveryRequest,
  type WholeShard,
} from './recovery-messages.ts'

/** What recovery needs of the replicas of a node. */
export interface RecoveringHost {
  /** Resolves when no replica of a partition here takes anything of a primary before this epoch any more. */
  fence(partition: number, epoch: number): Promise<void>
  /** How it is with a replica that is to be on a drive of this node. */
  standing(id: ReplicaId, partition: number): ReplicaStanding
  /** The rows of a replica that lives here, as of one position. */
  readReplica(id: ReplicaId, partition: number, signal: AbortSignal): AsyncIterable<RowsPage>
  /** What is left of the log of a replica behind a sequence, also where that is damaged. Throws where its drive is not open. */
  readLog(id: ReplicaId, after: number): AsyncIterable<LeftLogPage>
  /** Makes a replica with these rows; it is durable when this resolves. Throws, and leaves nothing, when they do not come to their end. */
  install(id: ReplicaId, partition: number, pages: AsyncIterable<RowsPage>): Promise<void>
  /** Deletes a replica that was installed and that no decision names. Throws when one does. */
  discard(id: ReplicaId): Promise<void>
}

/** What of this node is read, and the host that takes the rows of new replicas. */
export interface RecoveryServiceParts {
  world: Pick<World, 'clock' | 'disk'>
  host: RecoveringHost
  /** Those that are here and work. */
  drives(): readonly DumpDrive[]
  /** Ids of those whose shards can be read. */
  openDrives(): readonly number[]
  /** All shards of a metadata partition that are whole, on the drives of this node. A page comes soon, and may be empty. */
  shards(partition: number, signal: AbortSignal): AsyncIterable<readonly WholeShard[]>
}

/** Who recovers reads one thing after the other; two may be left over from one that was broken off. */
const READINGS_MAX = 4
/** A page, and a large row at its end. */
const PAGE_ROOM_BYTES = 2 * 1024 * 1024

/** The last resort, as nodes see it. */
export class RecoveryService implements NodeService {
  readonly messages: NodeService['messages']
  readonly streams: NodeService['streams'] = new Map()
  readonly #parts: RecoveryServiceParts
  readonly #rows: HeldPages<RowsPage>
  readonly #shards: HeldPages<readonly WholeShard[]>
  readonly #entries: HeldPages<LeftLogPage>
  #making: { name: string; inbox: Inbox } | undefined

  constructor(parts: RecoveryServiceParts) {
    this.#parts = parts
    this.#rows = new HeldPages(READINGS_MAX, parts.world.clock)
    this.#shards = new HeldPages(READINGS_MAX, parts.world.clock)
    this.#entries = new HeldPages(READINGS_MAX, parts.world.clock)
    this.messages = new Map([
      [MessageType.Recover, (body, context) => this.#answer(decodeRecovery(body), context)],
    ])
  }

  /** Ends what is under way. */
  close(): void {
    this.#rows.close()
    this.#entries.close()
    this.#shards.close()
    this.#making?.inbox.end(new Error('the node is closing'))
  }

  async #answer(request: RecoveryRequest, context: RequestContext): Promise<Uint8Array> {
    const { host } = this.#parts
    switch (request.kind) {
      case 'standings': {
        const { replicas, partition } = request
        return encodeStandings(replicas.map((id) => host.standing(id, partition)))
      }
      case 'fence': {
        const { replicas, partition, epoch } = request
        await host.fence(partition, epoch)
        return encodeStandings(replicas.map((id) => host.standing(id, partition)))
      }
      case 'drives':
        return encodeIds(this.#parts.openDrives())
      case 'dumps': {
        const dumps = await this.#dumps(request.partition)
        return encodeTimes(dumps.map(({ takenMs }) => takenMs))
      }
      case 'dump-page': {
        await context.holdAnswer(PAGE_ROOM_BYTES)
        const name = `${context.from} ${request.reading}`
        return encodePage(await this.#rows.page(name, request.index, () => this.#readDump(request)))
      }
      case 'shards-page': {
        await context.holdAnswer(PAGE_ROOM_BYTES)
        const name = `${context.from} ${request.reading}`
        const open = (signal: AbortSignal) => this.#parts.shards(request.partition, signal)
        return encodeShards(await this.#shards.page(name, request.index, open))
      }
      case 'replica-page': {
        await context.holdAnswer(PAGE_ROOM_BYTES)
        const { reading, index, replica, partition } = request
        const open = (signal: AbortSignal) => host.readReplica(replica, partition, signal)
        return encodePage(await this.#rows.page(`${context.from} ${reading}`, index, open))
      }
      case 'log-page': {
        await context.holdAnswer(PAGE_ROOM_BYTES)
        const { reading, index, replica, after } = request
        const open = () => host.readLog(replica, after)
        return encodeLogPage(await this.#entries.page(`${context.from} ${reading}`, index, open))
      }
      case 'end-reading':
        this.#entries.end(`${context.from} ${request.reading}`)
        this.#rows.end(`${context.from} ${request.reading}`)
        this.#shards.end(`${context.from} ${request.reading}`)
        return new Uint8Array()
      case 'install':
        context.checkDeadline()
        await this.#install(`${context.from} ${request.making}`, request)
        return new Uint8Array()
      case 'discard':
        context.checkDeadline()
        await host.discard(request.replica)
        return new Uint8Array()
    }
  }

  async #dumps(partition: number): ReturnType<typeof findDumps> {
    const found = await findDumps(this.#parts.drives(), this.#parts.world)
    return found.filter((dump) => dump.partition === partition)
  }

  async *#readDump({
    partition,
    takenMs,
  }: RecoveryRequest & { kind: 'dump-page' }): AsyncGenerator<RowsPage> {
    const dump = (await this.#dumps(partition)).find((found) => found.takenMs === takenMs)
    if (dump === undefined) throw new Error('the dump is not here any more')
    let position: RowsPage['position'] | undefined
    for await (const chunk of readDump(dump, this.#parts.world)) {
      if (chunk.kind === 'head') {
        position = chunk.head.position
        yield { position, rows: [] }
      } else if (chunk.kind === 'rows' && position !== undefined) {
        const rows = chunk.rows.flatMap(({ key, value }) => (value ? [{ key, value }] : []))
        yield { position, rows }
      }
    }
  }

  /** One at a time: a second one begins when the first was given up. */
  async #install(
    name: string,
    { index, replica, partition, page }: RecoveryRequest & { kind: 'install' },
  ): Promise<void> {
    if (this.#making?.name !== name) {
      if (index !== 0) throw new BadMessage('the replica that is made is not known any more')
      this.#making?.inbox.end(new Error('another replica is made'))
      const inbox = new Inbox(this.#parts.world.clock)
      inbox.serve(this.#parts.host.install(replica, partition, inbox.pages()))
      this.#making = { name, inbox }
    }
    await this.#making.inbox.put(index, page)
  }
}
