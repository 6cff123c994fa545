// What a command on a key finds: the bucket's gate, the latest version, and how to change the row of the latest.
import { assert } from '../../kit/assert.ts'
import type { RowBatch } from '../log/contract.ts'
import { type BucketId, type BucketRef, isDeleteMarker, type ObjectVersion } from '../records.ts'
import { encodeHeadRow, type Head } from '../rows/head-row.ts'
import { bucketKey, currentKey, markerKey } from '../rows/keys.ts'
import { readHeadRow } from '../rows/known-heads.ts'
import { refusesCommand, refusesCommands } from './bucket-gate.ts'
import type { View } from './decision.ts'

/** A key of a bucket. */
export interface Place {
  bucketId: BucketId
  key: Buffer
}

/** A key as a command finds it. */
export interface KeyState extends Place {
  head: Head | undefined
  /** The latest version, when it is an object: a delete marker counts as absent. */
  current: ObjectVersion | undefined
}

/** Keys of the rows that readKey() reads. */
export function rowsOfKey(command: { bucket: BucketRef; key: string }): Uint8Array[] {
  const { id } = command.bucket
  const key = Buffer.from(command.key)
  return [bucketKey(id), currentKey(id, key), markerKey(id, key)]
}

/** Keys of the rows that are read of several keys of a bucket. */
export function rowsOfKeys({ id }: BucketRef, keys: readonly { key: string }[]): Uint8Array[] {
  const rows: Uint8Array[] = [bucketKey(id)]
  for (const { key } of keys) {
    const bytes = Buffer.from(key)
    rows.push(currentKey(id, bytes), markerKey(id, bytes))
  }
  return rows
}

/**
 * Looks at a key; 'bucket-gone' when the bucket takes no commands, or the command knows an old state of it. Without a promise
 * where all rows are at hand, as they are for nearly every command.
 */
export function readKey(
  command: { bucket: BucketRef; key: string },
  view: View,
): KeyState | 'bucket-gone' | Promise<KeyState | 'bucket-gone'> {
  const { bucket, key } = command
  const gate = view.getAtHand?.(bucketKey(bucket.id))
  if (gate === undefined) return readKeySlowly(bucket, key, view)
  return refusesCommand(gate.value, bucket) ? 'bucket-gone' : readKeyIn(bucket, key, view)
}

async function readKeySlowly(
  bucket: BucketRef,
  key: string,
  view: View,
): Promise<KeyState | 'bucket-gone'> {
  return (await refusesCommands(view, bucket)) ? 'bucket-gone' : await readKeyIn(bucket, key, view)
}

/** Looks at a key of a bucket that takes commands; 'bucket-gone' when the command knows an old state of it. */
export function readKeyIn(
  bucket: BucketRef,
  key: string,
  view: View,
): KeyState | 'bucket-gone' | Promise<KeyState | 'bucket-gone'> {
  const place = { bucketId: bucket.id, key: Buffer.from(key) }
  const rowKeys = [currentKey(place.bucketId, place.key), markerKey(place.bucketId, place.key)]
  const current = view.getAtHand?.(rowKeys[0]!)
  const marker = view.getAtHand?.(rowKeys[1]!)
  if (current && marker) return stateOf(bucket, place, [current.value, marker.value])
  return Promise.all(rowKeys.map((rowKey) => view.get(rowKey))).then((rows) =>
    stateOf(bucket, place, rows),
  )
}

/** `rows`: of the latest version, as an object and as a marker. */
function stateOf(
  bucket: BucketRef,
  { bucketId, key }: Place,
  [current, marker]: readonly (Uint8Array | undefined)[],
): KeyState | 'bucket-gone' {
  const head = headIn(current, marker)
  if (knowsNoVersions(bucket, head)) return 'bucket-gone'
  return {
    bucketId,
    key,
    head,
    current: head && !isDeleteMarker(head.version) ? head.version : undefined,
  }
}

/** Changes that make `head` the latest version of a key where `before` was; undefined for none. */
export function changeHead(
  place: Place,
  before: Head | undefined,
  head: Head | undefined,
): RowBatch {
  const batch: RowBatch = []
  const rowKey = head && headKey(place, head)
  if (before) {
    const oldKey = headKey(place, before)
    if (!rowKey?.equals(oldKey)) batch.push({ key: oldKey, value: undefined })
  }
  if (head && rowKey) batch.push({ key: rowKey, value: encodeHeadRow(head) })
  return batch
}

/** The id of the `null` version of a key, be it the latest or below. */
export function nullVersionIdOf({ version, nullVersionId }: Head): string | undefined {
  return version.versioned ? nullVersionId : version.versionId
}

function headIn(current: Uint8Array | undefined, marker: Uint8Array | undefined): Head | undefined {
  assert(!current || !marker, 'the latest version of a key is an object or a marker')
  const row = current ?? marker
  return row && readHeadRow(row)
}

/**
 * Versions are enabled by a revision that some commands know before the partition is told. One that does not know
 * yet must not be decided as if there were none.
 */
function knowsNoVersions({ versioning }: BucketRef, head: Head | undefined): boolean {
  if (versioning !== 'unversioned' || !head) return false
  const { version, older } = head
  return version.versioned === true || older === true || isDeleteMarker(version)
}

function headKey({ bucketId, key }: Place, { version }: Head): Buffer {
  return isDeleteMarker(version) ? markerKey(bucketId, key) : currentKey(bucketId, key)
}
