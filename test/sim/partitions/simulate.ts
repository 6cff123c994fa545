// Gateways that ask a metadata partition over a bad network, while it goes from node to node: one seeded world. The modules
// that are shipped run; log, time and network are of the test. What they were told is checked for linearizability.
import { prepareDigests } from '../../../src/digest/digest.ts'
import { Overloaded } from '../../../src/kit/semaphore.ts'
import type { Uid } from '../../../src/kit/uid.ts'
import type {
  MetadataPartition,
  ReachablePartition,
  WriteConditions,
} from '../../../src/metadata/contract.ts'
import type { LogPosition, RowBatch } from '../../../src/metadata/log/contract.ts'
import { openPartition } from '../../../src/metadata/partition.ts'
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts'
import type { PrimaryHints } from '../../../src/storage-node/rpc/partition-seams.ts'
import { remotePartitions } from '../../../src/storage-node/rpc/remote-partition.ts'
import { NodeUnreachable } from '../../../src/storage-node/rpc/trouble.ts'
import { PartitionNodes, type Sent } from '../../support/partition-nodes.ts'
import type { Seeded } from '../../support/seeded.ts'
import { MemoryLog } from '../../unit/metadata/memory-log.ts'
import { ABSENT, type Condition, KeyHistory } from '../history.ts'
import { randomsFor } from '../randoms.ts'
import { SimTime } from '../time.ts'

/** What a seed may be run with, to see that it is found. */
export type PartitionBug =
  /** A primary that was deposed answers from its rows. */
  | 'confirms nothing'
  /** An attempt that nobody answered is taken for one that never arrived. */
  | 'unknown is not done'
  /** A command is taken however late it comes. */
  | 'no deadline'

/** What became of a world. */
export interface PartitionRun {
  failures: string[]
  counts: { done: number; refused: number; unknown: number; reads: number; handovers: number }
}

const START_MS = 1_763_000_000_000
const NODES = ['n1', 'n2', 'n3']
const KEYS = ['a', 'b']
const CLIENTS = 5
const OPERATIONS = 14
const WAITS = { commitMs: 1500, questionMs: 1500, attemptMs: 250 }
const LONGEST_MS = 600_000

const bucket = { id: 7, revision: 1, versioning: 'unversioned' as const }

/** One world, from its seed. */
export async function simulatePartition(seed: number, bug?: PartitionBug): Promise<PartitionRun> {
  await prepareDigests()
  const world = new PartitionWorld(seed, bug)
  await world.time.drive(world.run(), LONGEST_MS)
  return world.outcome()
}

/** What one gateway has heard of who leads. */
class Hearsay implements PrimaryHints {
  #primary: string | undefined
  #listener: (partition: number) => void = () => {}

  primaryOf(): string | undefined {
    return this.#primary
  }

  watch(listener: (partition: number) => void): () => void {
    this.#listener = listener
    return () => {}
  }

  hear(node: string): void {
    this.#primary = node
    this.#listener(0)
  }
}

/** A log that takes its time, and may belong to somebody else by now. */
class SlowLog extends MemoryLog {
  isDeposed = false
  /** Neither durable nor failed. */
  readonly pending: RowBatch[] = []
  readonly #world: PartitionWorld

  constructor(world: PartitionWorld) {
    super()
    this.#world = world
    this.hold()
  }

  override append(batch: RowBatch): Promise<LogPosition> {
    const appended = super.append(batch)
    this.pending.push(batch)
    this.#world.time.after(this.#world.some(30), () => {
      if (this.isDeposed) return
      this.pending.shift()
      this.release(1)
    })
    return appended
  }

  async confirm(): Promise<void> {
    if (this.#world.bug === 'confirms nothing') return
    await this.#world.time.sleep(this.#world.some(10))
    if (this.isDeposed) throw new MetadataUnavailable('somebody else leads')
  }

  /** What a successor begins with: all rows, and of what was under way as much as had reached it. */
  succeed(): SlowLog {
    const log = new SlowLog(this.#world)
    const reached = this.pending.slice(0, this.#world.some(this.pending.length + 1))
    for (const batch of [...this.applied, ...reached]) {
      void MemoryLog.prototype.append.call(log, batch)
      log.release()
    }
    return log
  }
}

class PartitionWorld {
  readonly time = new SimTime()
  readonly bug: PartitionBug | undefined
  readonly counts = { done: 0, refused: 0, unknown: 0, reads: 0, handovers: 0 }
  readonly #random: Seeded
  readonly #nodes: PartitionNodes
  readonly #hearsay = [new Hearsay(), new Hearsay(), new Hearsay()]
  readonly #led = new Map<string, MetadataPartition>()
  readonly #histories = new Map(KEYS.map((key) => [key, new KeyHistory(key, false)]))
  readonly #clock = {
    now: () => START_MS + Math.floor(this.time.nowMs),
    monotonicMs: () => this.time.nowMs,
    sleep: (ms: number, signal?: AbortSignal) => this.#sleep(ms, signal),
  }
  #log = new SlowLog(this)
  #uids = 0
  #labels = 0
  #deletions = 0
  #isQuiet = false

  constructor(seed: number, bug: PartitionBug | undefined) {
    this.bug = bug
    this.#random = randomsFor(seed, 'partition')
    this.#nodes = new PartitionNodes(this.#clock)
    this.#nodes.fault = (sent, deliver) => this.#carry(sent, deliver)
    for (const node of NODES) this.#nodes.add(node, () => this.#led.get(node))
  }

  /** A number below `below`. */
  some(below: number): number {
    return this.#random.below(Math.max(1, below))
  }

  async run(): Promise<void> {
    await this.#lead('n1')
    const world = {
      clock: this.#clock,
      random: { bytes: (count: number) => this.#random.bytes(count) },
    }
    const gateways = this.#hearsay.map((primaries) => {
      const parts = { primaries, transport: this.#nodes, world }
      return remotePartitions(1, parts, WAITS).partitions[0]!
    })
    const clients = Array.from({ length: CLIENTS }, (_, at) => this.#client(gateways[at % 3]!))
    let isOver = false
    const breaking = this.#handOver(() => isOver)
    await Promise.all(clients)
    isOver = true
    await breaking
    this.#isQuiet = true
    for (const key of KEYS) await this.#read(gateways[0]!, key)
  }

  outcome(): PartitionRun {
    const failures = [...this.#histories.values()].flatMap((history) => {
      const verdict = history.check()
      return verdict.kind === 'unexplained' ? [verdict.trouble] : []
    })
    return { failures, counts: this.counts }
  }

  async #lead(node: string): Promise<void> {
    const garbage = { graceMs: 1000, bytesPerSecond: 1024 }
    const log = this.#log
    this.#led.set(node, await openPartition({ id: 0, garbage }, { log, clock: this.#clock }))
    this.#nodes.setPrimary(0, node)
    for (const hearsay of this.#hearsay) {
      this.time.after(this.some(800), () => hearsay.hear(node))
    }
  }

  /** The partition goes to another node, now and then; the one before learns of it later. */
  async #handOver(isOver: () => boolean): Promise<void> {
    let primary = 'n1'
    while (!isOver()) {
      await this.time.sleep(50 + this.some(700))
      const next = NODES[this.some(NODES.length)]!
      const old = this.#log
      const left = primary
      const deposed = this.#led.get(left)
      old.isDeposed = true
      const learn = (): void => {
        if (this.#led.get(left) === deposed) this.#led.delete(left)
        old.fail()
      }
      if (next === left) learn()
      else this.time.after(this.some(500), learn)
      await this.time.sleep(this.some(100))
      this.#log = old.succeed()
      this.counts.handovers += 1
      await this.#lead(next)
      primary = next
    }
  }

  /** Messages are slow, and some are lost, on the way there or back. */
  async #carry({ request }: Sent, deliver: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const outcome = this.bug === 'unknown is not done' ? 'not-sent' : 'unknown'
    if (this.bug === 'no deadline') request.deadlineMs = Number.POSITIVE_INFINITY
    const lost = (): NodeUnreachable => new NodeUnreachable('no answer came', outcome)
    const late = this.#sleep(WAITS.attemptMs).then(() => Promise.reject(lost()))
    late.catch(() => undefined)
    if (!this.#isQuiet && this.some(25) === 0) throw new Overloaded('too much waits')
    const way = (): number => (this.#isQuiet || this.some(6) > 0 ? this.some(20) : this.some(500))
    const carried = (async () => {
      await this.time.sleep(way())
      if (!this.#isQuiet && this.some(10) === 0) return await late
      const answer = await deliver()
      await this.time.sleep(way())
      if (!this.#isQuiet && this.some(10) === 0) return await late
      return answer
    })()
    return await Promise.race([carried, late])
  }

  async #client(gateway: ReachablePartition): Promise<void> {
    let seen = ABSENT
    for (let count = 0; count < OPERATIONS; count += 1) {
      await this.time.sleep(this.some(150))
      const key = KEYS[this.some(KEYS.length)]!
      const kind = this.some(5)
      if (kind < 2) seen = (await this.#read(gateway, key)) ?? seen
      else if (kind < 3) await this.#deleteOneOrTwo(gateway, key)
      else await this.#put(gateway, key, seen)
    }
  }

  async #read(gateway: ReachablePartition, key: string): Promise<string | undefined> {
    const begun = this.time.ticks
    try {
      const found = await gateway.getObject(bucket, key)
      const label = typeof found === 'object' && 'etag' in found ? found.etag : ABSENT
      this.counts.reads += 1
      this.#remember(key, { kind: 'read', label }, begun, true)
      return label
    } catch {
      return undefined
    }
  }

  async #put(gateway: ReachablePartition, key: string, seen: string): Promise<void> {
    this.#labels += 1
    const label = `${this.#labels}`
    const kind = this.some(3)
    const condition: Condition =
      kind === 0
        ? { kind: 'none' }
        : kind === 1 || seen === ABSENT
          ? { kind: 'absent' }
          : { kind: 'is', label: seen }
    const version = {
      ...{ headers: {}, userMetadata: {}, storageClass: 'STANDARD', bytes: 0, etag: label },
    }
    const outcome = await this.#write(
      key,
      (commandId) => {
        const conditions = conditionsOf(condition)
        return gateway.commit({ kind: 'put-object', commandId, bucket, key, version, conditions })
      },
      (outcome, begun) => {
        this.#remember(
          key,
          { kind: 'put', label, condition, outcome },
          begun,
          outcome !== undefined,
        )
      },
    )
    this.counts[outcome ?? 'unknown'] += 1
  }

  async #delete(gateway: ReachablePartition, key: string): Promise<void> {
    await this.#write(
      key,
      (commandId) =>
        gateway.commit({ kind: 'delete-object', commandId, bucket, key, conditions: {} }),
      (outcome, begun) => {
        const done = outcome === undefined ? undefined : 'done'
        this.#remember(
          key,
          { kind: 'delete', marker: undefined, outcome: done },
          begun,
          outcome !== undefined,
        )
      },
    )
  }

  /** Every other one by a command for many. */
  async #deleteOneOrTwo(gateway: ReachablePartition, key: string): Promise<void> {
    this.#deletions += 1
    if (this.#deletions % 2 === 0) return await this.#delete(gateway, key)
    const both = [key, KEYS[(KEYS.indexOf(key) + 1) % KEYS.length]!]
    const keys = both.map((one) => ({ key: one, conditions: {} }))
    await this.#write(
      key,
      (commandId) => gateway.commit({ kind: 'delete-objects', commandId, bucket, keys }),
      (outcome, begun) => {
        const done = outcome === undefined ? undefined : 'done'
        for (const one of both) {
          this.#remember(
            one,
            { kind: 'delete', marker: undefined, outcome: done },
            begun,
            outcome !== undefined,
          )
        }
      },
    )
  }

  async #write(
    _key: string,
    commit: (commandId: Uid) => Promise<{ kind: string }>,
    remember: (outcome: 'done' | 'refused' | undefined, begun: number) => void,
  ): Promise<'done' | 'refused' | undefined> {
    const begun = this.time.ticks
    try {
      const { kind } = await commit(this.#uid())
      const outcome = kind === 'done' ? 'done' : 'refused'
      remember(outcome, begun)
      return outcome
    } catch (error) {
      // Whoever is told that too much waits may believe that it was not done.
      if (!(error instanceof Overloaded)) remember(undefined, begun)
      return undefined
    }
  }

  #remember(
    key: string,
    action: Parameters<KeyHistory['entries']['push']>[0]['action'],
    begun: number,
    isAnswered: boolean,
  ): void {
    const ended = isAnswered ? this.time.ticks : Number.POSITIVE_INFINITY
    this.#histories.get(key)!.entries.push({ action, begun, ended })
  }

  #uid(): Uid {
    this.#uids += 1
    const time = this.#clock.now().toString(16).padStart(12, '0')
    return `${time}${this.#uids.toString(16).padStart(20, '0')}` as Uid
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => reject(signal?.reason)
      if (signal?.aborted) return leave()
      signal?.addEventListener('abort', leave, { once: true })
      this.time.after(ms, resolve)
    })
  }
}

function conditionsOf(condition: Condition): WriteConditions {
  switch (condition.kind) {
    case 'none':
      return {}
    case 'absent':
      return { ifNoneMatch: ['*'] }
    case 'is':
      return { ifMatch: [condition.label] }
  }
}
