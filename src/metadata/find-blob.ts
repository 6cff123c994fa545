// The row that names a blob now: versions sink below others or come up, parts become manifests.
import type { Place } from './commands/key-state.ts'
import { isInUse } from './commands/manifest-end.ts'
import type { BlobReference, OwedBlob } from './contract.ts'
import type { RowReader } from './log/contract.ts'
import { type Blob, isDeleteMarker } from './records.ts'
import { referencesIn } from './rows/blob-rows.ts'
import {
  annotationsOf,
  currentKey,
  keyAfter,
  manifestOf,
  parseUploadKey,
  partKey,
  rangeOf,
  uploadsOfKey,
  versionsOfKey,
} from './rows/keys.ts'
import { decodeVersionRow } from './rows/version-row.ts'
import { walkRows } from './scan-blobs.ts'
import { RowWalk, readRows, type WalkedRow } from './scan-walk.ts'

/** Rows of a kind that are likely looked at. */
const ROWS_EXPECTED = 16

/** Where the blob is named; undefined when it is garbage. */
export async function findBlob(
  rows: RowReader,
  owed: OwedBlob,
): Promise<BlobReference | undefined> {
  const { uid, part } = owed.blob
  for await (const row of rowsToSearch(rows, owed)) {
    const found = referencesIn(row).find(({ blob }) => blob.uid === uid && blob.part === part)
    if (found) return (await isInUse(rows, row.key)) ? found : undefined
  }
  return undefined
}

/** A blob, as its shards name it. */
export type BlobName = Pick<Blob, 'uid' | 'part'>

/**
 * Where the blobs of one object key are named, in the order in which they were asked for; undefined for those that
 * no row names. It says so only of what `rows` hold at one moment: see rowsInOrder().
 */
export async function findBlobsOfKey(
  rows: RowReader,
  place: Place,
  blobs: readonly BlobName[],
): Promise<(BlobReference | undefined)[]> {
  const found = new Map<string, BlobReference>()
  for await (const row of rowsOfKey(rows, place, new Set(blobs.map(({ part }) => part)))) {
    const references = referencesIn(row)
    if (references.length === 0 || !(await isInUse(rows, row.key))) continue
    for (const reference of references) found.set(nameBlob(reference.blob), reference)
  }
  return blobs.map((blob) => found.get(nameBlob(blob)))
}

function nameBlob({ uid, part }: BlobName): string {
  return `${uid}.${part}`
}

async function* rowsToSearch(rows: RowReader, owed: OwedBlob): AsyncGenerator<WalkedRow> {
  const { bucketId, key, blob, uploadId, rowKey } = owed
  if (rowKey) yield* rowAt(rows, rowKey)
  if (uploadId) {
    // Completing an upload takes its parts from the one to the other, never back.
    yield* rowAt(rows, partKey(uploadId, blob.part))
    yield* walkRows(rows, rangeOf(manifestOf(uploadId)), ROWS_EXPECTED)
  } else if (bucketId !== undefined && key !== undefined) {
    yield* rowsOfKey(rows, { bucketId, key: Buffer.from(key) }, new Set([blob.part]))
  }
}

/** Every row that may name blobs of these numbers that were written for the key. */
async function* rowsOfKey(
  rows: RowReader,
  place: Place,
  numbers: ReadonlySet<number>,
): AsyncGenerator<WalkedRow> {
  for (const number of numbers) if (number > 0) yield* partsUnderWay(rows, place, number)
  for await (const version of versionsOf(rows, place)) {
    yield version
    yield* rowsUnder(rows, version)
  }
}

/** The parts of that number of all uploads to a key. */
async function* partsUnderWay(
  rows: RowReader,
  { bucketId, key }: Place,
  number: number,
): AsyncGenerator<WalkedRow> {
  const range = rangeOf(uploadsOfKey(bucketId, key))
  for await (const upload of walkRows(rows, range, ROWS_EXPECTED)) {
    yield* rowAt(rows, partKey(parseUploadKey(upload.key).uploadId, number))
  }
}

async function* rowAt(rows: RowReader, key: Uint8Array): AsyncGenerator<WalkedRow> {
  const value = await rows.get(key)
  if (value) yield { key, value }
}

/** The current object of a key and all older versions, as they were at one moment. */
async function* versionsOf(rows: RowReader, { bucketId, key }: Place): AsyncGenerator<WalkedRow> {
  const headKey = currentKey(bucketId, key)
  const below = new RowWalk(rows, rangeOf(versionsOfKey(bucketId, key)), ROWS_EXPECTED)
  try {
    // Cursors that begin in one turn see the same rows, however versions move between the kinds.
    const [head, first] = await Promise.all([
      readRows(rows, { from: headKey, to: keyAfter(headKey) }, 1),
      below.next(),
    ])
    yield* head
    for (let row = first; row; row = await below.next()) yield row
  } finally {
    await below.close()
  }
}

/** Manifest and annotations of a version. */
async function* rowsUnder(rows: RowReader, { value }: WalkedRow): AsyncGenerator<WalkedRow> {
  const version = decodeVersionRow(value)
  if (isDeleteMarker(version)) return
  const { manifest, annotationsId } = version
  if (manifest) yield* walkRows(rows, rangeOf(manifestOf(manifest.uid)), ROWS_EXPECTED)
  if (annotationsId) yield* walkRows(rows, rangeOf(annotationsOf(annotationsId)), ROWS_EXPECTED)
}
