// Ordered pages of objects and uploads with prefix, marker and delimiter (s3-wire 79 to 82, 90).
// Everything is compared as bytes of UTF-8: JavaScript's order of strings is another one above U+FFFF.
import { compareBytes } from '../kit/bytes.ts'
import { parseUid } from '../kit/uid.ts'
import type { ObjectScan, ScanEntry, ScanPage, UploadScan } from './contract.ts'
import type { RowRange, RowReader } from './log/contract.ts'
import type { ObjectVersion, Upload } from './records.ts'
import {
  currentKey,
  keyAfter,
  keyOfCurrent,
  parseUploadKey,
  rangeOf,
  uploadKey,
  uploadPrefix,
  uploadsOfKey,
} from './rows/keys.ts'
import { decodeObjectRow } from './rows/object-row.ts'
import { decodeUploadRow } from './rows/upload-row.ts'
import { RowWalk, type WalkedRow } from './scan-walk.ts'

/** How the keys of one kind of listing lie in the rows. */
interface KeySpace<Record> {
  /** Where rows of keys that begin with `prefix` are. */
  under(prefix: Uint8Array): RowRange
  /** The first row key after the marker `key`. */
  after(key: Uint8Array): Uint8Array
  keyOf(rowKey: Uint8Array): Buffer
  decode(row: WalkedRow): Record
}

/** A page of the objects of a bucket. */
export function scanObjects(rows: RowReader, scan: ObjectScan): Promise<ScanPage<ObjectVersion>> {
  const bucketId = scan.bucket.id
  return scanKeys(rows, scan, {
    under: (prefix) => rangeOf(currentKey(bucketId, prefix)),
    after: (key) => keyAfter(currentKey(bucketId, key)),
    keyOf: keyOfCurrent,
    decode: ({ value }) => decodeObjectRow(value),
  })
}

/** A page of the uploads of a bucket that are under way. */
export function scanUploads(rows: RowReader, scan: UploadScan): Promise<ScanPage<Upload>> {
  const bucketId = scan.bucket.id
  const afterId = parseUid(scan.afterUploadId)
  return scanKeys(rows, scan, {
    under: (prefix) => rangeOf(uploadPrefix(bucketId, prefix)),
    after: (key) =>
      afterId
        ? keyAfter(uploadKey(bucketId, key, afterId))
        : rangeOf(uploadsOfKey(bucketId, key)).to,
    keyOf: (rowKey) => parseUploadKey(rowKey).key,
    decode: ({ key, value }) => decodeUploadRow(value, parseUploadKey(key).uploadId),
  })
}

async function scanKeys<Record>(
  rows: RowReader,
  scan: ObjectScan,
  space: KeySpace<Record>,
): Promise<ScanPage<Record>> {
  const walk = new RowWalk(rows, rangeToScan(scan, space), scan.limit + 1)
  const prefix = Buffer.from(scan.prefix)
  const delimiter = Buffer.from(scan.delimiter)
  const entries: ScanEntry<Record>[] = []
  try {
    for (;;) {
      const row = await walk.next()
      // One row more than the page tells that there is more: it is an entry, or under a prefix that is one.
      if (!row || entries.length >= scan.limit) return { entries, more: row !== undefined }
      const key = space.keyOf(row.key)
      const common = commonPrefix(key, prefix, delimiter)
      if (common) walk.jump(space.under(common).to)
      entries.push(
        common
          ? { kind: 'prefix', prefix: common.toString() }
          : { kind: 'entry', key: key.toString(), record: space.decode(row) },
      )
    }
  } finally {
    await walk.close()
  }
}

/** Rows under the prefix and after the marker. */
function rangeToScan<Record>(scan: ObjectScan, space: KeySpace<Record>): RowRange {
  const all = space.under(Buffer.from(scan.prefix))
  if (scan.after === '') return all
  const start = startAfter(scan, space)
  return compareBytes(start, all.from) > 0 ? { from: start, to: all.to } : all
}

/** A marker that is or lies under a common prefix skips all of it: that entry is at or before the marker. */
function startAfter<Record>(scan: ObjectScan, space: KeySpace<Record>): Uint8Array {
  const marker = Buffer.from(scan.after)
  const common = commonPrefix(marker, Buffer.from(scan.prefix), Buffer.from(scan.delimiter))
  const skipped = common ?? (scan.afterPrefix ? marker : undefined)
  return skipped ? space.under(skipped).to : space.after(marker)
}

/** `key` up to and including the first delimiter after `prefix`; undefined when it has none. */
function commonPrefix(key: Buffer, prefix: Buffer, delimiter: Buffer): Buffer | undefined {
  if (delimiter.length === 0 || !key.subarray(0, prefix.length).equals(prefix)) return undefined
  const found = key.indexOf(delimiter, prefix.length)
  return found < 0 ? undefined : key.subarray(0, found + delimiter.length)
}
