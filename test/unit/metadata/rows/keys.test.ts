// Keys of rows: their order is the order of what they name, and no key is taken for another.
import { deepStrictEqual, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import { escapeKey, unescapeKey } from '../../../../src/metadata/rows/escape.ts'
import {
  answerKey,
  answersFrom,
  bucketIdOf,
  currentKey,
  dueOfGarbage,
  garbageFrom,
  garbageKey,
  KeyKind,
  keyOfHead,
  keyOfVersion,
  manifestKey,
  manifestOf,
  markerKey,
  oldManifestKey,
  parseUploadKey,
  partKey,
  rangeOf,
  repairKey,
  uidOfOldManifest,
  uidOfParts,
  uploadKey,
  uploadPrefix,
  versionKey,
  versionPrefix,
  versionsOfKey,
} from '../../../../src/metadata/rows/keys.ts'
import { versionIdBytes, versionIdOf } from '../../../../src/metadata/rows/version-id.ts'

const SEED = 20_251_121
const settings = { seed: SEED, numRuns: 1000 }

const key = fc.uint8Array({ max: 3, maxLength: 6 }).map((bytes) => Buffer.from(bytes))
const uid = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('hex') as Uid)
const bucketId = fc.oneof(fc.nat(3), fc.maxSafeNat())

t.test('numbers of kinds are distinct', async (t) => {
  const numbers = Object.values(KeyKind)
  t.equal(new Set(numbers).size, numbers.length)
  t.ok(numbers.every((number) => number > 0 && number < 0xff))
})

t.test('an escaped key is that key again', async () => {
  fc.assert(
    fc.property(key, (bytes) => deepStrictEqual(unescapeKey(escapeKey(bytes)), bytes)),
    settings,
  )
})

t.test('uploads sort by bucket, key and id', async () => {
  const upload = fc.tuple(bucketId, key, uid)
  const order = (left: [number, Buffer, Uid], right: [number, Buffer, Uid]): number =>
    Math.sign(left[0] - right[0]) ||
    Buffer.compare(left[1], right[1]) ||
    Buffer.compare(Buffer.from(left[2], 'hex'), Buffer.from(right[2], 'hex'))
  fc.assert(
    fc.property(upload, upload, (left, right) => {
      const rows = Buffer.compare(uploadKey(...left), uploadKey(...right))
      deepStrictEqual(rows, order(left, right))
      deepStrictEqual(parseUploadKey(uploadKey(...left)), { key: left[1], uploadId: left[2] })
    }),
    settings,
  )
})

t.test('versions sort by bucket, key and newest first, and stand below their prefix', async () => {
  const version = fc.tuple(
    bucketId,
    key,
    uid.map((id) => versionIdOf(Buffer.from(id, 'hex'))),
  )
  fc.assert(
    fc.property(version, version, key, (left, right, prefix) => {
      const order =
        Math.sign(left[0] - right[0]) ||
        Buffer.compare(left[1], right[1]) ||
        Buffer.compare(Buffer.from(left[2]), Buffer.from(right[2]))
      deepStrictEqual(Buffer.compare(versionKey(...left), versionKey(...right)), order)
      deepStrictEqual(keyOfVersion(versionKey(...left)), left[1])
      const begins = left[1].subarray(0, prefix.length).equals(prefix)
      deepStrictEqual(isIn(versionKey(...left), versionPrefix(left[0], prefix)), begins)
      const isOfKey = left[1].equals(prefix)
      deepStrictEqual(isIn(versionKey(...left), versionsOfKey(left[0], prefix)), isOfKey)
      deepStrictEqual(isIn(markerKey(left[0], left[1]), markerKey(left[0], prefix)), begins)
    }),
    settings,
  )
})

t.test('a version id is 26 digits of 16 bytes', async (t) => {
  fc.assert(
    fc.property(uid, (id) => {
      const bytes = Buffer.from(id, 'hex')
      const text = versionIdOf(bytes)
      ok(/^[0-9a-v]{26}$/.test(text))
      deepStrictEqual(versionIdBytes(text), bytes)
    }),
    settings,
  )
  const wrong = ['', 'null', '0'.repeat(25), '0'.repeat(27), `${'0'.repeat(25)}1`, 'W'.repeat(26)]
  for (const text of wrong) t.equal(versionIdBytes(text), undefined, text)
  t.throws(() => versionKey(1, Buffer.from('k'), 'null'), { name: 'AssertionFailed' })
})

t.test('what begins with a prefix is in its range, nothing else is', async () => {
  fc.assert(
    fc.property(bucketId, key, key, uid, (id, name, prefix, uploadId) => {
      const begins = name.subarray(0, prefix.length).equals(prefix)
      deepStrictEqual(isIn(currentKey(id, name), currentKey(id, prefix)), begins)
      deepStrictEqual(isIn(uploadKey(id, name, uploadId), uploadPrefix(id, prefix)), begins)
      deepStrictEqual(keyOfHead(currentKey(id, name)), name)
    }),
    settings,
  )
})

t.test('garbage sorts by when it is due, repairs by what is missing, answers by time', async () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), uid, uid, (left, right, one, other) => {
      ok(left >= right || Buffer.compare(garbageKey(left, one), garbageKey(right, other)) < 0)
      deepStrictEqual(dueOfGarbage(garbageKey(left, one)), left)
      ok(Buffer.compare(garbageFrom(left), garbageKey(left, one)) < 0)
      deepStrictEqual(uidOfOldManifest(oldManifestKey(left, one)), one)
      ok(Buffer.compare(repairKey(2, one), repairKey(1, other)) < 0)
      const timeMs = Number.parseInt(one.slice(0, 12), 16)
      ok(Buffer.compare(answersFrom(timeMs), answerKey(one)) <= 0)
      ok(Buffer.compare(answersFrom(timeMs + 1), answerKey(one)) > 0)
    }),
    settings,
  )
})

t.test('keys tell what they are of', async () => {
  fc.assert(
    fc.property(bucketId, key, uid, (bucket, name, id) => {
      deepStrictEqual(bucketIdOf(currentKey(bucket, name)), bucket)
      const versionId = versionIdOf(Buffer.from(id, 'hex'))
      deepStrictEqual(bucketIdOf(versionKey(bucket, name, versionId)), bucket)
      deepStrictEqual(uidOfParts(partKey(id, 3)), id)
      deepStrictEqual(uidOfParts(manifestKey(id, 70_000)), id)
    }),
    settings,
  )
})

t.test('parts and chunks sort by number', async (t) => {
  const id = 'ab'.repeat(16) as Uid
  t.ok(Buffer.compare(partKey(id, 255), partKey(id, 256)) < 0)
  t.ok(Buffer.compare(manifestKey(id, 255), manifestKey(id, 65_536)) < 0)
  t.ok(isIn(manifestKey(id, 2 ** 32 - 1), manifestOf(id)))
  t.throws(() => partKey(id, 65_536), { name: 'AssertionFailed' })
})

function isIn(rowKey: Buffer, prefix: Buffer): boolean {
  const { from, to } = rangeOf(prefix)
  return Buffer.compare(rowKey, from) >= 0 && Buffer.compare(rowKey, to) < 0
}
