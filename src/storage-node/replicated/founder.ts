// The beginning of metadata partitions: their records name replicas that nobody made yet, and nobody leads them.
// Only then may a replica be made under a name that the coordinator gave: once there was a primary, one that is missing is lost.
// After etcd was restored, or a recovery was begun, nobody leads them either, and replicas that are there take the lead in the same way.
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import { replicaIdOf } from '../../metadata/replication/replica-id.ts'
import type { Replica } from '../../placement/coordinator.ts'
import { neverLed, type PartitionRecord, takeLead } from '../../placement/etcd/leadership.ts'
import type { PartitionRecords } from '../../placement/etcd/partition-records.ts'
import type { ReplicaTransport } from './contract.ts'
import type { ReplicaHost } from './replica-host.ts'

/** The records that are looked at and changed, and who says whether replicas live, here and on other nodes. */
export interface FounderParts {
  world: Pick<World, 'clock'>
  log: Log
  records: Pick<PartitionRecords, 'get' | 'change'>
  host: Pick<ReplicaHost, 'hasDrive' | 'found' | 'lives'>
  transport: Pick<ReplicaTransport, 'lives'>
  /** How many metadata partitions the cluster has, as far as that is known. */
  partitionCount: () => number
}

const ROUND_MS = 1_000
// Each one waits for those before it; and the first of all that long for replicas that do not come.
const TURN_MS = 3_000

/** Makes the replicas of new partitions that are to be here, and takes the lead of them in turn. */
export class Founder {
  readonly #parts: FounderParts
  readonly #closing = new AbortController()
  /** Since when a partition was seen without a primary. */
  readonly #sinceMs = new Map<number, number>()
  #running: Promise<void> = Promise.resolve()

  constructor(parts: FounderParts) {
    this.#parts = parts
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  /** One look at all partitions. What fails is tried again by the next one. */
  async round(): Promise<void> {
    const ids = Array.from({ length: this.#parts.partitionCount() }, (_, id) => id)
    const founding = ids.filter((id) => this.#isNew(id))
    await Promise.all(founding.map((id) => this.#foundOrSay(id)))
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.round()
      // Aborted: it is time to stop.
      await this.#parts.world.clock.sleep(ROUND_MS, signal).catch(() => undefined)
    }
  }

  #isNew(partition: number): boolean {
    const record = this.#parts.records.get(partition)
    const isNew = record !== undefined && this.#ownIn(record) !== undefined
    if (!isNew) this.#sinceMs.delete(partition)
    else if (!this.#sinceMs.has(partition)) {
      this.#sinceMs.set(partition, this.#parts.world.clock.monotonicMs())
    }
    return isNew
  }

  /** The replica that is to be here, of a partition that nobody leads. */
  #ownIn({ primary, replicas }: PartitionRecord): Replica | undefined {
    if (primary !== undefined) return undefined
    return replicas.find(({ driveId }) => this.#parts.host.hasDrive(driveId))
  }

  async #foundOrSay(partition: number): Promise<void> {
    try {
      await this.#found(partition)
    } catch (error) {
      const data = { partition, error: String(error) }
      this.#parts.log.info(data, 'a new metadata partition can not be begun yet')
    }
  }

  async #found(partition: number): Promise<void> {
    const { records, host } = this.#parts
    // As etcd has it now: what was heard last may be old.
    const read = await records.change(partition, () => undefined)
    const found = read.kind === 'unchanged' ? read.found : undefined
    const own = found && this.#ownIn(found)
    if (found === undefined || own === undefined) return
    if (neverLed(found)) await host.found(replicaIdOf(own), partition)
    else if (!host.lives(replicaIdOf(own), partition)) return
    if (!(await this.#isOurTurn(partition, found, own))) return
    const { kind } = await records.change(partition, (now) =>
      now?.primary === undefined && now?.id === found.id ? takeLead(now, own) : undefined,
    )
    if (kind === 'changed') this.#parts.log.info({ partition }, 'a metadata partition begins here')
  }

  /** Once there is a primary nobody makes a replica any more: so most of them have to be there, and all if they come in time. */
  async #isOurTurn(
    partition: number,
    { replicas, previous }: PartitionRecord,
    own: Replica,
  ): Promise<boolean> {
    const passedMs = this.#parts.world.clock.monotonicMs() - (this.#sinceMs.get(partition) ?? 0)
    const turn = replicas.findIndex(({ driveId }) => driveId === own.driveId)
    if (passedMs < turn * TURN_MS) return false
    const [now, before] = await Promise.all([
      this.#countLiving(partition, replicas),
      this.#countLiving(partition, previous ?? []),
    ])
    // Nobody serves without most of both.
    if (previous !== undefined && 2 * before <= previous.length) return false
    if (now === replicas.length) return true
    return 2 * now > replicas.length && passedMs >= (turn + 1) * TURN_MS
  }

  async #countLiving(partition: number, replicas: readonly Replica[]): Promise<number> {
    const lives = await Promise.all(replicas.map((replica) => this.#lives(partition, replica)))
    return lives.filter((one) => one).length
  }

  async #lives(partition: number, replica: Replica): Promise<boolean> {
    const id = replicaIdOf(replica)
    const { host, transport } = this.#parts
    if (host.hasDrive(replica.driveId)) return host.lives(id, partition)
    try {
      return await transport.lives(id, partition)
    } catch {
      return false // Nobody knows: it is not counted on.
    }
  }
}
