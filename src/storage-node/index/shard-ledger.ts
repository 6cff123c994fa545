// Which record of which segment is the live one of its shard: the index and its accounts.
// Every record of a sealed segment has a live row or a dead note, so that a row which LevelDB lost is missed:
// nothing is taken for deleted because it can not be found.
import { assert } from '../../kit/assert.ts'
import type { ShardId } from '../contract.ts'
import type { AppendedRecord } from '../segment/appender.ts'
import type { SegmentFiles } from '../segment/segment-files.ts'
import { ComingRows } from './coming-rows.ts'
import { GatheredRemovals, RemovalGroup } from './gathered-removals.ts'
import type { IndexEntry, ShardRow } from './index-rows.ts'
import { KeptIndex, type KeptIndexParts } from './kept-index.ts'
import type { KnownPlace } from './known-places.ts'
import {
  countEntry,
  dropSegment,
  markSealed,
  removalOf,
  rewriteRows,
  segmentOf,
  writeInChunks,
} from './ledger-rows.ts'
import { NewShards } from './new-shards.ts'
import { limitHoles, reindexSegment } from './reindex.ts'
import { type PlacedRecord, RowChanges } from './row-changes.ts'
import {
  applyEvents,
  newAccount,
  type SegmentAccount,
  type SegmentAccounts,
} from './segment-accounts.ts'
import type { IndexChange, ShardIndex } from './shard-index.ts'
import { nameOf } from './shard-name.ts'

/** What the index is opened with, and the segments that it can be made again from. `secret`: recordSecret() of the cluster. */
export interface LedgerParts extends KeptIndexParts {
  files: SegmentFiles
  secret: bigint
}

const CHUNK_ROWS = 2048
// From so many on rows that are to come are written, and from so many on records wait for that.
const COMING_ROWS = 256
const COMING_ROWS_MAX = 4096
// So many rows are worth a sync of their own: what is durable by it is not written again when its segment is sealed.
const SYNCED_ROWS = 64

/** Rows and accounts of one drive. */
export class ShardLedger {
  readonly accounts: SegmentAccounts = new Map()
  readonly #parts: LedgerParts
  readonly #index: KeptIndex
  readonly #newShards = new NewShards()
  readonly #coming = new ComingRows()
  readonly #removals = new GatheredRemovals((group, onTurn) =>
    this.#index.change((index) => {
      onTurn()
      return this.#removeAll(index, group, { sync: false })
    }),
  )
  #isWriting = false
  /** Rows could not be written: until they can be nothing more is entered without. */
  #mustWrite = false
  /** The highest segment number that any row names. */
  #highest = 0

  private constructor(parts: LedgerParts) {
    this.#parts = parts
    this.#index = new KeptIndex(parts, {
      recount: async (index) => {
        await this.#countRows(index)
      },
      refill: (index) => this.#refill(index),
    })
  }

  /** Opens the index of a drive and brings it up to date with the segments. */
  static async open(parts: LedgerParts): Promise<ShardLedger> {
    const ledger = new ShardLedger(parts)
    await ledger.#index.removeLeftovers()
    for (const { number, bytes } of await parts.files.list()) {
      if (bytes === 0) await parts.files.remove(number)
      else ledger.accounts.set(number, newAccount(number, 'ended', bytes))
    }
    await ledger.#index.change((index) => ledger.#reconcile(index))
    return ledger
  }

  /**
   * The number of a segment that there never was: a power loss may bring rows of one back that is gone, and they would name records
   * of another. So the highest number is kept when its segment goes.
   */
  get nextSegment(): number {
    return Math.max(this.#highest, ...this.accounts.keys()) + 1
  }

  /** A file that nothing was written to is removed at the next start, and so tells nobody of its number. */
  #highestWritten(): number {
    const written = [...this.accounts.values()].filter(({ bytes }) => bytes > 0)
    return Math.max(this.#highest, ...written.map(({ number }) => number))
  }

  /** Where a shard lies; undefined when it is in no segment. */
  async lookup(id: ShardId): Promise<ShardRow | undefined> {
    const coming = this.#coming.find(id)
    // A drive that failed says so, whatever is still known of it.
    if (coming !== undefined && this.#parts.drive.failure === undefined) return coming
    return await this.#index.read((index) => index.get(id))
  }

  /** What lookup() would give, where nothing is read for it. */
  findKnown(id: ShardId): KnownPlace | undefined {
    if (this.#parts.drive.failure !== undefined) return undefined
    const coming = this.#coming.find(id)
    return coming === undefined ? this.#index.findKnown(id) : { row: coming }
  }

  /** Where shards lie, in the order of `ids`. */
  async lookupMany(ids: readonly ShardId[]): Promise<(ShardRow | undefined)[]> {
    const coming = ids.map((id) => this.#coming.find(id))
    const found = await this.#index.read((index) => index.getMany(ids))
    return found.map((row, at) => coming[at] ?? row)
  }

  /** The first shards after `after` that lie in segments, in an order that compaction does not change. */
  async idsAfter(after: ShardId | undefined, limit: number): Promise<ShardId[]> {
    await this.writeComing()
    return await this.#index.read((index) => index.idsAfter(after, limit))
  }

  /** Notes that the appender began a segment. */
  begin(segment: number): void {
    assert(!this.accounts.has(segment), 'segment numbers are never used twice')
    this.accounts.set(segment, newAccount(segment, 'open', 0))
  }

  /** Enters records that became durable. A copy counts only if its original is still the live one. */
  async add(records: readonly AppendedRecord[], options: { sync: boolean }): Promise<void> {
    const names = records.map(({ id }) => nameOf(id))
    if (options.sync || !records.every((record, at) => this.#mayCome(record, names[at]!))) {
      await this.#change(async (index) => {
        await this.#enter(index, records, options)
        for (const record of records) this.#noteBytes(record)
      })
      return
    }
    for (const [at, record] of records.entries()) {
      this.#coming.add(record, names[at])
      this.#noteBytes(record)
    }
    // Who waits for it hears of its failure: the next ones, until it succeeds.
    if (this.#coming.count >= COMING_ROWS && !this.#isWriting) {
      void this.writeComing().catch(() => {
        this.#mustWrite = true
      })
    }
  }

  /** Writes the rows that are to come. */
  async writeComing(): Promise<void> {
    if (this.#coming.count > 0) await this.#change(async () => {})
  }

  /** Whether the row of a record can be written later: there is none before it whose record would be dead now. */
  #mayCome({ id, copyOf }: AppendedRecord, name: string): boolean {
    if (this.#mustWrite || this.#coming.count >= COMING_ROWS_MAX || copyOf !== undefined)
      return false
    return this.#newShards.isNew(id, name) && this.#coming.find(id, name) === undefined
  }

  /** A change of the index, behind all rows that are to come. */
  #change<T>(change: (index: ShardIndex) => Promise<T>): Promise<T> {
    this.#removals.closeGroup()
    return this.#index.change(async (index) => {
      await this.#enterComing(index)
      return await change(index)
    })
  }

  async #enterComing(index: ShardIndex): Promise<void> {
    const records = this.#coming.records()
    if (records.length === 0) {
      this.#mustWrite = false
      return
    }
    this.#isWriting = true
    try {
      await this.#enter(index, records, { sync: records.length >= SYNCED_ROWS })
      this.#coming.forget(records)
      this.#mustWrite = false
    } catch (error) {
      this.#mustWrite = true
      throw error
    } finally {
      this.#isWriting = false
    }
  }

  async #enter(
    index: ShardIndex,
    records: readonly PlacedRecord[],
    options: { sync: boolean },
  ): Promise<void> {
    const rows = await this.#rowsBefore(index, records)
    const changes = new RowChanges()
    for (const [at, record] of records.entries()) changes.enter(record, rows[at])
    await this.#apply(index, changes, options)
    if (options.sync) return
    for (const { id, place } of records) this.accounts.get(place.segment)?.unsynced.push(id)
  }

  /** The rows that records may take the place of. */
  async #rowsBefore(
    index: ShardIndex,
    records: readonly PlacedRecord[],
  ): Promise<(ShardRow | undefined)[]> {
    const known = records.filter(({ id, name }) => !this.#newShards.isNew(id, name))
    // Before they are written: a change that is made again after the index was mended finds what the first try did.
    for (const { id, name } of records) this.#newShards.note(id, name)
    if (known.length === 0) return []
    const found = await index.getMany(known.map(({ id }) => id))
    const rows = new Map(known.map((record, at) => [record, found[at]]))
    return records.map((record) => rows.get(record))
  }

  /** Forgets a shard; false when there was none. */
  async remove(id: ShardId, options = { sync: false }): Promise<boolean> {
    if (!options.sync) return await this.#removals.add(id)
    this.#removals.closeGroup()
    const group = new RemovalGroup()
    const removed = group.add(id)
    await this.#index
      .change((index) => this.#removeAll(index, group, options))
      .then(
        () => group.end(),
        (error) => group.end(error),
      )
    return await removed
  }

  /** One try: it may be made again, and tells nobody. */
  async #removeAll(
    index: ShardIndex,
    group: RemovalGroup,
    options: { sync: boolean },
  ): Promise<void> {
    group.begin()
    const rows = await this.#rowsOf(index, group.ids)
    // What has no row, as a large shard, is deleted also where rows that are to come find no room.
    const there = group.ids.filter((id, at) => {
      const isThere = rows[at] !== undefined || this.#coming.find(id) !== undefined
      if (!isThere) group.note(id, false)
      return isThere
    })
    if (there.length === 0) return
    const hasComing = there.some((id) => this.#coming.find(id) !== undefined)
    await this.#enterComing(index)
    // A shard that has a row gets no other one but in this lane.
    const known = hasComing
      ? await this.#rowsOf(index, there)
      : rows.filter((row) => row !== undefined)
    const changes = new RowChanges()
    for (const [at, id] of there.entries()) {
      const row = known[at]
      if (row !== undefined) changes.remove(id, row)
    }
    await this.#apply(index, changes, options)
    for (const [at, id] of there.entries()) group.note(id, known[at] !== undefined)
  }

  async #rowsOf(index: ShardIndex, ids: readonly ShardId[]): Promise<(ShardRow | undefined)[]> {
    const [first] = ids
    if (first !== undefined && ids.length === 1) return [await index.get(first)]
    return await index.getMany(ids)
  }

  /** Makes all rows of a segment durable that gets no more records: then a start need not scan it. */
  async seal(segment: number): Promise<void> {
    const account = this.accounts.get(segment)
    assert(account !== undefined, 'a segment that is sealed was begun')
    account.state = 'ended'
    await this.writeComing()
    // A synced write does not make earlier ones durable when LevelDB changed its log between them,
    // so rows that had no sync of their own are written again, with one (docs/formats/index-keys.md).
    while (account.unsynced.length > 0) {
      const ids = account.unsynced.slice(0, CHUNK_ROWS)
      await this.#change((index) => rewriteRows(index, segment, ids))
      account.unsynced.splice(0, ids.length)
    }
    await this.#change(async (index) => {
      // The index may have been made again meanwhile, of what could be read.
      if (!account.isPartly) await markSealed(index, account)
    })
    account.awaitsSeal = account.isPartly
  }

  /** Forgets a segment whose file is gone for good. */
  async drop(segment: number): Promise<void> {
    const keepNumber = segment >= this.#highestWritten()
    await this.#change((index) => dropSegment(index, segment, { keepNumber }))
    this.#highest = Math.max(this.#highest, segment)
    this.accounts.delete(segment)
  }

  /** Reads the files of the index and mends it when one is damaged. */
  scrub(pace: () => Promise<void>): Promise<{ files: number; damaged: number }> {
    return this.#index.scrub(pace)
  }

  /** Closes the index. */
  async close(options: { patience?: boolean } = {}): Promise<void> {
    await this.#index.close(options)
  }

  async #apply(
    index: ShardIndex,
    { changes, events }: RowChanges,
    options: { sync: boolean },
  ): Promise<void> {
    await index.write(changes, options)
    applyEvents(this.accounts, events)
  }

  #noteBytes({ place, layout }: AppendedRecord): void {
    const account = this.accounts.get(place.segment)
    assert(account !== undefined, 'records are appended to a segment that was begun')
    account.bytes = Math.max(account.bytes, place.offset + layout.recordBytes)
  }

  /** At start: counts what is alive, drops rows of segments that are gone, scans those that are not sealed. */
  async #reconcile(index: ShardIndex): Promise<void> {
    const { stray, sealed } = await this.#countRows(index)
    await writeInChunks(index, stray)
    const unsure: SegmentAccount[] = []
    for (const account of this.accounts.values()) {
      const records = sealed.get(account.number)
      if (records === account.live + account.dead) {
        account.state = 'sealed'
        continue
      }
      unsure.push(account)
      if (records !== undefined) {
        this.#parts.log.warn({ segment: account.number }, 'the index lost rows of a segment')
      }
    }
    await this.#reindex(index, unsure)
  }

  async #refill(index: ShardIndex): Promise<void> {
    this.#resetAccounts()
    for (const account of this.accounts.values()) {
      if (account.state !== 'open') account.state = 'ended'
    }
    await this.#reindex(index, [...this.accounts.values()])
  }

  /** Scans segments in order, so that the later of two records with one name wins. */
  async #reindex(index: ShardIndex, accounts: SegmentAccount[]): Promise<void> {
    const { files, secret, log, drive } = this.#parts
    const onHole = limitHoles(drive)
    for (const account of accounts.sort((left, right) => left.number - right.number)) {
      // What the appender told us of is durable. What an earlier process left may end in a torn group.
      const tailTrusted = account.awaitsSeal
      const onRecord = (id: ShardId): void => this.#newShards.noteOld(id)
      const parts = { index, files, secret, accounts: this.accounts, onRecord, onHole }
      const { records, torn, isPartly } = await reindexSegment(account, parts, { tailTrusted })
      const about = { drive: drive.id, segment: account.number, records, torn }
      log.debug(about, 'a segment was scanned')
      // Never taken for empty: what we can not read may yet be someone's only copy.
      account.stuck = records === 0 && account.bytes > 0
      if (account.stuck) log.warn(about, 'nothing in a segment is recognised: it is left alone')
      account.isPartly = isPartly
      if (isPartly) log.warn(about, 'a segment can not be read as a whole: it is left alone')
      else if (!tailTrusted) await markSealed(index, account)
    }
  }

  async #countRows(
    index: ShardIndex,
  ): Promise<{ stray: IndexChange[]; sealed: Map<number, number> }> {
    this.#resetAccounts()
    const strays: IndexEntry[] = []
    const sealed = new Map<number, number>()
    for await (const entry of index.entries()) {
      const segment = segmentOf(entry)
      this.#highest = Math.max(this.#highest, segment)
      if (entry.kind === 'shard') this.#newShards.noteOld(entry.id)
      const account = this.accounts.get(segment)
      if (account === undefined) strays.push(entry)
      else if (entry.kind === 'sealed') sealed.set(segment, entry.records)
      else countEntry(account, entry)
    }
    const stray = strays.filter((entry) => !this.#keepsNumber(entry)).map(removalOf)
    return { stray, sealed }
  }

  #keepsNumber(entry: IndexEntry): boolean {
    return entry.kind === 'sealed' && entry.segment + 1 === this.nextSegment
  }

  #resetAccounts(): void {
    for (const account of this.accounts.values()) {
      account.live = 0
      account.liveBytes = 0
      account.dead = 0
    }
  }
}
