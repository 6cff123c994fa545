// The rows of a partition while they are made again: changed by the rules of commands, so that what comes out is what
// commands could have left.
import type { Uid } from '../../kit/uid.ts'
import { oweShards } from '../commands/become-garbage.ts'
import type { Context, Row } from '../commands/decision.ts'
import { type KeyState, readKey } from '../commands/key-state.ts'
import { versionIdAt } from '../commands/log-time.ts'
import { putOnTop } from '../commands/put-on-top.ts'
import type { RowBatch } from '../log/contract.ts'
import { type Blob, type BucketId, type ObjectVersion, originOf } from '../records.ts'
import { KeyKind } from '../rows/keys.ts'
import {
  type FoundBlob,
  isReadable,
  type NotedUpload,
  nameOf,
  type RebuildReport,
  type Remains,
} from './remains.ts'
import { RowTable } from './row-table.ts'

/** What is made, and what it is made of. */
export class Draft {
  readonly remains: Remains
  readonly rows = new RowTable()
  readonly report: RebuildReport = {
    ...{ dumpedRows: 0, unconfirmed: 0, strangers: 0 },
    ...{ gone: [], damaged: [], uploads: [], unplaced: [] },
  }
  /** Named by a row of the dump, or known by it to be garbage. */
  readonly used = new Set<string>()
  /** What the report is to say of each. */
  readonly uploads = new Map<Uid, NotedUpload>()
  /** Bytes that were written again are there under several uids for a while. */
  readonly #blobs = new Map<string, FoundBlob[]>()

  constructor(remains: Remains) {
    this.remains = remains
    for (const found of remains.blobs) {
      const name = nameOf(found.blob)
      const same = this.#blobs.get(name)
      if (same) same.push(found)
      else this.#blobs.set(name, [found])
    }
  }

  /** What shards tell of the bytes of a blob: under its uid, unless they can only be read under another; undefined when none is left. */
  find(blob: Blob): FoundBlob | undefined {
    const same = this.#blobs.get(nameOf(blob))
    const named = same?.find((found) => found.blob.uid === blob.uid)
    return named && isReadable(named.blob) ? named : same && chooseBest(same)
  }

  /** All bytes that were found, once each. */
  *found(): Generator<FoundBlob> {
    for (const same of this.#blobs.values()) yield chooseBest(same)
  }

  /** Nothing becomes garbage here: what a version gives up stays on the drives, unnamed. */
  apply(batch: RowBatch): void {
    for (const { key, value } of batch) {
      if (value === undefined) this.rows.delete(key)
      else if (key[0] !== KeyKind.Garbage) this.rows.put(key, value)
    }
  }

  /** A key as a command would find it that knows everything of its bucket. */
  async stateOf(bucketId: BucketId, key: string): Promise<KeyState> {
    const bucket = {
      id: bucketId,
      revision: Number.MAX_SAFE_INTEGER,
      versioning: 'enabled',
    } as const
    const state = await readKey({ bucket, key }, this.contextAt(0).view)
    if (state !== 'bucket-gone') return state
    return { bucketId, key: Buffer.from(key), head: undefined, current: undefined }
  }

  contextAt(nowMs: number): Context {
    return {
      view: {
        get: async (key) => this.rows.get(key),
        scan: async (range, limit): Promise<Row[]> => this.rows.scan(range, limit),
      },
      // Whatever has shards is named again.
      ...{ time: BigInt(nowMs) << 16n, nowMs, judgedMs: 0 },
      garbage: { graceMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY },
      isTimeOver: () => false,
    }
  }

  /** Puts a version over what the key has, if it is the later one; whether it is there now. */
  async placeVersion(
    { bucketId, key, blob }: FoundBlob,
    { atMs, versioned }: { atMs: number; versioned: boolean },
    made: Omit<ObjectVersion, 'versionId' | 'modifiedMs'>,
  ): Promise<boolean> {
    const state = await this.stateOf(bucketId, key)
    const head = state.head?.version
    // Begun before what the dump knows as the latest, and not known to it: refused, or still under way then.
    if (head && head.modifiedMs > atMs) {
      this.report.unplaced.push({ bucketId, key, uid: blob.uid })
      return false
    }
    const time = BigInt(atMs) << 16n
    const version: ObjectVersion = {
      ...made,
      ...{
        versionId: versionIdAt(time, originOf(blob)),
        modifiedMs: atMs,
        unconfirmed: true as const,
      },
      ...(versioned ? { versioned: true as const } : {}),
    }
    const placed = await putOnTop(state, version, this.contextAt(atMs))
    if (placed === 'locked') {
      this.report.unplaced.push({ bucketId, key, uid: blob.uid })
      return false
    }
    this.report.unconfirmed += 1
    this.apply(placed)
    this.apply(oweShards({ bucketId, key }, version.blob))
    return true
  }
}

/** Of the same bytes what was written last, if that can be read: it fits on the drives that the store has now. */
function chooseBest(same: readonly FoundBlob[]): FoundBlob {
  const latestFirst = [...same].sort((left, right) => (left.blob.uid < right.blob.uid ? 1 : -1))
  return latestFirst.find(({ blob }) => isReadable(blob)) ?? latestFirst[0]!
}
