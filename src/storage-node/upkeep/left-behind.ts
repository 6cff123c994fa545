// Shards that moved and still lie where they were: they go once nobody can be reading them there any more. In memory
// only: what a crash makes it forget, or another process leads by then, is found by the sweep for orphans.
import type { Uid } from '../../kit/uid.ts'
import type { BlobReference, MetadataPartition, MetaPartitionId } from '../../metadata/contract.ts'
import { whereaboutsOf } from '../../metadata/rows/blob-rows.ts'
import type { DriveId, ShardId, StorageNode } from '../contract.ts'
import type { BlobLatch } from './blob-latch.ts'
import { Moments } from './moments.ts'

/** A copy that no row names any more. */
export interface OldCopy {
  driveId: DriveId
  id: ShardId
  partition: MetaPartitionId
  /** The row that named it. */
  reference: BlobReference
}

/** What deleting needs. */
export interface ClearingParts {
  /** By their ids. In whichever reign they are asked: a copy is deleted only if it was not made again since the question. */
  partitions: readonly Pick<MetadataPartition, 'findBlob'>[]
  node: StorageNode
  latch: BlobLatch
  /** Whether somebody reads the blob, by a row that it found before. */
  isPinned(uid: Uid): boolean
  /** Whether this process may ask the partition; absent where it has all of them. */
  isMine?(partition: MetaPartitionId): boolean
}

/** A bound on memory: what comes beyond it is an orphan. */
const COPIES_MAX = 200_000

/** A copy that could not be deleted is left alone for so long. */
const AGAIN_MS = 5_000

/** Old copies by the order in which they are due. */
export class LeftBehind {
  readonly #graceMs: number
  readonly #copies = new Map<string, { copy: OldCopy; dueMs: number }>()
  readonly #counts = new Map<DriveId, number>()

  /** `graceMs`: how long a reader may take from finding a row to saying what it reads. */
  constructor(graceMs: number) {
    this.#graceMs = graceMs
  }

  get size(): number {
    return this.#copies.size
  }

  /** How many lie on a drive. */
  countOn(driveId: DriveId): number {
    return this.#counts.get(driveId) ?? 0
  }

  /** Whether this copy is to be deleted. */
  has(driveId: DriveId, id: ShardId): boolean {
    return this.#copies.has(nameOf({ driveId, id }))
  }

  /** A row names another drive for this shard now. Only who holds the latch of the blob says so. */
  add(copy: OldCopy, nowMs: number): void {
    const name = nameOf(copy)
    this.#forget(name)
    if (this.#copies.size >= COPIES_MAX) return
    this.#copies.set(name, { copy, dueMs: nowMs + this.#graceMs })
    this.#counts.set(copy.driveId, this.countOn(copy.driveId) + 1)
  }

  /** The shard was written there anew, and is named again. Only who holds the latch of the blob says so. */
  cancel(driveId: DriveId, id: ShardId): void {
    this.#forget(nameOf({ driveId, id }))
  }

  /** Deletes copies that are due, at most `limit` of them; returns how many were looked at. */
  async clear(limit: number, nowMs: number, parts: ClearingParts): Promise<number> {
    let looked = 0
    const moments = new Moments(parts.node)
    for (const [name, entry] of this.#copies) {
      if (looked === limit || entry.dueMs > nowMs) break
      looked += 1
      if (await this.#clearOne(entry.copy, moments, parts)) this.#forget(name)
      else this.#later(name, { ...entry, dueMs: nowMs + Math.max(this.#graceMs, AGAIN_MS) })
    }
    return looked
  }

  /** False when it is to be tried again. */
  async #clearOne(copy: OldCopy, moments: Moments, parts: ClearingParts): Promise<boolean> {
    const { node, latch, isPinned, isMine, partitions } = parts
    const { driveId, id, partition, reference } = copy
    if (isPinned(id.uid)) return false
    // Whoever leads it now does not know of the copy, and finds it as an orphan: nobody waits for it any more.
    if (isMine?.(partition) === false) return true
    const letGo = latch.tryHold(id.uid)
    if (letGo === undefined) return false
    try {
      const since = await moments.on(driveId)
      const { rowKey, blob } = reference
      const asked = { ...whereaboutsOf(rowKey), rowKey, blob }
      const found = await partitions[partition]!.findBlob(asked)
      // It is named here again: whoever wrote it did not say so, and it is not ours to delete.
      if (found?.blob.drives[id.slot] === driveId) return true
      // Who leads by now may have it there again, and be about to name it.
      return await node.deleteUntouched(driveId, id, since)
    } catch {
      // A drive or metadata without an answer. A drive that stays away keeps an orphan.
      return false
    } finally {
      letGo()
    }
  }

  /** All wait alike, so the order of entry is the order in which they are due. */
  #later(name: string, entry: { copy: OldCopy; dueMs: number }): void {
    this.#copies.delete(name)
    this.#copies.set(name, entry)
  }

  #forget(name: string): void {
    const known = this.#copies.get(name)
    if (known === undefined) return
    this.#copies.delete(name)
    const { driveId } = known.copy
    const left = this.countOn(driveId) - 1
    if (left === 0) this.#counts.delete(driveId)
    else this.#counts.set(driveId, left)
  }
}

function nameOf({ driveId, id: { uid, part, slot } }: Pick<OldCopy, 'driveId' | 'id'>): string {
  return `${driveId}/${uid}.${part}.${slot}`
}
