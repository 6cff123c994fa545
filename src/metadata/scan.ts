// Ordered pages of objects and uploads with prefix, marker and delimiter (pitfalls 79 to 82, 90).
// Everything is compared as bytes of UTF-8: JavaScript's order of strings is another one above U+FFFF.
import { compareBytes } from '../kit/bytes.ts'
import { parseUid } from '../kit/uid.ts'
import type { ObjectScan, ScanEntry, ScanPage, UploadScan } from './contract.ts'
import { KeptObjects } from './listing/kept-objects.ts'
import { ObjectWalk } from './listing/object-walk.ts'
import type { RowRange, RowReader } from './log/contract.ts'
import type { ListedObject, Upload } from './records.ts'
import {
  currentKey,
  keyAfter,
  parseUploadKey,
  rangeOf,
  uploadKey,
  uploadPrefix,
  uploadsOfKey,
} from './rows/keys.ts'
import { decodeUploadRow } from './rows/upload-row.ts'
import { type KeySpace, MergedWalk } from './scan-merge.ts'

/** A page of the objects of a bucket, out of what is kept of them where that is enough. */
export async function scanObjects(
  rows: RowReader,
  scan: ObjectScan,
  kept = new KeptObjects(0),
): Promise<ScanPage<ListedObject>> {
  const { limit } = scan
  const under = (prefix: Uint8Array): RowRange => rangeOf(currentKey(scan.bucket.id, prefix))
  const after = (key: Uint8Array): Buffer => keyAfter(currentKey(scan.bucket.id, key))
  const walk = new ObjectWalk({ rows, kept }, rangeToScan(scan, { under, after }), limit + 1)
  const rollUp = newRollUp(scan)
  const entries: ScanEntry<ListedObject>[] = []
  try {
    for (let run = walk.run(); run !== 'ended'; run = walk.run()) {
      if (run === undefined) {
        await walk.fill()
        continue
      }
      for (let at = run.from; at < run.entries.length; at += 1) {
        // One more than the page tells that there is more: it is an entry, or under a prefix that is one.
        if (entries.length >= limit) return { entries, more: true }
        const entry = run.entries[at]!
        const common = rollUp?.(entry.key)
        entries.push(common === undefined ? entry : { kind: 'prefix', prefix: common })
        if (common === undefined) continue
        walk.jump(under(Buffer.from(common)).to)
        break
      }
    }
    return { entries, more: false }
  } finally {
    await walk.close()
  }
}

/** The common prefix of a key that begins with the prefix of the scan; undefined when it has none, or none are wanted. */
function newRollUp(scan: ObjectScan): ((key: string) => string | undefined) | undefined {
  if (scan.delimiter === '') return undefined
  // As bytes have them: half a surrogate pair is another character there.
  const delimiter = Buffer.from(scan.delimiter).toString()
  const from = Buffer.from(scan.prefix).toString().length
  return (key) => {
    const found = key.indexOf(delimiter, from)
    return found < 0 ? undefined : key.slice(0, found + delimiter.length)
  }
}

/** A page of the uploads of a bucket that are under way. */
export function scanUploads(rows: RowReader, scan: UploadScan): Promise<ScanPage<Upload>> {
  const bucketId = scan.bucket.id
  const afterId = parseUid(scan.afterUploadId)
  const space: KeySpace<Upload> = {
    under: (prefix) => rangeOf(uploadPrefix(bucketId, prefix)),
    after: (key) =>
      afterId
        ? keyAfter(uploadKey(bucketId, key, afterId))
        : rangeOf(uploadsOfKey(bucketId, key)).to,
    keyOf: (rowKey) => parseUploadKey(rowKey).key,
    decode: ({ key, value }) => decodeUploadRow(value, parseUploadKey(key).uploadId),
  }
  return scanKeys(rows, scan, [space])
}

/** A page of what lies in `spaces`, merged in order of key. */
export async function scanKeys<Record>(
  rows: RowReader,
  scan: ObjectScan,
  spaces: readonly KeySpace<Record>[],
): Promise<ScanPage<Record>> {
  const ranges = spaces.map((space) => ({ space, range: rangeToScan(scan, space) }))
  const walk = new MergedWalk(rows, ranges, scan.limit + 1)
  const prefix = Buffer.from(scan.prefix)
  const delimiter = Buffer.from(scan.delimiter)
  const entries: ScanEntry<Record>[] = []
  try {
    for (;;) {
      const walked = await walk.next()
      // One row more than the page tells that there is more: it is an entry, or under a prefix that is one.
      if (!walked || entries.length >= scan.limit) {
        return { entries, more: walked !== undefined }
      }
      const { key } = walked
      const common = commonPrefix(key, prefix, delimiter)
      if (common) walk.jumpPast(common)
      entries.push(
        common
          ? { kind: 'prefix', prefix: common.toString() }
          : { kind: 'entry', key: key.toString(), record: walked.record() },
      )
    }
  } finally {
    await walk.close()
  }
}

/** Where rows lie by the keys of their objects. */
type Places = Pick<KeySpace<unknown>, 'under' | 'after'>

/** Rows under the prefix and after the marker. */
function rangeToScan(scan: ObjectScan, space: Places): RowRange {
  const all = space.under(Buffer.from(scan.prefix))
  if (scan.after === '') return all
  const start = startAfter(scan, space)
  return compareBytes(start, all.from) > 0 ? { from: start, to: all.to } : all
}

/** A marker that is or lies under a common prefix skips all of it: that entry is at or before the marker. */
function startAfter(scan: ObjectScan, space: Places): Uint8Array {
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
