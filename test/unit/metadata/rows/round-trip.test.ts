// Whatever the records hold, rows give it back.
import { deepStrictEqual, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import {
  type Blob,
  CHECKSUM_ALGORITHMS,
  type Checksum,
  type DeleteMarker,
  type Encryption,
  type ListedObject,
  type ObjectAttributes,
  type ObjectVersion,
  type Part,
} from '../../../../src/metadata/records.ts'
import { decodeAnswerRow, encodeAnswerRow } from '../../../../src/metadata/rows/answer-row.ts'
import { decodeHeadRow, encodeHeadRow } from '../../../../src/metadata/rows/head-row.ts'
import { decodeListedRow } from '../../../../src/metadata/rows/listed-row.ts'
import {
  decodeManifestRow,
  encodeManifestRows,
  MANIFEST_CHUNK_BYTES,
} from '../../../../src/metadata/rows/manifest-row.ts'
import { decodeObjectRow } from '../../../../src/metadata/rows/object-row.ts'
import { decodePartRow, encodePartRow } from '../../../../src/metadata/rows/part-row.ts'
import { decodeUploadRow, encodeUploadRow } from '../../../../src/metadata/rows/upload-row.ts'
import { decodeVersionRow, encodeVersionRow } from '../../../../src/metadata/rows/version-row.ts'

const SEED = 20_251_121
const settings = { seed: SEED, numRuns: 500 }

const uid = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('hex') as Uid)
const size = fc.maxSafeNat()
const text = fc.string({ unit: 'binary', maxLength: 20 })
const etag = fc.oneof(
  fc.stringMatching(/^[0-9a-f]{32}$/),
  fc.stringMatching(/^[0-9a-f]{32}-\d+$/),
  text,
)
const checksum: fc.Arbitrary<Checksum> = fc.record(
  {
    algorithm: fc.constantFrom(...CHECKSUM_ALGORITHMS),
    type: fc.constantFrom('FULL_OBJECT', 'COMPOSITE'),
    value: text,
  },
  { noNullPrototype: true },
)
const blob: fc.Arbitrary<Blob> = fc.record(
  {
    uid,
    origin: uid,
    part: fc.nat(10_000),
    bytes: size,
    code: fc.record(
      {
        dataCount: fc.integer({ min: 1, max: 16 }),
        parityCount: fc.nat(4),
        matrix: fc.constant(1 as const),
      },
      { noNullPrototype: true },
    ),
    cellBytes: fc.nat(131_072),
    partition: fc.nat(4095),
    drives: fc.array(fc.nat(65_535), { maxLength: 20 }),
  },
  {
    requiredKeys: ['uid', 'part', 'bytes', 'code', 'cellBytes', 'partition', 'drives'],
    noNullPrototype: true,
  },
)
const wrappedKey = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes))
const encryption: fc.Arbitrary<Encryption> = fc.oneof(
  fc.record({ kind: fc.constant('SSE-S3' as const), wrappedKey }, { noNullPrototype: true }),
  fc.record(
    {
      kind: fc.constant('SSE-KMS' as const),
      wrappedKey,
      keyId: text,
      context: text,
      bucketKey: fc.constant(true as const),
    },
    { requiredKeys: ['kind', 'wrappedKey', 'keyId'], noNullPrototype: true },
  ),
  fc.record(
    { kind: fc.constant('SSE-C' as const), wrappedKey, keyMd5: text },
    { noNullPrototype: true },
  ),
)
const versioned = fc.constant(true as const)
const attributes: fc.Arbitrary<ObjectAttributes> = fc.record(
  {
    headers: fc.record(
      { contentType: text, cacheControl: text, contentEncoding: text, expires: text },
      { requiredKeys: [], noNullPrototype: true },
    ),
    userMetadata: fc
      .array(fc.tuple(fc.oneof(fc.constant('__proto__'), text), text), { maxLength: 4 })
      .map((pairs) => Object.fromEntries(pairs)),
    storageClass: fc.constantFrom('STANDARD', 'GLACIER'),
    tags: fc.array(fc.record({ key: text, value: text }, { noNullPrototype: true }), {
      minLength: 1,
      maxLength: 3,
    }),
    retention: fc.record(
      { mode: fc.constantFrom('GOVERNANCE' as const, 'COMPLIANCE' as const), untilMs: size },
      { noNullPrototype: true },
    ),
    legalHold: fc.boolean(),
  },
  { requiredKeys: ['headers', 'userMetadata', 'storageClass'], noNullPrototype: true },
)
const part: fc.Arbitrary<Part> = fc.record(
  { number: fc.nat(10_000), bytes: size, etag, modifiedMs: size, checksum, blob },
  { requiredKeys: ['number', 'bytes', 'etag', 'modifiedMs'], noNullPrototype: true },
)

t.test('objects', async () => {
  const own = fc.record(
    {
      versionId: text,
      versioned,
      modifiedMs: size,
      bytes: size,
      etag,
      checksum,
      blob,
      manifest: fc.record({ uid, partCount: fc.nat(10_000) }, { noNullPrototype: true }),
      encryption,
      annotationsId: text,
      editId: uid,
    },
    { requiredKeys: ['versionId', 'modifiedMs', 'bytes', 'etag'], noNullPrototype: true },
  )
  const check = fc.property(attributes, own, (shared, rest) => {
    const version = { ...shared, ...rest }
    deepStrictEqual(decodeObjectRow(encodeVersionRow(version)), version)
    deepStrictEqual(decodeListedRow(encodeVersionRow(version)), listed(version))
    const head = { version, older: true as const, nullVersionId: version.versionId }
    deepStrictEqual(decodeHeadRow(encodeHeadRow(head)), head)
    deepStrictEqual(decodeHeadRow(encodeHeadRow({ version })), { version })
    deepStrictEqual(decodeVersionRow(encodeHeadRow(head)), version)
    const done = { kind: 'edit-version' as const, time: 5n, version }
    deepStrictEqual(decodeAnswerRow(encodeAnswerRow(done)), done)
  })
  fc.assert(check, settings)
})

t.test('delete markers', async () => {
  const marker: fc.Arbitrary<DeleteMarker> = fc.record(
    { versionId: text, versioned, deleteMarker: fc.constant(true as const), modifiedMs: size },
    { requiredKeys: ['versionId', 'deleteMarker', 'modifiedMs'], noNullPrototype: true },
  )
  const check = fc.property(marker, (version) => {
    deepStrictEqual(decodeVersionRow(encodeVersionRow(version)), version)
    deepStrictEqual(decodeHeadRow(encodeHeadRow({ version, older: true })).version, version)
    const removed = { versionId: version.versionId, deleteMarker: true }
    const done = { kind: 'delete-object' as const, time: 5n, removed }
    deepStrictEqual(decodeAnswerRow(encodeAnswerRow(done)), done)
    const deletions = [
      { kind: 'done' as const, removed },
      ...[{ kind: 'done' as const }, { kind: 'made' as const }, { kind: 'missing' as const }],
      ...[{ kind: 'locked' as const }],
      { kind: 'condition-failed' as const, condition: 'If-Match' as const },
    ]
    const many = { kind: 'delete-objects' as const, time: 6n, deletions }
    deepStrictEqual(decodeAnswerRow(encodeAnswerRow(many)), many)
  })
  fc.assert(check, settings)
})

t.test('uploads', async () => {
  const own = fc.record(
    {
      uploadId: uid,
      initiatedMs: size,
      checksumAlgorithm: fc.constantFrom(...CHECKSUM_ALGORITHMS),
      checksumType: fc.constantFrom('FULL_OBJECT' as const, 'COMPOSITE' as const),
      encryption,
    },
    { requiredKeys: ['uploadId', 'initiatedMs'], noNullPrototype: true },
  )
  const check = fc.property(attributes, own, (shared, rest) => {
    const upload = { ...shared, ...rest }
    deepStrictEqual(decodeUploadRow(encodeUploadRow(upload), upload.uploadId), upload)
  })
  fc.assert(check, settings)
})

t.test('parts', async () => {
  const check = fc.property(part, (found) => {
    deepStrictEqual(decodePartRow(encodePartRow(found)), found)
  })
  fc.assert(check, settings)
})

t.test('manifests, in chunks that stay small', async () => {
  const check = fc.property(
    fc.array(part, { minLength: 1, maxLength: 20 }),
    fc.integer({ min: 1, max: 100 }),
    (some, times) => {
      const parts = Array.from({ length: times }, () => some).flat()
      const chunks = encodeManifestRows(parts)
      ok(chunks.every((chunk) => chunk.length <= MANIFEST_CHUNK_BYTES))
      deepStrictEqual(chunks.flatMap(decodeManifestRow), parts)
    },
  )
  fc.assert(check, { seed: SEED, numRuns: 40 })
})

function listed({
  modifiedMs,
  bytes,
  etag,
  storageClass,
  checksum: all,
}: ObjectVersion): ListedObject {
  const shown = all && { algorithm: all.algorithm, type: all.type }
  return { modifiedMs, bytes, etag, storageClass, ...(shown ? { checksum: shown } : {}) }
}
