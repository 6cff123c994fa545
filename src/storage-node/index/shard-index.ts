// A typed view over the LevelDB that says where shards lie. It is a cache of the truth: whatever is wrong with it,
// it can be moved aside and made again from the segments (shard-ledger.ts).
import { readIfThere } from '../../kit/files.ts'
import type { World } from '../../kit/world.ts'
import type { ShardId } from '../contract.ts'
import type { Drive } from '../drive.ts'
import type { BytesLevel, OpenLevel } from '../drive-lock.ts'
import { flushLevel } from '../flush-level.ts'
import { levelSizesOn } from '../space/sizes.ts'
import {
  deadKey,
  decodeEntry,
  encodeEntry,
  IndexCorrupt,
  type IndexEntry,
  KeyKind,
  type ShardRow,
  sealedKey,
  shardKey,
} from './index-rows.ts'
import { type KnownPlace, KnownPlaces } from './known-places.ts'

/** A change of the index. */
export type IndexChange =
  | { put: IndexEntry }
  | { remove: { kind: 'shard'; id: ShardId } | { kind: 'sealed'; segment: number } }
  | { removeDead: { segment: number; offset: number } }

const CACHE_BYTES = 2 * 1024 * 1024
const SCAN_ROWS = 1000
/** Where the rows of shards lie. */
const SHARDS = { from: Buffer.of(KeyKind.Shard), to: Buffer.of(KeyKind.Shard + 1) }

/** The open index of one drive. */
export class ShardIndex {
  readonly #drive: Drive
  readonly #level: BytesLevel
  readonly #known = new KnownPlaces()

  private constructor(drive: Drive, level: BytesLevel) {
    this.#drive = drive
    this.#level = level
  }

  /** Opens the LevelDB at `path`; throws what LevelDB throws, or IndexCorrupt when its log tells of lost rows. */
  static async open(
    path: string,
    parts: { drive: Drive; world: Pick<World, 'disk'>; openLevel: OpenLevel },
  ): Promise<ShardIndex> {
    const { drive, world } = parts
    const { totalBytes } = await drive.run(() => world.disk.space(drive.path))
    const sizes = levelSizesOn(totalBytes, CACHE_BYTES)
    const level = await drive.run(() => parts.openLevel(path, sizes))
    const lost = await drive.run(() => findLoss(world, path))
    if (lost === undefined) return new ShardIndex(drive, level)
    await level.close()
    throw new IndexCorrupt(`LevelDB says: ${lost}`)
  }

  /** Where a shard lies. */
  async get(id: ShardId): Promise<ShardRow | undefined> {
    const known = this.#known.find(id)
    // A drive that failed says so, whatever is still known of it.
    if (known !== undefined && this.#drive.failure === undefined) return known.row
    const { generation } = this.#known
    const key = shardKey(id)
    const value = await this.#drive.run(() => this.#level.get(key))
    const row = value === undefined ? undefined : rowOf(key, value)
    this.#known.keep(id, row, generation)
    return row
  }

  /** What get() would give without asking LevelDB; undefined when it would ask. */
  findKnown(id: ShardId): KnownPlace | undefined {
    return this.#drive.failure === undefined ? this.#known.find(id) : undefined
  }

  /** Where shards lie, in the order of `ids`. */
  async getMany(ids: readonly ShardId[]): Promise<(ShardRow | undefined)[]> {
    const keys = ids.map(shardKey)
    const values = await this.#drive.run(() => this.#level.getMany(keys))
    return values.map((value, at) => (value === undefined ? undefined : rowOf(keys[at]!, value)))
  }

  /** Offsets of the dead records of a segment. */
  async deadOffsets(segment: number): Promise<Set<number>> {
    const offsets = new Set<number>()
    const range = {
      gte: deadKey({ segment, offset: 0 }),
      lt: deadKey({ segment: segment + 1, offset: 0 }),
    }
    for await (const entry of this.#scan(range)) {
      if (entry.kind === 'dead') offsets.add(entry.place.offset)
    }
    return offsets
  }

  /** The first shards after `after`, in the order of their keys. */
  async idsAfter(after: ShardId | undefined, limit: number): Promise<ShardId[]> {
    const ids: ShardId[] = []
    const range = after === undefined ? { gte: SHARDS.from } : { gt: shardKey(after) }
    for await (const entry of this.#scan({ ...range, lt: SHARDS.to }, limit)) {
      if (entry.kind === 'shard') ids.push(entry.id)
      if (ids.length === limit) break
    }
    return ids
  }

  /** Every row, verified. Throws IndexCorrupt at the first one that is not whole. */
  entries(): AsyncGenerator<IndexEntry> {
    return this.#scan({})
  }

  /** Applies all changes at once. Without `sync` a power loss may undo them. */
  async write(changes: readonly IndexChange[], options: { sync: boolean }): Promise<void> {
    if (changes.length === 0) return
    const operations = changes.map(operationOf)
    const shards = shardsOf(changes)
    this.#known.forget(shards)
    try {
      await this.#drive.run(() => this.#level.batch(operations, options as object))
    } finally {
      this.#known.forget(shards)
    }
  }

  /** Writes everything in memory into tables: what LevelDB's own log says is not needed after it. */
  async flush(): Promise<void> {
    await this.#drive.run(() => flushLevel(this.#level))
  }

  async close(): Promise<void> {
    await this.#level.close()
  }

  async *#scan(
    range: { gt?: Uint8Array; gte?: Uint8Array; lt?: Uint8Array },
    rowsAtOnce = SCAN_ROWS,
  ): AsyncGenerator<IndexEntry> {
    const iterator = this.#level.iterator({ ...range, highWaterMarkBytes: 256 * 1024 } as object)
    try {
      for (;;) {
        const rows = await this.#drive.run(() => iterator.nextv(rowsAtOnce))
        if (rows.length === 0) return
        for (const [key, value] of rows) yield decodeEntry(key, value)
      }
    } finally {
      await iterator.close()
    }
  }
}

function rowOf(key: Uint8Array, value: Uint8Array): ShardRow {
  const entry = decodeEntry(key, value)
  if (entry.kind !== 'shard') throw new IndexCorrupt('the row of a shard is of another kind')
  return entry.row
}

type Operation =
  | { type: 'put'; key: Uint8Array; value: Uint8Array }
  | { type: 'del'; key: Uint8Array }

function operationOf(change: IndexChange): Operation {
  if ('put' in change) return { type: 'put', ...encodeEntry(change.put) }
  if ('removeDead' in change) return { type: 'del', key: deadKey(change.removeDead) }
  const { remove } = change
  const key = remove.kind === 'shard' ? shardKey(remove.id) : sealedKey(remove.segment)
  return { type: 'del', key }
}

/** The shards that changes are about. A loop, for each row passes here (decision 38). */
function shardsOf(changes: readonly IndexChange[]): ShardId[] {
  const shards: ShardId[] = []
  for (const change of changes) {
    if ('put' in change) {
      if (change.put.kind === 'shard') shards.push(change.put.id)
    } else if ('remove' in change && change.remove.kind === 'shard') shards.push(change.remove.id)
  }
  return shards
}

/** LevelDB drops what it can not read and tells only its own log file (docs/formats/index-keys.md). */
async function findLoss(world: Pick<World, 'disk'>, path: string): Promise<string | undefined> {
  for (const name of ['LOG', 'LOG.old']) {
    const text = await readText(world, `${path}/${name}`)
    const line = text.split('\n').find((each) => /dropping|Corruption/.test(each))
    if (line !== undefined) return line
  }
  return undefined
}

async function readText(world: Pick<World, 'disk'>, path: string): Promise<string> {
  return Buffer.from((await readIfThere(world, path)) ?? []).toString('latin1')
}
