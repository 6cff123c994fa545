// Rows that are made again of blobs which were written anew: they are the same bytes, of the time when they came.
import t from 'tap'
import { MatrixId } from '../../../../src/kit/erasure-code.ts'
import { type Uid, uidTimeMs } from '../../../../src/kit/uid.ts'
import { encodeLabel, type LabelRole, sealLabel } from '../../../../src/metadata/label.ts'
import { rebuildRows } from '../../../../src/metadata/rebuild/rebuild-rows.ts'
import type { FoundBlob, Remains } from '../../../../src/metadata/rebuild/remains.ts'
import { type Blob, isDeleteMarker, MISSING_SLOT } from '../../../../src/metadata/records.ts'
import { referencesIn } from '../../../../src/metadata/rows/blob-rows.ts'
import { encodeHeadRow } from '../../../../src/metadata/rows/head-row.ts'
import { currentKey, KeyKind, manifestKey } from '../../../../src/metadata/rows/keys.ts'
import { encodeManifestRow } from '../../../../src/metadata/rows/manifest-row.ts'
import { decodeVersionRow } from '../../../../src/metadata/rows/version-row.ts'

const HOUR_MS = 3_600_000
const NOW_MS = 1_800_000_000_000
const ETAG = 'd41d8cd98f00b204e9800998ecf8427e'
const UPLOAD = uidAt(1, 99)
const OBJECT: LabelRole = { kind: 'object', versioned: true }

/** A uid of so many hours ago. */
function uidAt(hours: number, number: number): Uid {
  const time = (NOW_MS - hours * HOUR_MS).toString(16).padStart(12, '0')
  return `${time}${number.toString(16).padStart(20, '0')}` as Uid
}

function blobOf(uid: Uid, more: Partial<Blob> = {}): Blob {
  const code = { dataCount: 2, parityCount: 2, matrix: MatrixId.CentredVandermonde }
  const where = { code, cellBytes: 131_072, partition: 0, drives: [1, 2, 3, 4] }
  return { uid, part: 0, bytes: 9, ...where, ...more }
}

function found(blob: Blob, role: LabelRole = OBJECT, key = 'k'): FoundBlob {
  const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
  const label = sealLabel(encodeLabel({ role, attributes }), { etag: ETAG })
  return { bucketId: 1, key, blob, plainBytes: blob.bytes, label }
}

async function rebuild(blobs: FoundBlob[], dump?: Remains['dump']) {
  const buckets = new Map([[1, { versioned: true }]])
  const { rows, report } = await rebuildRows({
    ...(dump ? { dump } : {}),
    ...{ blobs, buckets, nowMs: NOW_MS },
  })
  const versions = rows
    .filter(({ key }) => key[0] === KeyKind.Current || key[0] === KeyKind.Version)
    .map(({ value }) => decodeVersionRow(value))
    .flatMap((version) => (isDeleteMarker(version) ? [] : [version]))
  const named = rows.flatMap((row) => referencesIn(row)).map(({ blob }) => blob)
  return { versions, named, report }
}

const first = blobOf(uidAt(5, 1))
const second = blobOf(uidAt(4, 2))
const anew = blobOf(uidAt(1, 3), { origin: first.uid })
const unreadable = [1, MISSING_SLOT, MISSING_SLOT, MISSING_SLOT]

t.test(
  'the latest version stays the latest, whenever the one below was written anew',
  async (t) => {
    for (const blobs of [
      [anew, second],
      [first, anew, second],
      [second, anew, blobOf(uidAt(0.5, 4), { origin: first.uid, drives: unreadable })],
    ]) {
      const { versions, report } = await rebuild(blobs.map((blob) => found(blob)))
      t.equal(report.unconfirmed, 2)
      t.same(
        versions.map(({ modifiedMs, blob }) => [modifiedMs, blob!.uid]),
        [
          [uidTimeMs(second.uid), second.uid],
          [uidTimeMs(first.uid), anew.uid],
        ],
      )
      t.equal(versions[1]!.blob!.origin, first.uid, 'what is sealed can be opened')
    }
  },
)

t.test('a dump of before names what was written anew since', async (t) => {
  const version = {
    ...{ versionId: 'v', versioned: true as const, modifiedMs: 5, bytes: 9, etag: ETAG },
    ...{ headers: {}, userMetadata: {}, storageClass: 'STANDARD' },
  }
  const key = currentKey(1, Buffer.from('k'))
  const row = { key, value: encodeHeadRow({ version: { ...version, blob: first } }) }
  const dump = { takenMs: NOW_MS - 2 * HOUR_MS, rows: [row] }
  const gone = await rebuild([found(anew)], dump)
  t.strictSame(gone.versions, [{ ...version, blob: anew }], 'confirmed, and else as it was')
  t.equal(gone.report.gone.length + gone.report.unconfirmed, 0)
  const both = await rebuild([found(anew), found(first)], dump)
  t.strictSame(both.named, [first], 'as long as it is there it stays')
  const damaged = await rebuild([found(anew), found({ ...first, drives: unreadable })], dump)
  t.strictSame(damaged.named, [anew])
  const again = blobOf(uidAt(0.2, 7), { origin: first.uid })
  const newer = { key, value: encodeHeadRow({ version: { ...version, blob: anew } }) }
  const twice = await rebuild([found(again)], { ...dump, rows: [newer] })
  t.strictSame(twice.named, [again])
  const older = blobOf(uidAt(1, 3), { origin: uidAt(48, 1) })
  const late = { ...dump, takenMs: NOW_MS, rows: [] }
  t.strictSame((await rebuild([found(older)], late)).named, [], 'what no old row named was deleted')
})

t.test('parts count once, however often they are there', async (t) => {
  const role: LabelRole = { kind: 'part', uploadId: UPLOAD }
  const parts = [blobOf(uidAt(3, 1), { part: 1 }), blobOf(uidAt(3, 2), { part: 2 })] as const
  const anewOne = blobOf(uidAt(1, 5), { part: 1, origin: parts[0].uid })
  const { named, report, versions } = await rebuild(
    [...parts, anewOne].map((blob) => found(blob, role)),
  )
  t.match(report.uploads, [{ assumed: 'completed' }])
  t.equal(versions[0]!.bytes, 18)
  t.same(named, [anewOne, parts[1]])
  const manifest = parts.map((blob, index) => {
    return { number: index + 1, bytes: 9, etag: ETAG, modifiedMs: 3, blob }
  })
  const row = { key: manifestKey(UPLOAD, 0), value: encodeManifestRow(manifest) }
  const dump = { takenMs: NOW_MS - 2 * HOUR_MS, rows: [row] }
  const since = [anewOne, parts[1]].map((blob) => found(blob, role))
  const settled = await rebuild(since, dump)
  t.same(settled.named, [anewOne, parts[1]])
  t.same(settled.report.damaged, [])
})
