// Writes what a replica has to keep into the log of its drive, in its order.
import { assert } from '../../kit/assert.ts'
import type { World } from '../../kit/world.ts'
import type { LogEntry } from '../../metadata/log/entry.ts'
import { type Decision, votersOf } from '../../metadata/replication/decision.ts'
import type { DiskChange } from '../../metadata/replication/effects.ts'
import { positionOf } from '../../metadata/replication/log-tail.ts'
import { parseReplicaId } from '../../metadata/replication/replica-id.ts'
import { mayPass } from '../drive-errors.ts'
import type { DriveLog } from '../metalog/drive-log.ts'
import { type LogRecord, RecordKind } from '../metalog/record.ts'
import { encodeReplicaState, type ReplicaState } from './replica-state.ts'
import type { Suspicion } from './suspects.ts'

interface Writing {
  record: LogRecord
  body: Uint8Array
  /** The last of what was to become durable together. */
  onDurable?: () => void
  /** Nobody will ever know whether it is. */
  onLost?: (reason: unknown) => void
}

/** The log that is written to; by `clock` it is tried again while the drive is full or busy. */
export interface JournalParts {
  log: Pick<DriveLog, 'append'>
  clock: World['clock']
  /** Nothing more can be written, ever. */
  onFailure: (error: unknown) => void
}

const REFUSED_PAUSE_MS = 1_000

/**
 * One replica's part of a drive's log. What waits is handed to the drive all at once, and nothing after it before it is durable: so
 * a drive that is full or busy delays writes, and never lets one overtake another.
 */
export class ReplicaJournal {
  readonly #partition: number
  readonly #incarnation: string
  readonly #parts: JournalParts
  #state: ReplicaState
  #waiting: Writing[] = []
  #isRunning = false
  #isClosed = false
  readonly #closing = new AbortController()

  constructor(
    replica: { partition: number; incarnation: string; state: ReplicaState },
    parts: JournalParts,
  ) {
    this.#partition = replica.partition
    this.#incarnation = replica.incarnation
    this.#state = replica.state
    this.#parts = parts
  }

  /** With everything that was asked for. */
  get state(): ReplicaState {
    return this.#state
  }

  /** Writes changes; `slotOf` says where the rows of a copy are. `onDurable` is never called after a failure. */
  write(
    changes: readonly DiskChange[],
    slotOf: (copy: number) => number,
    onDurable: () => void,
  ): void {
    if (this.#isClosed) return
    for (const change of changes) this.#add(change, slotOf)
    this.#finish(onDurable)
  }

  /** Writes the state anew, so that older records of it are not needed. */
  keepState(): Promise<void> {
    return this.#keep(this.#state)
  }

  /** Keeps what its rows are suspected of. Durable soon: nobody waits for it. */
  suspect(suspicion: Suspicion): void {
    if (this.#isClosed || this.#state.suspicion === suspicion) return
    this.#addState({ ...this.#state, suspicion })
    this.#finish(() => undefined)
  }

  /** The replica is deleted. */
  keepEnd(): Promise<void> {
    return this.#keep({ ...this.#state, isGone: true })
  }

  /** What waits is not written any more. */
  close(): void {
    this.#isClosed = true
    this.#closing.abort()
    this.#lose(this.#waiting.splice(0))
  }

  #keep(state: ReplicaState): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        reject(new Error('the replica writes no more'))
        return
      }
      this.#addState(state)
      this.#finish(resolve, reject)
    })
  }

  #lose(writings: readonly Writing[]): void {
    for (const { onLost } of writings) onLost?.(new Error('the replica writes no more'))
  }

  #add(change: DiskChange, slotOf: (copy: number) => number): void {
    switch (change.kind) {
      case 'entries':
        for (const entry of change.entries) this.#addEntry(entry)
        return
      case 'promise':
        this.#addState({ ...this.#state, promised: change.epoch, promisedTo: change.to })
        return
      case 'decision':
        this.#addState({
          ...this.#state,
          decision: change.decision,
          ...this.#namedIn(change.decision),
        })
        return
      case 'rows': {
        const { position, keepsTail, copy } = change
        const last = keepsTail ? this.#state.last : position
        const rows = { slot: slotOf(copy), position }
        // What was said of the rows before says nothing of these.
        this.#addState({ ...this.#state, rows, last, suspicion: undefined })
      }
    }
  }

  #namedIn(decision: Decision): Pick<ReplicaState, 'isUnnamed'> {
    const names = votersOf(decision).map((id) => parseReplicaId(id)?.incarnation)
    return names.includes(this.#incarnation) ? { isUnnamed: undefined } : {}
  }

  #addEntry(entry: LogEntry): void {
    const { batch, epoch, sequence, prevEpoch, committed } = entry
    const kind = RecordKind.ReplicatedEntry
    const record = { kind, ...this.#whose(), epoch, sequence, prevEpoch, committed }
    this.#waiting.push({ record, body: batch })
    this.#state = Object.assign({}, this.#state, { last: positionOf(entry) })
  }

  #addState(state: ReplicaState): void {
    const nowhere = { epoch: 0, sequence: 0, prevEpoch: 0, committed: 0 }
    const record = { ...this.#whose(), kind: RecordKind.ReplicaState, ...nowhere }
    this.#waiting.push({ record, body: encodeReplicaState(state) })
    this.#state = state
  }

  #whose(): { partition: number; incarnation: string } {
    return { partition: this.#partition, incarnation: this.#incarnation }
  }

  #finish(onDurable: () => void, onLost?: (reason: unknown) => void): void {
    const last = this.#waiting.at(-1)
    assert(last !== undefined && last.onDurable === undefined, 'every write writes something')
    last.onDurable = onDurable
    if (onLost !== undefined) last.onLost = onLost
    if (!this.#isRunning) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    // What is asked for in the same turn of the event loop goes together.
    await Promise.resolve()
    while (this.#waiting.length > 0 && !this.#isClosed) await this.#writeGroup()
    this.#isRunning = false
  }

  async #writeGroup(): Promise<void> {
    const group = this.#waiting
    this.#waiting = []
    const ends = await Promise.allSettled(
      group.map(({ record, body }) => this.#parts.log.append(record, body)),
    )
    const refused = ends.findIndex(({ status }) => status === 'rejected')
    const written = refused === -1 ? group : group.slice(0, refused)
    for (const { onDurable } of written) onDurable?.()
    if (refused === -1) return
    const rest = group.slice(refused)
    if (this.#isClosed) this.#lose(rest)
    else await this.#writeAgain(rest, (ends[refused] as PromiseRejectedResult).reason)
  }

  /** A drive that is full or busy counts nothing from the first refusal on; after any other failure nobody knows what it has. */
  async #writeAgain(writings: Writing[], reason: unknown): Promise<void> {
    if (!mayPass(reason)) {
      this.#lose(writings)
      this.close()
      this.#parts.onFailure(reason)
      return
    }
    this.#waiting = [...writings, ...this.#waiting]
    // Closed meanwhile: nobody waits for it.
    await this.#parts.clock.sleep(REFUSED_PAUSE_MS, this.#closing.signal).catch(() => undefined)
  }
}
