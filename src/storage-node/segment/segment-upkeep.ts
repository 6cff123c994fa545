// The life of a segment after its last record: sealed, compacted, retired, removed.
import { assert } from '../../kit/assert.ts'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { Drive } from '../drive.ts'
import type { SegmentAccount } from '../index/segment-accounts.ts'
import type { ShardLedger } from '../index/shard-ledger.ts'
import type { DriveRoom } from '../space/drive-room.ts'
import { isWorse } from '../space/levels.ts'
import type { Appender, AppenderEvents } from './appender.ts'
import {
  COMPACT_BELOW,
  COMPACT_TIGHT_BELOW,
  type Compacted,
  chooseSegment,
  compactSegment,
} from './compact.ts'
import type { SegmentFiles } from './segment-files.ts'

/** When the file of a segment is removed that has no live records. */
export interface UpkeepOptions {
  /** A file without live records is kept so long for readers, who may have looked up a shard but not opened it. */
  graceMs: number
  /** After this time a file goes even if a reader is still open: it finds the shard where it is now. */
  maxGraceMs: number
}

/** What upkeep acts upon, all of one drive. `secret`: recordSecret() of the cluster. */
export interface UpkeepParts {
  drive: Drive
  world: World
  log: Log
  ledger: ShardLedger
  files: SegmentFiles
  room: DriveRoom
  secret: bigint
}

/** What one round did. */
export interface UpkeepRound {
  /** The last segment that was compacted. */
  compacted?: Compacted
  /** Segments whose file was removed. */
  removed: number[]
}

const GRACE_WHEN_FULL_MS = 5_000
const SEGMENTS_OF_TIGHT_ROUND = 16

const DEFAULTS: UpkeepOptions = { graceMs: 60_000, maxGraceMs: 15 * 60_000 }

/** Looks after the segments of one drive. */
export class SegmentUpkeep {
  readonly #options: UpkeepOptions
  readonly #parts: UpkeepParts
  #appender: Appender | undefined
  #sealing: Promise<void> | undefined
  #round: Promise<UpkeepRound> | undefined

  constructor(options: Partial<UpkeepOptions>, parts: UpkeepParts) {
    this.#options = {
      graceMs: options.graceMs ?? DEFAULTS.graceMs,
      maxGraceMs: options.maxGraceMs ?? DEFAULTS.maxGraceMs,
    }
    this.#parts = parts
  }

  /** What the appender is to tell us. */
  get events(): AppenderEvents {
    const { ledger } = this.#parts
    return {
      onDurable: (records) => {
        // A copy's row is synced before its original may be removed.
        const sync = records.some((record) => record.copyOf !== undefined)
        return ledger.add(records, { sync })
      },
      onBegun: (segment) => ledger.begin(segment),
      onEnded: (segment) => {
        const account = ledger.accounts.get(segment)
        assert(account !== undefined, 'a segment that ended was begun')
        account.state = 'ended'
        void this.#seal()
      },
    }
  }

  /** Copies go through the one appender of the drive. */
  attach(appender: Appender): void {
    this.#appender = appender
  }

  /** Seals what ended, compacts one segment, removes what nobody needs. Calls at the same time share one round. */
  async round(): Promise<UpkeepRound> {
    this.#round ??= this.#runRound().finally(() => {
      this.#round = undefined
    })
    return await this.#round
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await this.#sealing
    await this.#round?.catch(() => {}) // Who asked for the round got the error.
  }

  async #runRound(): Promise<UpkeepRound> {
    // What is alive is counted by rows. Whoever needs them hears why they can not be written.
    await this.#parts.ledger.writeComing().catch(() => undefined)
    this.#endDead()
    await this.#seal()
    let compacted = await this.#compact()
    // Where space is short what can be had of it is had now.
    for (let more = 1; more < SEGMENTS_OF_TIGHT_ROUND && this.#isTight; more += 1) {
      const next = compacted && (await this.#compact())
      if (next === undefined) break
      compacted = next
    }
    this.#retireEmpty()
    const removed = await this.#removeRetired()
    return compacted === undefined ? { removed } : { compacted, removed }
  }

  /** A segment in which nothing is alive need not be filled first. */
  #endDead(): void {
    for (const { state, live, dead } of this.#parts.ledger.accounts.values())
      if (state === 'open' && live === 0 && dead > 0) this.#appender?.endIdle()
  }

  async #compact(): Promise<Compacted | undefined> {
    const { ledger, files, secret, log, room } = this.#parts
    assert(this.#appender !== undefined, 'the appender is attached before the first round')
    const below = this.#isTight ? COMPACT_TIGHT_BELOW : COMPACT_BELOW
    const account = chooseSegment(ledger.accounts.values(), below)
    // Never without room: a copy needs it before it gives any back. Nothing else may use this part of the reserve.
    if (account === undefined || !(await room.fits(account.liveBytes, 'upkeep'))) return undefined
    return await compactSegment(account, { ledger, files, secret, log, appender: this.#appender })
  }

  get #isTight(): boolean {
    return this.#parts.room.level !== 'ample'
  }

  /** Who looked up a shard opens its file within milliseconds: where nothing else can be written that is all it gets. */
  get #graceMs(): number {
    const isFull = isWorse(this.#parts.room.level, 'no-moves')
    return isFull ? Math.min(this.#options.graceMs, GRACE_WHEN_FULL_MS) : this.#options.graceMs
  }

  #retireEmpty(): void {
    const { ledger, world } = this.#parts
    for (const account of ledger.accounts.values()) {
      if (!isEmpty(account)) continue
      account.state = 'retired'
      account.retiredAtMs = world.clock.monotonicMs()
    }
  }

  async #removeRetired(): Promise<number[]> {
    const { ledger, files, world } = this.#parts
    const removed: number[] = []
    for (const account of [...ledger.accounts.values()]) {
      if (account.state !== 'retired') continue
      const ageMs = world.clock.monotonicMs() - account.retiredAtMs
      const unread = account.readers === 0 && ageMs >= this.#graceMs
      if (!unread && ageMs < this.#options.maxGraceMs) continue
      await files.remove(account.number)
      await ledger.drop(account.number)
      removed.push(account.number)
    }
    return removed
  }

  #seal(): Promise<void> {
    this.#sealing ??= this.#sealEnded().finally(() => {
      this.#sealing = undefined
    })
    return this.#sealing
  }

  /** A segment that can not be sealed now is tried again in the next round, and scanned at the next start. */
  async #sealEnded(): Promise<void> {
    const { ledger, log, drive } = this.#parts
    try {
      for (;;) {
        const ended = [...ledger.accounts.values()].find(
          ({ state, isPartly }) => state === 'ended' && !isPartly,
        )
        if (ended === undefined) return
        await ledger.seal(ended.number)
      }
    } catch (error) {
      if (drive.failure === undefined) log.warn({ drive: drive.id, error }, 'sealing failed')
    }
  }
}

/** Nothing alive. A segment in which nothing at all was recognised is not taken for empty. */
function isEmpty(account: SegmentAccount): boolean {
  if (account.state !== 'sealed' || account.live > 0) return false
  return account.dead > 0 || !account.stuck
}
