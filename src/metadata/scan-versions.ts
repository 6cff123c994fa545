// A page of all versions of a bucket: keys ascending, of each the latest first, then the others from new to old.
// The latest ones are rows of objects and of markers; older ones lie by themselves, and never slow the listing of objects.

import { nullVersionIdOf } from './commands/key-state.ts'
import type { ListedVersion, ScanPage, VersionScan } from './contract.ts'
import type { RowReader } from './log/contract.ts'
import { lookUpHead } from './look-up.ts'
import {
  currentKey,
  keyAfter,
  keyOfHead,
  keyOfVersion,
  markerKey,
  rangeOf,
  versionKey,
  versionPrefix,
  versionsOfKey,
} from './rows/keys.ts'
import { versionIdBytes } from './rows/version-id.ts'
import { decodeVersionRow } from './rows/version-row.ts'
import { scanKeys } from './scan.ts'
import type { KeySpace } from './scan-merge.ts'

/** Before the ids of all versions. */
const BEFORE_ALL_IDS = '0'.repeat(26)

/** The versions of the key `scan.after` with greater ids are listed; undefined for none of them. */
type AfterId = string | undefined

/** A page of the versions of a bucket. */
export async function scanVersions(
  rows: RowReader,
  scan: VersionScan,
): Promise<ScanPage<ListedVersion>> {
  const afterId = await resolveMarker(rows, scan)
  const heads = [currentKey, markerKey].map((keyOf) => headSpace(keyOf, scan, afterId))
  return await scanKeys(rows, scan, [...heads, olderSpace(scan, afterId)])
}

/** `null` is the version that has this name now; when it is gone, nothing says what came after it. */
async function resolveMarker(
  rows: Pick<RowReader, 'get'>,
  { bucket, after, afterVersionId }: VersionScan,
): Promise<AfterId> {
  if (afterVersionId !== 'null') {
    return versionIdBytes(afterVersionId) ? afterVersionId : undefined
  }
  const head = await lookUpHead(rows, { bucketId: bucket.id, key: Buffer.from(after) })
  return (head && nullVersionIdOf(head)) ?? BEFORE_ALL_IDS
}

function headSpace(
  keyOf: typeof currentKey,
  { bucket, after }: VersionScan,
  afterId: AfterId,
): KeySpace<ListedVersion> {
  const markedKey = keyOf(bucket.id, Buffer.from(after))
  return {
    under: (prefix) => rangeOf(keyOf(bucket.id, prefix)),
    after: (key) => (afterId ? keyOf(bucket.id, key) : keyAfter(keyOf(bucket.id, key))),
    keyOf: keyOfHead,
    skips: ({ key, value }) =>
      afterId !== undefined &&
      markedKey.equals(key) &&
      decodeVersionRow(value).versionId <= afterId,
    decode: ({ value }) => ({ version: decodeVersionRow(value), isLatest: true }),
  }
}

function olderSpace({ bucket }: VersionScan, afterId: AfterId): KeySpace<ListedVersion> {
  return {
    under: (prefix) => rangeOf(versionPrefix(bucket.id, prefix)),
    after: (key) =>
      afterId
        ? keyAfter(versionKey(bucket.id, key, afterId))
        : rangeOf(versionsOfKey(bucket.id, key)).to,
    keyOf: keyOfVersion,
    decode: ({ value }) => ({ version: decodeVersionRow(value), isLatest: false }),
  }
}
