// A partition while it is served here: what is appended waits until it is in the rows, what is confirmed until majorities said so.
import { Overloaded } from '../../kit/semaphore.ts'
import type { LogPosition, RowBatch, RowReader } from '../../metadata/log/contract.ts'
import { encodeBatch, type LogEntry } from '../../metadata/log/entry.ts'
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import type { PartitionReplica } from '../../metadata/replication/partition-replica.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import type { Reigning, ReignLog } from './contract.ts'

interface Appended {
  resolve: (position: LogPosition) => void
  reject: (error: unknown) => void
}

interface Proposed extends Appended {
  epoch: number
}

interface Waiting extends Appended {
  batch: Uint8Array
}

interface Confirming {
  resolve: () => void
  reject: (error: unknown) => void
  ticks: number
}

/** Which reign it is: `epoch` is that of the log, which grows with every reign. */
export interface HostedReignOptions {
  partition: number
  epoch: number
}

/** The protocol that it asks, and the rows of its replica; `rows` can be read until the signal aborts. */
export interface HostedReignParts {
  core: Pick<PartitionReplica, 'proposeAll' | 'read' | 'want' | 'handOver'>
  rows: (ended: AbortSignal) => RowReader
  /** Does what the core wants to be done after it was asked for something. */
  carryOut: () => void
}

// A round of questions is answered in milliseconds; after so many ticks nobody waits for it any more.
const CONFIRM_TICKS = 20

/** One reign, from the moment in which it may be asked. */
export class HostedReign implements Reigning {
  readonly partition: number
  readonly epoch: number
  readonly log: ReignLog
  readonly #parts: HostedReignParts
  readonly #ending = new AbortController()
  /** Not proposed yet: too much is under way, or all of one turn of the event loop are proposed together. */
  #waiting: Waiting[] = []
  /** By their sequences. */
  readonly #proposed = new Map<number, Proposed>()
  readonly #confirming = new Map<number, Confirming>()
  #lastRead = 0
  #isSubmitting = false

  constructor({ partition, epoch }: HostedReignOptions, parts: HostedReignParts) {
    this.partition = partition
    this.epoch = epoch
    this.#parts = parts
    this.log = {
      rows: parts.rows(this.ended),
      append: (batch) => this.#append(batch),
      confirm: () => this.#confirm(),
    }
  }

  get ended(): AbortSignal {
    return this.#ending.signal
  }

  want(replicas: readonly ReplicaId[]): void {
    if (!this.ended.aborted) this.#parts.core.want(replicas)
  }

  handOver(heirs: readonly ReplicaId[]): boolean {
    if (this.ended.aborted) return false
    const isAsked = this.#parts.core.handOver(heirs)
    this.#parts.carryOut()
    return isAsked
  }

  /** Entries are in the rows. */
  applied(entries: readonly LogEntry[]): void {
    for (const { epoch, sequence } of entries) {
      const proposed = this.#proposed.get(sequence)
      if (proposed === undefined) continue
      this.#proposed.delete(sequence)
      if (proposed.epoch === epoch) proposed.resolve({ epoch, sequence })
      else proposed.reject(new MetadataUnavailable('another primary wrote something else'))
    }
    this.#submitSoon()
  }

  /** Rows hold everything that was acknowledged before this was asked. */
  ready(read: number): void {
    this.#confirming.get(read)?.resolve()
    this.#confirming.delete(read)
  }

  /** Time passes. */
  tick(): void {
    for (const [read, confirming] of this.#confirming) {
      confirming.ticks += 1
      if (confirming.ticks < CONFIRM_TICKS) continue
      this.#confirming.delete(read)
      confirming.reject(this.#unavailable('no majority answers'))
    }
  }

  /** It is over. The fate of what waits is not known here, but for what was not proposed. */
  end(): void {
    const over = this.#unavailable('it is not served here any more')
    this.#ending.abort(over)
    for (const { reject } of [...this.#proposed.values(), ...this.#waiting]) reject(over)
    for (const { reject } of this.#confirming.values()) reject(over)
    this.#proposed.clear()
    this.#confirming.clear()
    this.#waiting = []
  }

  #append(batch: RowBatch): Promise<LogPosition> {
    return new Promise((resolve, reject) => {
      if (this.ended.aborted) {
        reject(this.ended.reason)
        return
      }
      this.#waiting.push({ batch: encodeBatch(batch), resolve, reject })
      this.#submitSoon()
    })
  }

  #submitSoon(): void {
    if (this.#isSubmitting || this.#waiting.length === 0) return
    this.#isSubmitting = true
    queueMicrotask(() => {
      this.#isSubmitting = false
      if (!this.ended.aborted) this.#submit()
    })
  }

  /** What is not taken, because too much is under way, waits for some of it to be applied. */
  #submit(): void {
    const positions = this.#parts.core.proposeAll(this.#waiting.map(({ batch }) => batch))
    const taken = this.#waiting.splice(0, positions.length)
    for (const [index, { resolve, reject }] of taken.entries()) {
      const { epoch, sequence } = positions[index]!
      this.#proposed.set(sequence, { epoch, resolve, reject })
    }
    this.#parts.carryOut()
  }

  #confirm(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.ended.aborted) {
        reject(this.ended.reason)
        return
      }
      this.#lastRead += 1
      const read = this.#lastRead
      const asked = this.#parts.core.read(read)
      if (asked.kind === 'asked') this.#confirming.set(read, { resolve, reject, ticks: 0 })
      else if (asked.kind === 'busy') reject(new Overloaded('too many reads wait already'))
      else reject(this.#unavailable('it is not served here'))
      this.#parts.carryOut()
    })
  }

  #unavailable(why: string): MetadataUnavailable {
    return new MetadataUnavailable(`partition ${this.partition}: ${why}`)
  }
}
