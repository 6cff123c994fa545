// What etcd says of metadata partitions, as the replication protocol speaks of it.
import type { Decision, ReplicaId } from '../../metadata/replication/decision.ts'
import { parseReplicaId, replicaIdOf } from '../../metadata/replication/replica-id.ts'
import type { Replica } from '../../placement/coordinator.ts'
import type { NextRecord, PartitionRecord } from '../../placement/etcd/leadership.ts'
import type { PartitionRecords } from '../../placement/etcd/partition-records.ts'
import type { Decisions } from './contract.ts'

/** Decisions over the records of partitions in etcd. */
export class RecordDecisions implements Decisions {
  readonly #records: Pick<PartitionRecords, 'get' | 'watch' | 'change'>
  /** Of records that did not change since. */
  readonly #known = new Map<number, Decision | undefined>()
  /** What is asked for and not answered, by partition and question. */
  readonly #asking = new Map<string, Promise<void>>()
  readonly #stopWatching: () => void

  constructor(records: Pick<PartitionRecords, 'get' | 'watch' | 'change'>) {
    this.#records = records
    this.#stopWatching = records.watch((partition) => this.#known.delete(partition))
  }

  get(partition: number): Decision | undefined {
    if (!this.#known.has(partition)) {
      const record = this.#records.get(partition)
      this.#known.set(partition, record && decisionIn(record))
    }
    return this.#known.get(partition)
  }

  fenceOf(partition: number): number | undefined {
    if (this.get(partition) !== undefined) return undefined
    const record = this.#records.get(partition)
    return record?.isFenced && record.primary === undefined ? record.epoch : undefined
  }

  watch(listener: (partition: number) => void): () => void {
    return this.#records.watch((partition) => {
      this.#known.delete(partition)
      listener(partition)
    })
  }

  /** A replica asks again every few seconds, however long etcd takes: the same question is asked of etcd once at a time. */
  async decide(partition: number, from: Decision, to: Decision): Promise<void> {
    const question = `${partition} ${describe(from)} ${describe(to)}`
    let answer = this.#asking.get(question)
    if (answer === undefined) {
      answer = this.#decide(partition, from, to).finally(() => this.#asking.delete(question))
      this.#asking.set(question, answer)
    }
    await answer
  }

  close(): void {
    this.#stopWatching()
  }

  async #decide(partition: number, from: Decision, to: Decision): Promise<void> {
    await this.#records.change(partition, (found) => {
      const decided = found && decisionIn(found)
      return decided !== undefined && isSame(decided, from) ? recordOf(to) : undefined
    })
    this.#known.delete(partition)
  }
}

/** The decision in a record; undefined while nobody has the lead. */
function decisionIn(record: PartitionRecord): Decision | undefined {
  const { epoch, primary, replicas, previous } = record
  if (primary === undefined) return undefined
  return {
    epoch,
    primary: replicaIdOf(primary),
    replicas: replicas.map(replicaIdOf),
    previous: previous?.map(replicaIdOf),
  }
}

function recordOf({ epoch, primary, replicas, previous }: Decision): NextRecord {
  return {
    epoch,
    primary: replicaOf(primary),
    replicas: replicas.map(replicaOf),
    ...(previous === undefined ? {} : { previous: previous.map(replicaOf) }),
  }
}

function replicaOf(id: ReplicaId): Replica {
  const name = parseReplicaId(id)
  if (name === undefined) throw new Error(`${id} is not the name of a replica`)
  return name
}

/** Epochs are never used twice, but for an activation: and a restored etcd, which may have another set under the same one. */
function isSame(left: Decision, right: Decision): boolean {
  return describe(left) === describe(right)
}

function describe({ epoch, primary, replicas, previous }: Decision): string {
  return JSON.stringify([epoch, primary, replicas, previous ?? null])
}
