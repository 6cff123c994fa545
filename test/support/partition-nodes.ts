// Nodes that lead metadata partitions and a network between them and who asks, all in one process, for tests.
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '../../src/kit/log.ts'
import { type Clock, realWorld } from '../../src/kit/world.ts'
import type { MetadataPartition } from '../../src/metadata/contract.ts'
import type { LaneRequest } from '../../src/storage-node/rpc/lane.ts'
import { decodeAnswer, encodeDone, encodeFailed } from '../../src/storage-node/rpc/messages.ts'
import type { NodeService } from '../../src/storage-node/rpc/node-service.ts'
import type {
  PartitionTransport,
  PrimaryHints,
} from '../../src/storage-node/rpc/partition-seams.ts'
import { PartitionService } from '../../src/storage-node/rpc/partition-service.ts'
import { joinServices } from '../../src/storage-node/rpc/peers.ts'
import { NodeRefused, NodeUnreachable } from '../../src/storage-node/rpc/trouble.ts'
import { UpkeepService, type UpkeepWork } from '../../src/storage-node/rpc/upkeep-service.ts'

/** A request on its way to a node. */
export interface Sent {
  to: string
  lane: string
  request: LaneRequest
}

/** What befalls a request: `deliver` has the node answer it, as often as it is called. */
export type Fault = (sent: Sent, deliver: () => Promise<Uint8Array>) => Promise<Uint8Array>

/** Whose timers keep the process: between two attempts there is nothing else. */
export const PATIENT_WORLD = {
  random: realWorld().random,
  clock: {
    ...realWorld().clock,
    sleep: async (ms: number, signal?: AbortSignal): Promise<void> => {
      await sleep(ms, undefined, signal ? { signal } : {})
    },
  },
}

/** Nodes by name; each leads what a test says. Also the coordinator that all of them ask who leads. */
export class PartitionNodes implements PartitionTransport, PrimaryHints {
  readonly sent: Sent[] = []
  /** What befalls every request. */
  fault: Fault = (_sent, deliver) => deliver()
  readonly #services = new Map<string, NodeService>()
  readonly #listeners = new Set<(partition: number) => void>()
  readonly #primaries = new Map<number, string>()
  readonly #clock: Clock

  constructor(clock: Clock = PATIENT_WORLD.clock) {
    this.#clock = clock
  }

  /** A node that leads what `findLed` finds. `redirect`: whom it names to those who come to the wrong one. */
  add(
    name: string,
    findLed: (partition: number) => MetadataPartition | undefined,
    redirect = (partition: number): string | undefined => this.primaryOf(partition),
    upkeep?: UpkeepWork,
  ): void {
    const primaries = { primaryOf: redirect }
    const service = new PartitionService({ findLed, primaries, clock: this.#clock, log: silentLog })
    const more = upkeep ? [new UpkeepService({ findLed, primaries, upkeep })] : []
    this.#services.set(name, joinServices([service, ...more]))
  }

  primaryOf(partition: number): string | undefined {
    return this.#primaries.get(partition)
  }

  watch(listener: (partition: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Everybody hears that the node leads the partition. */
  setPrimary(partition: number, node: string): void {
    this.#primaries.set(partition, node)
    for (const listener of this.#listeners) listener(partition)
  }

  /** What listens. */
  get listeners(): number {
    return this.#listeners.size
  }

  askPartition(to: string, lane: string, request: LaneRequest): Promise<Uint8Array> {
    const sent = { to, lane, request }
    this.sent.push(sent)
    return this.fault(sent, () => this.#deliver(sent))
  }

  /** As NodeServer and Peer do it, without frames. */
  async #deliver({ to, request }: Sent): Promise<Uint8Array> {
    const service = this.#services.get(to)
    if (service === undefined) throw new NodeUnreachable(`there is no node ${to}`, 'not-sent')
    const gone = new AbortController()
    const answer = decodeAnswer(await this.#run(service, request, gone.signal))
    if (answer.kind === 'failed') throw answer.failure
    return answer.body
  }

  async #run(
    service: NodeService,
    { type, body, deadlineMs }: LaneRequest,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const checkDeadline = (): void => {
      if (this.#clock.monotonicMs() >= deadlineMs)
        throw new NodeRefused('the deadline is over', 'late')
    }
    const context = { from: 'g1', deadlineMs, signal, checkDeadline, holdAnswer: async () => {} }
    try {
      checkDeadline()
      const handler = service.messages.get(type)
      const answer = await handler!(Uint8Array.from(body), context)
      return Buffer.concat([encodeDone(0), ...(answer instanceof Uint8Array ? [answer] : answer)])
    } catch (error) {
      return encodeFailed(0, error)
    }
  }
}
