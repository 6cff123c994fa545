// What a storage node offers: it keeps shards and gives them back checked. It knows nothing of S3.
// The only file of this room that objects/ may import: types, no code.
import type { Brand } from '../kit/brand.ts'
import type { ErasureCode } from '../kit/erasure-code.ts'
import type { Uid } from '../kit/uid.ts'
import type { BlobReference, MetadataPartition } from '../metadata/contract.ts'
import type { Blob } from '../metadata/records.ts'

/** Names a drive for ever: a number that is never given twice in a cluster. */
export type DriveId = number

/** One shard of one blob. `part` is 0 for a whole object, else the part number of an upload. */
export interface ShardId {
  uid: Uid
  part: number
  slot: number
}

/** All that a shard says of itself in its header, enough to rebuild every index from shards alone. */
export interface ShardDescription {
  id: ShardId
  code: ErasureCode
  /** Largest cell of this shard, in bytes. */
  cellBytes: number
  /** Bytes of this shard without checksums. Every cell is `cellBytes` long but the last, which holds the rest. */
  shardBytes: number
  /** Bytes of the blob that this shard is part of. */
  blobBytes: number
  /** Data partition of the key (placement). */
  partition: number
  mapEpoch: number
  bucketId: number
  /** UTF-8 of the object key. */
  key: string
  /** What else is needed to rebuild the row (CBOR): src/metadata/label.ts. */
  metadata: Uint8Array
}

/** What all shards of a blob say of themselves. */
export type CopiesDescription = Omit<ShardDescription, 'id'> & { id: Omit<ShardId, 'slot'> }

/** Shards of one blob that hold the same bytes, each of one cell, with all that they are to say. */
export interface ShardCopies {
  /** Makes one of them durable and readable, as a shard that is begun, written and committed. A failure leaves nothing. */
  put(driveId: DriveId, slot: number): Promise<void>
}

/** Writes the cells of one shard in order. Nothing is visible or durable before commit() resolves. */
export interface ShardWriter {
  /** Appends a cell; the bytes may be reused when the promise resolves. */
  write(cell: Uint8Array): Promise<void>
  /** As write() for several cells in a row. Writers that gain nothing by it do without. */
  writeRun?(cells: readonly Uint8Array[]): Promise<void>
  /**
   * Makes the shard durable and readable: bytes, checksums and directory entries. `metadata` takes the place of that
   * which the shard was begun with, and is as long.
   */
  commit(metadata?: Uint8Array): Promise<void>
  /** Throws away what was written. Safe at any time before commit() and after a failure. */
  abort(): Promise<void>
}

/** What reading one cell gave. Bytes of a `found` cell were checked against their checksum. */
export type CellRead =
  | { kind: 'found'; bytes: number }
  | { kind: 'missing' }
  | { kind: 'corrupt'; detail: string }

/** What a shard says of itself. `found`: header and tail were read from the drive and are whole. */
export type ShardDescribed =
  | { kind: 'found'; description: ShardDescription }
  | { kind: 'missing' }
  | { kind: 'corrupt'; detail: string }

/** Reads cells of one shard. Several reads may be under way at once. */
export interface ShardReader {
  /** Reads everything but the cells: for checking a shard, and for making others of the same blob again. */
  describe(): Promise<ShardDescribed>
  /** Reads cell `index` into the beginning of `target`, which is at least as long as the cell. */
  readCell(index: number, target: Uint8Array): Promise<CellRead>
  /**
   * Cells `first` to `first + count - 1` at once, in memory that is lent (kit/lent-bytes.ts). undefined unless all of them
   * are whole: readCell() then tells which is not, and why. Readers that gain nothing by it do without.
   */
  readRun?(first: number, count: number): Promise<readonly Uint8Array[] | undefined>
  /** A promise only where something is to be waited for. */
  close(): Promise<void> | undefined
}

/** What opening a shard gave. */
export type ShardOpened =
  | { kind: 'found'; reader: ShardReader }
  | { kind: 'missing' }
  | { kind: 'corrupt'; detail: string }

/** A place in the order of what is written on a drive, as long as it is open. */
export type DriveMoment = Brand<string, 'DriveMoment'>

/**
 * Shards on drives. Every method throws DriveUnavailable when the drive is failed, unknown or closing;
 * what it answers otherwise was true of the bytes on disk.
 */
export interface ShardsOnDrives {
  /** Begins a shard, with room kept for it. `move`: one that is made again or moved, which must leave more free. */
  beginShard(
    driveId: DriveId,
    description: ShardDescription,
    use?: 'data' | 'move',
  ): Promise<ShardWriter>
  /**
   * Makes copies of a cell, whose bytes are read until all that were put are durable: where one was not put, for as long as it may
   * take. Nodes that gain nothing by it do without.
   */
  copies?(description: CopiesDescription, cell: Uint8Array): ShardCopies
  /** Whether a drive seems to have room for a shard: a look, no promise. True of a drive that is not known. */
  hasRoom(driveId: DriveId, shardBytes: number, use: 'data' | 'move'): boolean
  openShard(driveId: DriveId, id: ShardId): Promise<ShardOpened>
  /**
   * As openShard(), where nothing is to be waited for: of a shard that others opened a moment ago, or one of a single cell that lies
   * with another node, of which the read tells whether it is there. undefined when that is not so. `cellCount`: how many it has, as far
   * as is known.
   */
  openAtHand?(driveId: DriveId, id: ShardId, cellCount?: number): ShardReader | undefined
  /** Forgets a shard; a missing one is no error. Its space is free soon after. */
  deleteShard(driveId: DriveId, id: ShardId): Promise<void>
}

/**
 * Shards on drives, for upkeep as well. What a row does not name may come to be named again, by whoever leads next: so it is
 * deleted by an order that tells when it was decided. First the moment, then the look at the row, then the order.
 */
export interface StorageNode extends ShardsOnDrives {
  /** A moment on the drive that is behind everything that was written there. */
  momentOn(driveId: DriveId): Promise<DriveMoment>
  /** Deletes a shard unless it was made again, moved there or kept since; false when it may have been, and stays. */
  deleteUntouched(driveId: DriveId, id: ShardId, since: DriveMoment): Promise<boolean>
  /** A row is to name the shard that lies there: no order from before deletes it, and none is under way any more. */
  keepShard(driveId: DriveId, id: ShardId): Promise<void>
  /** Why nobody waits for a drive now, as `node n3 does not answer`; undefined where it is used. Nodes that put none aside do without. */
  whyAside?(driveId: DriveId): string | undefined
}

/** A blob that is to be written anew, with another code. */
export interface AnewRequest {
  partition: MetadataPartition
  reference: BlobReference
  code: ErasureCode
}

/** What became of it. */
export type WrittenAnew =
  /** The row names `blob` now, every shard of which was read back. */
  | { kind: 'replaced'; blob: Blob }
  /** The row does not name it any more. */
  | { kind: 'gone' }
  /** There is no room, or too few drives: later. */
  | { kind: 'waiting' }
  /** Too few of its shards could be read. */
  | { kind: 'unreadable' }

/** Writes blobs anew for upkeep, as all others are written. */
export interface Rewriter {
  /** `pace` is called between stripes: it rests, and throws when work is to end. */
  writeAnew(
    request: AnewRequest,
    pace: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<WrittenAnew>
}

/** What is known of the health of drives, for those who choose which of them to read. */
export interface DriveAdvice {
  /** A drive that is not to be waited for where others can answer. */
  isSuspect(driveId: DriveId): boolean
  /** A read from the drive that takes longer is late, in milliseconds. */
  lateAfterMs(driveId: DriveId): number
  /** Calls back when the drive becomes suspect; returns how to stop. */
  onSuspect(driveId: DriveId, listener: () => void): () => void
}

/** What lies on the drives of a storage node: for upkeep beside the node itself. */
export interface ShardLists {
  /** The names of all shards of a drive, some at a time. Throws DriveUnavailable as soon as the drive is not there. */
  listShards(driveId: DriveId): AsyncIterable<readonly ShardId[]>
}
