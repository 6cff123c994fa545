// Rows that name blobs, whatever else they hold: where the drives of a blob are read and written anew.
// Rows of answers, garbage and repairs hold copies of blobs; a row here is the one that bytes are read by.
import { assert } from '../../kit/assert.ts'
import type { Uid } from '../../kit/uid.ts'
import type { BlobReference, OwedBlob } from '../contract.ts'
import type { RowRange } from '../log/contract.ts'
import { type AnyVersion, type Blob, isDeleteMarker, originOf } from '../records.ts'
import { decodeAnnotationRow, encodeAnnotationRow } from './annotation-row.ts'
import { decodeHeadRow, encodeHeadRow } from './head-row.ts'
import { bucketIdOf, KeyKind, keyOfHead, keyOfVersion, rangeOfKind, uidOfParts } from './keys.ts'
import { decodeManifestRow, encodeManifestRow } from './manifest-row.ts'
import { decodePartRow, encodePartRow } from './part-row.ts'
import { decodeVersionRow, encodeVersionRow } from './version-row.ts'

/** A row as a cursor gives it. */
interface BlobRow {
  key: Uint8Array
  value: Uint8Array
}

/** Where to look for the row of a blob: what a repair row says beside the blob. */
export type Whereabouts = Omit<OwedBlob, 'blob'>

/** A row's record, taken apart. */
interface OpenRow {
  /** Parts of the record that may have a blob: what is set in them is in encode(). */
  holders: { blob?: Blob }[]
  encode(): Buffer
}

type Opener = (row: BlobRow) => OpenRow

/** In order of key. Rows of markers name no blob. */
const openers: readonly [KeyKind, Opener][] = [
  [KeyKind.Current, openHead],
  [KeyKind.Version, openVersion],
  [KeyKind.Part, openPart],
  [KeyKind.Manifest, openManifest],
  [KeyKind.Annotation, openAnnotation],
]
const openerOf: ReadonlyMap<number | undefined, Opener> = new Map(openers)

/** Where rows that name blobs lie, in order. */
export const BLOB_RANGES: readonly RowRange[] = openers.map(([kind]) => rangeOfKind(kind))

/** The bucket and key that the key of a row tells; parts, manifests and annotations lie under ids alone. */
function placeOfRow(rowKey: Uint8Array): Pick<BlobReference, 'bucketId' | 'key'> {
  switch (rowKey[0]) {
    case KeyKind.Current:
      return { bucketId: bucketIdOf(rowKey), key: keyOfHead(rowKey).toString() }
    case KeyKind.Version:
      return { bucketId: bucketIdOf(rowKey), key: keyOfVersion(rowKey).toString() }
    default:
      return { bucketId: undefined, key: undefined }
  }
}

/** What the key of the row tells. Parts move when their upload is completed; chunks and annotations never do. */
export function whereaboutsOf(rowKey: Uint8Array): Whereabouts {
  const { bucketId, key } = placeOfRow(rowKey)
  if (bucketId !== undefined && key !== undefined) return { bucketId, key }
  return rowKey[0] === KeyKind.Part ? { uploadId: uidOfParts(rowKey) } : { rowKey }
}

/** Every blob that a row names. */
export function referencesIn(row: BlobRow): BlobReference[] {
  const place = placeOfRow(row.key)
  const holders = openerOf.get(row.key[0])?.(row).holders ?? []
  return holders.flatMap(({ blob }) => (blob ? [{ rowKey: row.key, ...place, blob }] : []))
}

/** The row with other drives for one of its blobs; undefined when it does not name it on the drives `from`, or on `drives` already. */
export function moveInRow(
  row: BlobRow,
  { uid, part, from, drives }: { uid: Uid; part: number; from: number[]; drives: number[] },
): { before: Blob; after: Blob; value: Buffer } | undefined {
  const open = openerOf.get(row.key[0])?.(row)
  const holder = open?.holders.find(({ blob }) => blob?.uid === uid && blob.part === part)
  if (!open || !holder?.blob) return undefined
  const before = holder.blob
  if (!isSame(before.drives, from) && !isSame(before.drives, drives)) return undefined
  const { dataCount, parityCount } = before.code
  assert(drives.length === dataCount + parityCount, 'a blob has a drive for every slot')
  const after = { ...before, drives }
  holder.blob = after
  return { before, after, value: open.encode() }
}

/** The row with another blob in place of one of those that it names; undefined when it does not name that one. */
export function replaceInRow(
  row: BlobRow,
  { uid, blob }: { uid: Uid; blob: Blob },
): { before: Blob; value: Buffer } | undefined {
  const open = openerOf.get(row.key[0])?.(row)
  const holder = open?.holders.find(
    ({ blob: held }) => held?.uid === uid && held.part === blob.part,
  )
  if (!open || !holder?.blob) return undefined
  const before = holder.blob
  assert(before.bytes === blob.bytes, 'bytes that are written anew are as many')
  assert(originOf(before) === originOf(blob), 'bytes that are written anew know their first uid')
  holder.blob = blob
  return { before, value: open.encode() }
}

function isSame(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((driveId, slot) => driveId === right[slot])
}

function openHead({ value }: BlobRow): OpenRow {
  const head = decodeHeadRow(value)
  return { holders: holdersOf(head.version), encode: () => encodeHeadRow(head) }
}

function openVersion({ value }: BlobRow): OpenRow {
  const version = decodeVersionRow(value)
  return { holders: holdersOf(version), encode: () => encodeVersionRow(version) }
}

function openPart({ value }: BlobRow): OpenRow {
  const part = decodePartRow(value)
  return { holders: [part], encode: () => encodePartRow(part) }
}

function openManifest({ value }: BlobRow): OpenRow {
  const parts = decodeManifestRow(value)
  return { holders: parts, encode: () => encodeManifestRow(parts) }
}

function openAnnotation({ key, value }: BlobRow): OpenRow {
  const annotation = decodeAnnotationRow(key, value)
  return { holders: [annotation], encode: () => encodeAnnotationRow(annotation) }
}

function holdersOf(version: AnyVersion): OpenRow['holders'] {
  return isDeleteMarker(version) ? [] : [version]
}
