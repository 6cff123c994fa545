// The drive of one replica: writes end in order and late, and a crash takes those that did not end.
import type { LogPosition } from '../../../src/metadata/log/contract.ts'
import type { LogEntry } from '../../../src/metadata/log/entry.ts'
import type { ReplicaId } from '../../../src/metadata/replication/decision.ts'
import {
  type DiskChange,
  type DurableState,
  NEW_REPLICA,
} from '../../../src/metadata/replication/effects.ts'
import type { Seeded } from '../../support/seeded.ts'
import type { ClusterWorld } from './world.ts'

/** Rows as of a position. */
export interface RowsAt {
  position: LogPosition
  rows: ReadonlyMap<string, string>
}

interface Write {
  changes: readonly DiskChange[]
  durable: () => void
}

const NO_ROWS: RowsAt = { position: { epoch: 0, sequence: 0 }, rows: new Map() }

/** What one replica keeps. */
export class SimulatedDisk {
  /** Time of one write, at most; a slow drive has more. */
  delay = 10
  rows: RowsAt = NO_ROWS
  readonly copies = new Map<number, RowsAt>()
  #promised = 0
  #promisedTo: ReplicaId | undefined
  #decision: DurableState['decision']
  #entries: LogEntry[] = []
  #waiting: Write[] = []
  #isSyncing = false
  #life = 0
  readonly #world: ClusterWorld
  readonly #random: Seeded

  constructor(world: ClusterWorld, random: Seeded) {
    this.#world = world
    this.#random = random
  }

  /** Calls `durable` once the changes are. */
  write(changes: readonly DiskChange[], durable: () => void): void {
    this.#waiting.push({ changes, durable })
    if (!this.#isSyncing) this.#sync()
  }

  /** What waits is synced together; what comes meanwhile waits for the next sync. */
  #sync(): void {
    const life = this.#life
    const count = this.#waiting.length
    this.#isSyncing = count > 0
    if (count === 0) return
    this.#world.schedule.after(1 + this.#random.below(this.delay), () => {
      if (life !== this.#life) return
      const group = this.#waiting.splice(0, count)
      for (const { changes } of group) this.#keep(changes)
      this.#sync()
      for (const { durable } of group) durable()
    })
  }

  /** Some of what was not durable is lost: all from some write on. */
  crash(): void {
    this.#life += 1
    const kept = this.#random.below(this.#waiting.length + 1)
    for (const { changes } of this.#waiting.slice(0, kept)) this.#keep(changes)
    this.#waiting = []
    this.#isSyncing = false
  }

  /** Rows are synced: what the log says up to there is not needed any more. */
  checkpoint(rows: RowsAt): void {
    this.rows = rows
    this.#entries = this.#entries.filter(({ sequence }) => sequence > rows.position.sequence)
  }

  /** What a start finds. */
  get state(): DurableState {
    return {
      ...NEW_REPLICA,
      promised: this.#promised,
      promisedTo: this.#promisedTo,
      base: this.rows.position,
      entries: this.#entries,
      decision: this.#decision,
    }
  }

  #keep(changes: readonly DiskChange[]): void {
    for (const change of changes) this.#keepOne(change)
  }

  #keepOne(change: DiskChange): void {
    switch (change.kind) {
      case 'promise':
        this.#promised = change.epoch
        this.#promisedTo = change.to
        return
      case 'decision':
        this.#decision = change.decision
        return
      case 'entries': {
        const first = change.entries[0]!.sequence
        this.#entries = this.#entries.filter(({ sequence }) => sequence < first)
        this.#entries.push(...change.entries)
        return
      }
      case 'rows': {
        const { sequence } = change.position
        this.rows = this.copies.get(change.copy)!
        this.#entries = this.#entries.filter(
          (entry) => change.keepsTail && entry.sequence > sequence,
        )
      }
    }
  }
}
