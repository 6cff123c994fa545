// The rows of one replica, made anew from those of another one: when somebody asks for it, and by itself while they are suspected.
import type { Log } from '../../kit/log.ts'
import type { LogEntry } from '../../metadata/log/entry.ts'
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import type { RowsPage } from './contract.ts'
import { type RenewedReplica, RowsRenewal } from './renew-rows.ts'

/** Whose rows are made anew. */
export interface RenewalsOptions extends RenewedReplica {
  id: ReplicaId
  partition: number
  log: Log
  copyRows: (source: ReplicaId, signal: AbortSignal) => AsyncIterable<RowsPage>
}

// Who could not renew its rows tries again after so many ticks.
const RENEW_TICKS = 20

/** At most one at a time. */
export class Renewals {
  readonly #replica: RenewalsOptions
  #running: RowsRenewal | undefined
  #ticks = 0

  constructor(replica: RenewalsOptions) {
    this.#replica = replica
  }

  /** Entries were applied to the rows. */
  applied(entries: readonly LogEntry[]): void {
    this.#running?.applied(entries)
  }

  /** Makes them anew from those of `source`, while the replica goes on. Throws when that can not be now. */
  async renew(source: ReplicaId): Promise<void> {
    const { id, partition, log, ended, copyRows, mayMove } = this.#replica
    if (!mayMove() || source === id) throw new Error('a primary has the rows')
    if (this.#running !== undefined) throw new Error('rows are made anew already')
    const where = { partition, source }
    log.warn(where, 'rows of a metadata partition are made anew: they are not as they should be')
    const renewal = new RowsRenewal(this.#replica)
    this.#running = renewal
    try {
      await renewal.run(copyRows(source, ended))
      log.info(where, 'rows of a metadata partition were made anew')
    } finally {
      this.#running = undefined
    }
  }

  /** Called at each tick while they are suspected: makes them anew from whoever leads, which others count on. */
  tick(primary: ReplicaId | undefined): void {
    const { id, partition, log, mayMove } = this.#replica
    if (this.#running !== undefined || primary === undefined || primary === id || !mayMove()) return
    this.#ticks += 1
    if (this.#ticks % RENEW_TICKS !== 1) return
    this.renew(primary).catch((error) => {
      const data = { partition, error: String(error) }
      log.info(data, 'rows of a metadata partition could not be made anew: tried again later')
    })
  }
}
