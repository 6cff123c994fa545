// A partition: a log that gives an order, rows that follow from it, and the commands and queries in between.
import { prepareDigests } from '../digest/digest.ts'
import { assert } from '../kit/assert.ts'
import { compareBytes, kibibytes } from '../kit/bytes.ts'
import { Deadlines } from '../kit/deadlines.ts'
import { type Uid, uidTimeMs } from '../kit/uid.ts'
import type { Clock } from '../kit/world.ts'
import { repairKeyOf } from './commands/become-garbage.ts'
import { refusesQueries, refusesQuery } from './commands/bucket-gate.ts'
import type { GarbagePolicy } from './commands/decision.ts'
import { type CommandPipeline, openPipeline, type PipelineParts } from './commands/pipeline.ts'
import { rowsInOrder } from './commands/rows-in-order.ts'
import { confirmedPartition } from './confirmed-partition.ts'
import type {
  AnnotationScan,
  AnswerTo,
  BlobReference,
  BlobVerdict,
  Command,
  Garbage,
  GarbagePlace,
  ListedVersion,
  MetadataPartition,
  MetaPartitionId,
  ObjectScan,
  OwedBlob,
  PartitionTally,
  ScanPage,
  Sending,
  UploadCensus,
  UploadScan,
  VersionScan,
} from './contract.ts'
import { countUploads } from './count-uploads.ts'
import { type BlobName, findBlob, findBlobsOfKey } from './find-blob.ts'
import { KeptObjects } from './listing/kept-objects.ts'
import type { RowBatch, RowRange, RowReader } from './log/contract.ts'
import { lookUpVersion } from './look-up.ts'
import {
  type Annotation,
  type AnyVersion,
  type BucketId,
  type BucketRef,
  isDeleteMarker,
  type ListedObject,
  type ObjectVersion,
  type Part,
  type Upload,
} from './records.ts'
import { decodeAnnotationRow } from './rows/annotation-row.ts'
import { type BucketState, decodeBucketRow } from './rows/bucket-row.ts'
import { decodeGarbageRow } from './rows/garbage-row.ts'
import {
  annotationKey,
  bucketKey,
  currentKey,
  dueOfGarbage,
  garbageFrom,
  garbageKey,
  KeyKind,
  keyAfter,
  manifestOf,
  partKey,
  partsOf,
  rangeOf,
  rangeOfKind,
  uploadKey,
} from './rows/keys.ts'
import { readHeadRow } from './rows/known-heads.ts'
import { decodeManifestRow } from './rows/manifest-row.ts'
import { decodePartRow } from './rows/part-row.ts'
import { decodeRepairRow } from './rows/repair-row.ts'
import { decodeUploadRow } from './rows/upload-row.ts'
import { scanObjects, scanUploads } from './scan.ts'
import { type BlobPage, scanBlobs } from './scan-blobs.ts'
import { scanVersions } from './scan-versions.ts'
import { countRows, readRows } from './scan-walk.ts'
import { MetadataUnavailable } from './unavailable.ts'

/** Bytes outlive their last reference by 15 minutes and what a slow reader needs: readers on other machines can not be asked. */
export const USUAL_GARBAGE: GarbagePolicy = {
  graceMs: 15 * 60 * 1000,
  bytesPerSecond: kibibytes(256),
}

/** Above every part number: where a list of parts ends, whatever marker a client sends. */
const PART_NUMBER_MAX = 0xffff

/** A search in the order of commands makes these wait: so many rows take about a tenth of a second. */
const SEARCH_ROWS_MAX = 20_000

/** Which partition it is, how much may be under way in it, and who is asked or told of its commands. */
export interface PartitionOptions {
  id: MetaPartitionId
  garbage?: GarbagePolicy
  /** Commands that are decided but not yet durable; 1,024 unless said otherwise. */
  pendingMax?: number
  /** Commands that wait to be decided, beyond which commit() throws Overloaded; 8,192 unless said otherwise. */
  waitingMax?: number
  /** Throws for a command that is not to be done now. One that comes again is answered as before. */
  admit?: (command: Command) => void
  /** Told of rows that are about to change, before anybody can read or hear of it. */
  onAppended?: (batch: RowBatch) => void
  /** Of blobs that are younger nothing is said, for their writers may be about to commit. Without it judgeBlobs() is not to be called. */
  blobAgeMsMax?: number
  /** Who waits longer than this for a log that does not go on is told so; without it everybody waits. */
  patience?: Patience
}

/** How long to wait, and by which clock. */
export interface Patience {
  ms: number
  clock: Pick<Clock, 'sleep' | 'monotonicMs'>
}

/** A partition over its log. The log must be ready to append, and no other partition may append to it. */
export async function openPartition(
  options: PartitionOptions,
  parts: PipelineParts,
): Promise<MetadataPartition> {
  await prepareDigests()
  const { garbage = USUAL_GARBAGE, pendingMax = 1024, waitingMax = 8192 } = options
  const { admit, onAppended } = options
  const kept = new KeptObjects()
  const onSettled = kept.settle.bind(kept)
  const asked = {
    ...{ onSettled, ...(onAppended ? { onAppended } : {}) },
    ...(admit ? { admit } : {}),
  }
  const pipeline = await openPipeline({ garbage, pendingMax, waitingMax, ...asked }, parts)
  const partition = new Partition(options, { rows: parts.log.rows, kept }, pipeline)
  const { log } = parts
  return log.confirm ? confirmedPartition(partition, () => log.confirm!()) : partition
}

/** Queries read rows that are durable; a write whose fate is open is waited for where it could matter. */
class Partition implements MetadataPartition {
  readonly id: MetaPartitionId
  readonly tally: PartitionTally
  readonly #rows: RowReader
  readonly #kept: KeptObjects
  readonly #pipeline: CommandPipeline
  readonly #patience: Patience | undefined
  readonly #deadlines: Deadlines | undefined
  readonly #blobAgeMsMax: number | undefined
  #latestBucket: { row: Uint8Array; state: BucketState } | undefined
  /** Of those that were given up waiting for, how many are still under way. */
  #late = 0
  /** Reads that wait for the fate of a pending write. */
  readonly #settledRows: Pick<RowReader, 'get'> = {
    get: async (key) => {
      await this.#settled(key)
      return await this.#rows.get(key)
    },
  }

  constructor(
    { id, patience, blobAgeMsMax }: PartitionOptions,
    { rows, kept }: { rows: RowReader; kept: KeptObjects },
    pipeline: CommandPipeline,
  ) {
    this.id = id
    this.#patience = patience
    this.#deadlines = patience && new Deadlines(patience.ms, patience.clock)
    this.#blobAgeMsMax = blobAgeMsMax
    this.#rows = rows
    this.#kept = kept
    this.#pipeline = pipeline
    this.tally = pipeline.tally
  }

  async commit<C extends Command>(command: C, sending?: Sending): Promise<AnswerTo<C>> {
    this.#pipeline.refuseUnknown(command)
    return await this.#inTime(this.#pipeline.commit(command, sending))
  }

  forgetExpired(): Promise<number> {
    return this.#pipeline.sweep()
  }

  async getObject(
    bucket: BucketRef,
    key: string,
    versionId?: string,
  ): Promise<AnyVersion | undefined | 'bucket-gone'> {
    const place = { bucketId: bucket.id, key: Buffer.from(key) }
    const [refused, version] = await Promise.all([
      refusesQueries(this.#rows, bucket),
      lookUpVersion(this.#settledRows, place, versionId),
    ])
    return refused ? 'bucket-gone' : version
  }

  getAtHand(bucket: BucketRef, key: string): ObjectVersion | undefined {
    const rows = this.#rows
    if (rows.getAtHand === undefined) return undefined
    const bucketRow = rows.getAtHand(bucketKey(bucket.id))
    if (bucketRow === undefined || this.#refuses(bucketRow.value, bucket)) return undefined
    const rowKey = currentKey(bucket.id, Buffer.from(key))
    // Nobody knows yet what the latest version is: getObject() waits until somebody does.
    if (this.#pipeline.isPending(rowKey)) return undefined
    const row = rows.getAtHand(rowKey)?.value
    const version = row && readHeadRow(row).version
    return version === undefined || isDeleteMarker(version) ? undefined : version
  }

  #refuses(row: Uint8Array | undefined, bucket: BucketRef): boolean {
    if (row === undefined) return false
    // Rows that are kept at hand are the same bytes until they change.
    if (this.#latestBucket?.row !== row) this.#latestBucket = { row, state: decodeBucketRow(row) }
    return refusesQuery(this.#latestBucket.state, bucket)
  }

  async getManifest(uid: Uid): Promise<Part[]> {
    const rows = await readRows(this.#rows, rangeOf(manifestOf(uid)))
    return rows.flatMap(({ value }) => decodeManifestRow(value))
  }

  async scanObjects(scan: ObjectScan): Promise<ScanPage<ListedObject> | 'bucket-gone'> {
    await this.#allSettled()
    if (await refusesQueries(this.#rows, scan.bucket)) return 'bucket-gone'
    return await scanObjects(this.#rows, scan, this.#kept)
  }

  async getUpload(bucket: BucketRef, key: string, uploadId: Uid): Promise<Upload | undefined> {
    const rowKey = uploadKey(bucket.id, Buffer.from(key), uploadId)
    await this.#settled(rowKey)
    const row = await this.#rows.get(rowKey)
    return row && decodeUploadRow(row, uploadId)
  }

  async listParts(
    uploadId: Uid,
    after: number,
    limit: number,
  ): Promise<{ parts: Part[]; more: boolean }> {
    await this.#allSettled()
    const first = Math.min(Math.max(after + 1, 0), PART_NUMBER_MAX)
    const range = { from: partKey(uploadId, first), to: rangeOf(partsOf(uploadId)).to }
    const rows = await readRows(this.#rows, range, limit + 1)
    const parts = rows.slice(0, limit).map(({ value }) => decodePartRow(value))
    return { parts, more: rows.length > limit }
  }

  async scanUploads(scan: UploadScan): Promise<ScanPage<Upload> | 'bucket-gone'> {
    await this.#allSettled()
    if (await refusesQueries(this.#rows, scan.bucket)) return 'bucket-gone'
    return await scanUploads(this.#rows, scan)
  }

  async scanVersions(scan: VersionScan): Promise<ScanPage<ListedVersion> | 'bucket-gone'> {
    await this.#allSettled()
    if (await refusesQueries(this.#rows, scan.bucket)) return 'bucket-gone'
    return await scanVersions(this.#rows, scan)
  }

  countUploads(): Promise<UploadCensus> {
    return countUploads(this.#rows)
  }

  async getAnnotation(annotationsId: string, name: string): Promise<Annotation | undefined> {
    const rowKey = annotationKey(annotationsId, name)
    const row = await this.#settledRows.get(rowKey)
    return row && decodeAnnotationRow(rowKey, row)
  }

  async scanAnnotations(
    annotationsId: string,
    { prefix, after, limit }: AnnotationScan,
  ): Promise<{ annotations: Annotation[]; more: boolean }> {
    await this.#allSettled()
    const all = rangeOf(annotationKey(annotationsId, prefix))
    const start = keyAfter(annotationKey(annotationsId, after))
    const from = after !== '' && compareBytes(start, all.from) > 0 ? start : all.from
    const rows = await readRows(this.#rows, { from, to: all.to }, limit + 1)
    const page = rows.slice(0, limit)
    const annotations = page.map(({ key, value }) => decodeAnnotationRow(key, value))
    return { annotations, more: rows.length > limit }
  }

  async scanBlobs(after: Uint8Array | undefined, limit: number): Promise<BlobPage> {
    await this.#allSettled()
    return await scanBlobs(this.#rows, after, limit)
  }

  owedBlobs(limit: number): Promise<OwedBlob[]> {
    return this.#readOwed(rangeOfKind(KeyKind.Repair), limit)
  }

  owedAfter({ blob }: OwedBlob, limit: number): Promise<OwedBlob[]> {
    const rowKey = repairKeyOf(blob)
    assert(rowKey !== undefined, 'a blob that is owed lacks shards')
    const { to } = rangeOfKind(KeyKind.Repair)
    return this.#readOwed({ from: keyAfter(rowKey), to }, limit)
  }

  async #readOwed(range: RowRange, limit: number): Promise<OwedBlob[]> {
    await this.#allSettled()
    const rows = await readRows(this.#rows, range, limit)
    return rows.map(({ value }) => decodeRepairRow(value))
  }

  async countOwed(): Promise<number> {
    await this.#allSettled()
    return await countRows(this.#rows, rangeOfKind(KeyKind.Repair))
  }

  async findBlob(owed: OwedBlob): Promise<BlobReference | undefined> {
    await this.#allSettled()
    return await findBlob(this.#rows, owed)
  }

  async findInOrder(
    { bucketId, key }: { bucketId: BucketId; key: string },
    blobs: readonly BlobName[],
  ): Promise<(BlobReference | undefined)[]> {
    const place = { bucketId, key: Buffer.from(key) }
    return await this.#pipeline.ask((view) =>
      findBlobsOfKey(rowsInOrder(view, SEARCH_ROWS_MAX), place, blobs),
    )
  }

  async judgeBlobs(
    { bucketId, key }: { bucketId: BucketId; key: string },
    blobs: readonly BlobName[],
  ): Promise<BlobVerdict[]> {
    const ageMsMax = this.#blobAgeMsMax
    assert(ageMsMax !== undefined, 'it was said from which age on blobs are judged')
    const place = { bucketId, key: Buffer.from(key) }
    const { verdicts } = await this.#pipeline.judge(async (view, nowMs) => {
      const rows = rowsInOrder(view, SEARCH_ROWS_MAX)
      const found = await findBlobsOfKey(rows, place, blobs)
      let judgedMs = 0
      const verdicts = blobs.map(({ uid }, at): BlobVerdict => {
        const reference = found[at]
        if (reference !== undefined) return { kind: 'named', reference }
        if (nowMs - uidTimeMs(uid) <= ageMsMax) return { kind: 'young' }
        judgedMs = Math.max(judgedMs, uidTimeMs(uid))
        return { kind: 'unnamed' }
      })
      return { verdicts, judgedMs }
    })
    return verdicts
  }

  async settle(): Promise<void> {
    await this.#inTime(this.#pipeline.ask(async () => {}))
  }

  async dueGarbage(nowMs: number, limit: number, after?: Garbage): Promise<Garbage[]> {
    const from = after ? keyAfter(garbageKey(after.dueMs, after.blob.uid)) : garbageFrom(0)
    return await this.#readGarbage({ from, to: garbageFrom(Math.floor(nowMs) + 1) }, limit)
  }

  async garbageAfter({ dueMs, uid }: GarbagePlace, limit: number): Promise<Garbage[]> {
    const { to } = rangeOfKind(KeyKind.Garbage)
    return await this.#readGarbage({ from: keyAfter(garbageKey(dueMs, uid)), to }, limit)
  }

  async #readGarbage(range: RowRange, limit: number): Promise<Garbage[]> {
    const rows = await readRows(this.#rows, range, limit)
    return rows.map(({ key, value }) => decodeGarbageRow(value, dueOfGarbage(key)))
  }

  async #settled(key: Uint8Array): Promise<void> {
    const settling = this.#pipeline.settled(key)
    if (settling !== undefined) await this.#inTime(settling)
  }

  async #allSettled(): Promise<void> {
    const settling = this.#pipeline.allSettled()
    if (settling !== undefined) await this.#inTime(settling)
  }

  /** What `work` gives; MetadataUnavailable when it takes too long. It goes on all the same. */
  #inTime<T>(work: Promise<T>): Promise<T> {
    if (this.#deadlines === undefined) return work
    return this.#deadlines.within(work, () => this.#giveUpOn(work))
  }

  #giveUpOn(work: Promise<unknown>): never {
    this.#late += 1
    const end = (): void => {
      this.#late -= 1
    }
    work.then(end, end)
    throw new MetadataUnavailable(
      `metadata partition ${this.id} did not go on for ${this.#patience?.ms} ms`,
      {
        lateEnd: work,
      },
    )
  }
}
