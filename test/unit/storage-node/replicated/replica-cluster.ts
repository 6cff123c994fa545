// A few nodes in one process: machines that forget what was not synced, a network that loses messages, a coordinator in memory.
// Time passes only in step(), so that nothing depends on how fast the test runs.
import { setImmediate } from 'node:timers/promises'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import { type Log, silentLog } from '../../../../src/kit/log.ts'
import type { Clock } from '../../../../src/kit/world.ts'
import type { Decision, ReplicaId } from '../../../../src/metadata/replication/decision.ts'
import { isNewer } from '../../../../src/metadata/replication/decision.ts'
import { USUAL_LIMITS } from '../../../../src/metadata/replication/effects.ts'
import { parseReplicaId, replicaIdOf } from '../../../../src/metadata/replication/replica-id.ts'
import { Drive } from '../../../../src/storage-node/drive.ts'
import { formatDrive, inspectDrive } from '../../../../src/storage-node/drive-format.ts'
import type {
  Decisions,
  Reigning,
  ReplicaTransport,
  RowsPage,
} from '../../../../src/storage-node/replicated/contract.ts'
import { ReplicaHost } from '../../../../src/storage-node/replicated/replica-host.ts'
import { ForgetfulMachine } from '../../../crash/forgetful-machine.ts'
import type { Survival } from '../../../crash/forgetful-node.ts'
import { flushable } from '../../../crash/metadata-world.ts'
import { Seeded } from '../../../support/seeded.ts'

const PATH = '/drive'

/** Small, so that short tests cross every seam. */
const LIMITS = {
  fileBytes: 64 * 1024,
  retainBytes: 0,
  markerTicks: 5,
  protocol: { ...USUAL_LIMITS, unappliedBytes: 16_384, retainEntries: 8, retainBytes: 4096 },
}

/** A clock that goes on by steps. */
class StepClock implements Clock {
  #nowMs = 1_700_000_000_000
  #sleeping: { untilMs: number; wake: () => void }[] = []

  now(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) reject(signal.reason)
      const leave = (): void => reject(signal?.reason)
      const wake = (): void => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      this.#sleeping.push({ untilMs: this.#nowMs + ms, wake })
      signal?.addEventListener('abort', leave, { once: true })
    })
  }

  pass(ms: number): void {
    this.#nowMs += ms
    const due = this.#sleeping.filter(({ untilMs }) => untilMs <= this.#nowMs)
    this.#sleeping = this.#sleeping.filter(({ untilMs }) => untilMs > this.#nowMs)
    for (const { wake } of due) wake()
  }
}

/** Decisions in memory, which are changed by comparing. */
export class DecisionsInMemory implements Decisions {
  isAway = false
  readonly #decisions = new Map<number, Decision>()
  readonly #fences = new Map<number, number>()
  readonly #listeners = new Set<(partition: number) => void>()

  get(partition: number): Decision | undefined {
    return this.#decisions.get(partition)
  }

  fenceOf(partition: number): number | undefined {
    return this.#fences.get(partition)
  }

  /** Nobody leads in the epoch after the one of now. Gives that epoch. */
  fence(partition: number): number {
    const epoch = (this.get(partition)?.epoch ?? 0) + 1
    this.#decisions.delete(partition)
    this.#fences.set(partition, epoch)
    for (const listener of this.#listeners) listener(partition)
    return epoch
  }

  watch(listener: (partition: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async decide(partition: number, from: Decision, to: Decision): Promise<void> {
    await Promise.resolve()
    if (this.isAway) throw new Error('the coordinator is away')
    if (JSON.stringify(this.get(partition)) !== JSON.stringify(from)) return
    this.set(partition, to)
  }

  set(partition: number, decision: Decision): void {
    const known = this.get(partition)
    if (known !== undefined && !isNewer(decision, known)) throw new Error('not newer')
    this.#decisions.set(partition, decision)
    this.#fences.delete(partition)
    for (const listener of this.#listeners) listener(partition)
  }
}

/** A node with one drive, whose number is that of the node. */
export interface TestNode {
  id: number
  machine: ForgetfulMachine
  /** Undefined while it is down. */
  life: { host: ReplicaHost; drive: Drive; reigns: Map<number, Reigning> } | undefined
}

interface Travelling {
  from: number
  to: ReplicaId
  bytes: Uint8Array
}

/** Some nodes. */
export class ReplicaCluster {
  readonly decisions = new DecisionsInMemory()
  readonly nodes = new Map<number, TestNode>()
  /** Nodes that nobody hears, and who hear nobody. */
  readonly cut = new Set<number>()
  /** One of so many messages is lost; 0: none. */
  lossIn = 0
  /** Reigns of nodes that lost their power: nobody hears of their end. */
  readonly dead = new Set<Reigning>()
  /** How often rows were copied from one node to another. */
  copies = 0
  /** What nodes complained of. */
  readonly complaints: { data: object; sentence: string }[] = []
  readonly #seeded: Seeded
  readonly #clock = new StepClock()
  #travelling: Travelling[] = []

  private constructor(seed: number) {
    this.#seeded = new Seeded(seed)
  }

  static async make(count: number, seed = 1): Promise<ReplicaCluster> {
    await prepareDigests()
    const cluster = new ReplicaCluster(seed)
    for (let id = 1; id <= count; id += 1) await cluster.addNode(id)
    return cluster
  }

  /** A node with an empty drive. */
  async addNode(id: number): Promise<void> {
    const machine = new ForgetfulMachine(this.#seeded.below(1 << 30) + id)
    await machine.disk.makeDirectory(PATH)
    const marker = { format: 4, clusterId: 'test', driveId: id, uuid: `u${id}`, createdMs: 1 }
    await formatDrive(machine.world, PATH, marker)
    await machine.disk.syncDirectory('/')
    const node: TestNode = { id, machine, life: undefined }
    this.nodes.set(id, node)
    await this.start(id)
  }

  node(id: number): TestNode {
    const node = this.nodes.get(id)
    if (node === undefined) throw new Error(`there is no node ${id}`)
    return node
  }

  host(id: number): ReplicaHost {
    const { life } = this.node(id)
    if (life === undefined) throw new Error(`node ${id} is down`)
    return life.host
  }

  /** Makes the replicas of a partition on these nodes; the first of them is primary. */
  async found(partition: number, ids: readonly number[]): Promise<ReplicaId[]> {
    const replicas: ReplicaId[] = []
    for (const id of ids) {
      const incarnation = this.#seeded.bytes(8).toString('hex')
      const replica = replicaIdOf({ driveId: id, incarnation })
      await this.host(id).found(replica, partition)
      replicas.push(replica)
    }
    this.decisions.set(partition, {
      ...{ epoch: 1, primary: replicas[0]!, replicas, previous: undefined },
    })
    return replicas
  }

  /** Who serves a partition now. */
  reignOf(partition: number): Reigning | undefined {
    const reigns = [...this.nodes.values()].flatMap(({ life }) => {
      const reign = life?.reigns.get(partition)
      return reign === undefined || reign.ended.aborted ? [] : [reign]
    })
    return reigns.sort((one, other) => other.epoch - one.epoch)[0]
  }

  /** Starts a node over what its disk has. */
  async start(id: number): Promise<void> {
    const node = this.node(id)
    const { machine } = node
    const world = { ...machine.world, clock: this.#clock }
    const found = await inspectDrive(world, PATH)
    if (found.kind !== 'formatted') throw new Error(`drive ${id} is ${found.kind}`)
    const { openLevel } = machine.levels
    const drive = await Drive.open(world, PATH, found.marker, { openLevel })
    const reigns = new Map<number, Reigning>()
    const host = await ReplicaHost.open(
      { drives: new Map([[id, drive]]), limits: LIMITS },
      {
        ...{ world: world, log: this.#log, decisions: this.decisions },
        ...{ openLevel: flushable(machine), transport: this.#transportOf(node) },
      },
    )
    host.onReign((reign) => reigns.set(reign.partition, reign))
    node.life = { host, drive, reigns }
  }

  async stop(id: number): Promise<void> {
    const node = this.node(id)
    const { life } = node
    node.life = undefined
    await life?.host.close()
    await life?.drive.close()
  }

  /** The power goes off. */
  crash(id: number, survives: Survival): void {
    const node = this.node(id)
    for (const reign of node.life?.reigns.values() ?? []) this.dead.add(reign)
    node.life = undefined
    node.machine.disk.powerOffAfter(0)
    node.machine = node.machine.crash(survives, this.#seeded.below(1 << 30) + 1)
  }

  /** Some time passes, and what was sent arrives. */
  async step(times = 1): Promise<void> {
    for (let time = 0; time < times; time += 1) {
      this.#clock.pass(500)
      for (const { life } of this.nodes.values()) life?.host.tick()
      await this.settle()
    }
  }

  /** What was sent arrives, and what follows from it. */
  async settle(): Promise<void> {
    for (let round = 0; round < 12; round += 1) {
      await setImmediate()
      const arriving = this.#travelling
      this.#travelling = []
      for (const message of arriving) this.#deliver(message)
      if (arriving.length === 0 && round > 2) return
    }
  }

  /** Steps until it holds; fails after so many. */
  async until(what: string, holds: () => boolean, steps = 200): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      if (holds()) return
      await this.step()
    }
    throw new Error(`not after ${steps} steps: ${what}`)
  }

  /** Steps while it waits. */
  async wait<T>(work: Promise<T>, steps = 200): Promise<T> {
    let isOver = false
    const over = (): void => {
      isOver = true
    }
    work.then(over, over)
    for (let step = 0; step < steps && !isOver; step += 1) await this.step()
    if (!isOver) throw new Error(`not over after ${steps} steps`)
    return await work
  }

  async close(): Promise<void> {
    for (const id of this.nodes.keys()) await this.stop(id)
  }

  /** As all nodes have it. */
  get clock(): Clock {
    return this.#clock
  }

  get #log(): Log {
    return {
      ...silentLog,
      error: (data, sentence) => this.complaints.push({ data, sentence }),
      child: () => this.#log,
    }
  }

  #deliver({ from, to, bytes }: Travelling): void {
    const id = parseReplicaId(to)!.driveId
    if (this.cut.has(from) || this.cut.has(id)) return
    if (this.lossIn > 0 && this.#seeded.below(this.lossIn) === 0) return
    this.nodes.get(id)?.life?.host.receive(bytes)
  }

  #transportOf(node: TestNode): ReplicaTransport {
    const { machine, id } = node
    const lives = (): boolean => node.machine === machine
    return {
      send: (to, bytes) => {
        if (lives()) this.#travelling.push({ from: id, to, bytes })
      },
      copyRows: (source, partition, signal) => this.#copyRows(id, { source, partition, signal }),
      prepare: async (driveId, partition) => await this.host(driveId).prepare(driveId, partition),
      lives: async (replica, partition) =>
        this.host(parseReplicaId(replica)!.driveId).lives(replica, partition),
    }
  }

  async *#copyRows(
    to: number,
    { source, partition, signal }: { source: ReplicaId; partition: number; signal: AbortSignal },
  ): AsyncGenerator<RowsPage> {
    const from = parseReplicaId(source)!.driveId
    this.copies += 1
    for await (const page of this.host(from).serveRows(source, partition, signal)) {
      if (this.cut.has(from) || this.cut.has(to)) throw new Error('the network is cut')
      yield page
    }
  }
}

/** A change of one row. */
export function put(key: string, value: string): { key: Uint8Array; value: Uint8Array }[] {
  return [{ key: Buffer.from(key), value: Buffer.from(value) }]
}

/** What a served partition says of a key, after it made sure that it is the one to ask. */
export async function read(reign: Reigning, key: string): Promise<string | undefined> {
  await reign.log.confirm()
  const value = await reign.log.rows.get(Buffer.from(key))
  return value && Buffer.from(value).toString()
}
