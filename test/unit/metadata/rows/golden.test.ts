// Bytes of rows that may never change: what is on disk today is read tomorrow (docs/formats/rows.md).
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import {
  type Blob,
  type DeleteMarker,
  MISSING_SLOT,
  type ObjectVersion,
  type Upload,
} from '../../../../src/metadata/records.ts'
import {
  decodeAnnotationRow,
  encodeAnnotationRow,
} from '../../../../src/metadata/rows/annotation-row.ts'
import {
  type DoneDeletion,
  decodeAnswerRow,
  encodeAnswerRow,
} from '../../../../src/metadata/rows/answer-row.ts'
import { decodeBucketRow, encodeBucketRow } from '../../../../src/metadata/rows/bucket-row.ts'
import { decodeClockRow, encodeClockRow } from '../../../../src/metadata/rows/clock-row.ts'
import {
  decodeCompletedRow,
  encodeCompletedRow,
} from '../../../../src/metadata/rows/completed-row.ts'
import { decodeGarbageRow, encodeGarbageRow } from '../../../../src/metadata/rows/garbage-row.ts'
import { decodeHeadRow, encodeHeadRow } from '../../../../src/metadata/rows/head-row.ts'
import { decodeJudgedRow, encodeJudgedRow } from '../../../../src/metadata/rows/judged-row.ts'
import {
  annotationKey,
  answerKey,
  bucketKey,
  CLOCK_KEY,
  completedKey,
  currentKey,
  garbageKey,
  JUDGED_KEY,
  manifestEndKey,
  manifestKey,
  markerKey,
  oldManifestKey,
  partKey,
  RECOVERED_KEY,
  repairKey,
  uploadKey,
  versionKey,
} from '../../../../src/metadata/rows/keys.ts'
import {
  decodeManifestRow,
  encodeManifestRows,
} from '../../../../src/metadata/rows/manifest-row.ts'
import { decodeObjectRow } from '../../../../src/metadata/rows/object-row.ts'
import {
  decodeOldManifestRow,
  encodeManifestEndRow,
  encodeOldManifestRow,
} from '../../../../src/metadata/rows/old-manifest-row.ts'
import { decodePartRow, encodePartRow } from '../../../../src/metadata/rows/part-row.ts'
import {
  decodeRecoveredRow,
  encodeRecoveredRow,
} from '../../../../src/metadata/rows/recovered-row.ts'
import { decodeRepairRow, encodeRepairRow } from '../../../../src/metadata/rows/repair-row.ts'
import { unpackRow } from '../../../../src/metadata/rows/row-bytes.ts'
import { decodeUploadRow, encodeUploadRow } from '../../../../src/metadata/rows/upload-row.ts'
import { decodeVersionRow, encodeVersionRow } from '../../../../src/metadata/rows/version-row.ts'

interface GoldenRow {
  key: string
  value: string
}

const golden = JSON.parse(readFileSync(resolve('test/golden/rows-1.json'), 'utf8')) as Record<
  string,
  GoldenRow
>

const uid = '019a79c8fd0000112233445566778899' as Uid
const etag = '0123456789abcdef0123456789abcdef'
const objectKey = Buffer.from('photos/\0\u{1f600}')
const checksum = { algorithm: 'CRC64NVME', type: 'FULL_OBJECT', value: 'rosUhgp5mIg=' } as const
const blob: Blob = {
  uid,
  part: 3,
  bytes: 5_368_709_120,
  code: { dataCount: 4, parityCount: 2, matrix: 1 },
  cellBytes: 131_072,
  partition: 255,
  drives: [0, 1, MISSING_SLOT, 300, 4, 5],
}
const attributes = {
  headers: {
    contentType: 'image/png',
    cacheControl: 'no-cache',
    contentDisposition: 'inline',
    contentEncoding: 'gzip',
    contentLanguage: 'de',
    expires: 'never',
    websiteRedirectLocation: '/there',
  },
  userMetadata: { colour: 'blue', ['__proto__']: 'kept' },
  storageClass: 'GLACIER',
}
const version: ObjectVersion = {
  ...attributes,
  versionId: '7v9jhho0000000004hj5aarc8k',
  modifiedMs: 1_763_000_000_123,
  bytes: 5_368_709_120,
  etag,
  checksum,
  blob,
}
const plain: ObjectVersion = {
  headers: {},
  userMetadata: {},
  storageClass: 'STANDARD',
  versionId: '7v9jhho0000000004hj5aarc8k',
  modifiedMs: 1,
  bytes: 0,
  etag: `${etag}-2`,
  manifest: { uid, partCount: 2 },
}
const origin = '019a79c8fcff00112233445566778899' as Uid
const part = { number: 3, bytes: 7, etag, modifiedMs: 1_763_000_000_123, checksum, blob }
const anewPart = { ...part, number: 4, blob: { ...blob, origin } }
const bare = { number: 10_000, bytes: 0, etag, modifiedMs: 2 }
const upload = {
  ...attributes,
  uploadId: uid,
  initiatedMs: 1_763_000_000_123,
  checksumAlgorithm: 'SHA256',
  checksumType: 'COMPOSITE',
} as const
const time = 0x019a79c8fd000007n
const completed = { version: plain, listing: Buffer.alloc(32, 7), completedMs: 1_763_000_000_123 }
const repair = { bucketId: 7, key: objectKey.toString(), blob, uploadId: uid }
const done = { kind: 'put-object', time } as const
const removed = { versionId: version.versionId, versioned: true, deleteMarker: true } as const
const deletions: DoneDeletion[] = [
  ...[{ kind: 'done' as const, removed }, { kind: 'done' as const }, { kind: 'made' as const }],
  ...[{ kind: 'missing' as const }, { kind: 'locked' as const }],
  { kind: 'condition-failed', condition: 'If-Match' },
]
const locks = {
  tags: [
    { key: 'colour', value: 'blue' },
    { key: 'empty', value: '' },
  ],
  retention: { mode: 'COMPLIANCE', untilMs: 1_900_000_000_000 },
  legalHold: true,
} as const
const wrappedKey = Buffer.alloc(8, 9)
const kept: ObjectVersion = {
  ...attributes,
  ...locks,
  tags: [...locks.tags],
  versionId: '7v9jhho0000000004hj5aarc8k',
  versioned: true,
  modifiedMs: 1_763_000_000_123,
  bytes: 7,
  etag,
  blob,
  encryption: {
    kind: 'SSE-KMS',
    wrappedKey,
    keyId: 'key-1',
    context: 'e30=',
    bucketKey: true,
  },
}
const marker: DeleteMarker = {
  versionId: '7v9jhho0000000004hj5aarc8k',
  versioned: true,
  deleteMarker: true,
  modifiedMs: 1_763_000_000_123,
}
const nullMarker: DeleteMarker = { versionId: marker.versionId, deleteMarker: true, modifiedMs: 3 }
const sealed: ObjectVersion = {
  ...plain,
  retention: { mode: 'GOVERNANCE', untilMs: 5 },
  encryption: { kind: 'SSE-S3', wrappedKey },
}
const lockedUpload: Upload = {
  ...upload,
  ...locks,
  tags: [...locks.tags],
  encryption: { kind: 'SSE-C', wrappedKey, keyMd5: 'hRasmdxgYDKV3nvbahU1MA==' },
}
const headOfMany = {
  version: kept,
  older: true,
  nullVersionId: '7v9jhho0000000004hj5aarc8o',
} as const
const markerOverMany = { version: marker, older: true } as const

const annotation = {
  name: 'labels/é',
  bytes: 7,
  etag,
  modifiedMs: 1_763_000_000_123,
  checksum,
  blob,
}
const annotated: ObjectVersion = {
  ...plain,
  legalHold: false,
  annotationsId: '7v9jhho0000000004hj5aarc8k',
}
const annotationRowKey = annotationKey(annotated.versionId, annotation.name)

/** Key, bytes as they are written today, and what reading gives. */
const rows: Record<string, [Uint8Array, Uint8Array, (bytes: Uint8Array) => unknown, unknown]> = {
  object: [currentKey(7, objectKey), encodeVersionRow(version), decodeObjectRow, version],
  'object, multipart': [
    currentKey(7, Buffer.from('a')),
    encodeVersionRow(plain),
    decodeObjectRow,
    plain,
  ],
  upload: [
    uploadKey(7, objectKey, uid),
    encodeUploadRow(upload),
    (bytes) => decodeUploadRow(bytes, uid),
    upload,
  ],
  part: [partKey(uid, 3), encodePartRow(part), decodePartRow, part],
  'part, re-encoded': [partKey(uid, 4), encodePartRow(anewPart), decodePartRow, anewPart],
  'part, empty': [partKey(uid, 10_000), encodePartRow(bare), decodePartRow, bare],
  manifest: [
    manifestKey(uid, 0),
    encodeManifestRows([part, bare])[0]!,
    decodeManifestRow,
    [part, bare],
  ],
  completed: [completedKey(uid), encodeCompletedRow(completed), decodeCompletedRow, completed],
  garbage: [
    garbageKey(1_763_000_000_123, uid),
    encodeGarbageRow({ bucketId: 7, blob }),
    (bytes) => decodeGarbageRow(bytes, 5),
    { dueMs: 5, bucketId: 7, blob },
  ],
  repair: [repairKey(1, uid), encodeRepairRow(repair), decodeRepairRow, repair],
  answer: [answerKey(uid), encodeAnswerRow(done), decodeAnswerRow, done],
  bucket: [
    bucketKey(2 ** 40 + 7),
    encodeBucketRow({ revision: 9, state: 'frozen' }),
    decodeBucketRow,
    { revision: 9, state: 'frozen' },
  ],
  clock: [CLOCK_KEY, encodeClockRow(time), decodeClockRow, time],
  judged: [JUDGED_KEY, encodeJudgedRow(1_763_000_000_123), decodeJudgedRow, 1_763_000_000_123],
  recovered: [
    RECOVERED_KEY,
    encodeRecoveredRow(1_763_000_000_123),
    decodeRecoveredRow,
    1_763_000_000_123,
  ],
  'old manifest': [
    oldManifestKey(1_763_000_000_123, uid),
    encodeOldManifestRow(80),
    decodeOldManifestRow,
    80,
  ],
  'object over older versions': [
    currentKey(7, objectKey),
    encodeHeadRow(headOfMany),
    decodeHeadRow,
    headOfMany,
  ],
  'delete marker': [
    markerKey(7, objectKey),
    encodeHeadRow(markerOverMany),
    decodeHeadRow,
    markerOverMany,
  ],
  'older version': [
    versionKey(7, objectKey, sealed.versionId),
    encodeVersionRow(sealed),
    decodeVersionRow,
    sealed,
  ],
  'older version, delete marker': [
    versionKey(7, objectKey, nullMarker.versionId),
    encodeVersionRow(nullMarker),
    decodeVersionRow,
    nullMarker,
  ],
  'upload, locked and encrypted': [
    uploadKey(7, objectKey, uid),
    encodeUploadRow(lockedUpload),
    (bytes) => decodeUploadRow(bytes, uid),
    lockedUpload,
  ],
  'answer, with the retired x': [
    answerKey(uid),
    Buffer.from('01a361636d64656c6574652d6f626a656374616848019a79c8fd0000076178f5', 'hex'),
    decodeAnswerRow,
    { kind: 'delete-object', time },
  ],
  'answer, removed': [
    answerKey(uid),
    encodeAnswerRow({ kind: 'delete-object', time, removed }),
    decodeAnswerRow,
    { kind: 'delete-object', time, removed },
  ],
  'answer, delete marker made': [
    answerKey(uid),
    encodeAnswerRow({ kind: 'delete-object', time, made: true }),
    decodeAnswerRow,
    { kind: 'delete-object', time, made: true },
  ],
  'answer, many deletions': [
    answerKey(uid),
    encodeAnswerRow({ kind: 'delete-objects', time, deletions }),
    decodeAnswerRow,
    { kind: 'delete-objects', time, deletions },
  ],
  annotation: [
    annotationRowKey,
    encodeAnnotationRow(annotation),
    (bytes) => decodeAnnotationRow(annotationRowKey, bytes),
    annotation,
  ],
  'object with annotations, held once': [
    currentKey(7, objectKey),
    encodeVersionRow(annotated),
    decodeObjectRow,
    annotated,
  ],
  'answer, version': [
    answerKey(uid),
    encodeAnswerRow({ kind: 'edit-version', time, version: kept }),
    decodeAnswerRow,
    { kind: 'edit-version', time, version: kept },
  ],
  'repair, known by its row': [
    repairKey(1, uid),
    encodeRepairRow({ blob, rowKey: manifestKey(uid, 0) }),
    decodeRepairRow,
    { blob, rowKey: manifestKey(uid, 0) },
  ],
  'manifest end': [
    manifestEndKey(uid),
    encodeManifestEndRow(),
    (bytes) => unpackRow(bytes, 1, 'manifest end'),
    {},
  ],
}

for (const [name, [key, value, decode, record]] of Object.entries(rows)) {
  t.test(name, async (t) => {
    t.strictSame({ key: hex(key), value: hex(value) }, golden[name], 'written as ever')
    t.strictSame(decode(Buffer.from(golden[name]?.value ?? '', 'hex')), record, 'read as ever')
    const future = Buffer.from(value)
    future[0] = 200
    t.throws(() => decode(future), { code: 'UNKNOWN_ROW_FORMAT' })
  })
}

t.test('every golden row is tested', async (t) => {
  t.strictSame(Object.keys(golden), Object.keys(rows))
})

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
