// Uploads from Create to Complete or Abort: every refusal, what is kept, what becomes garbage.
import { createHash } from 'node:crypto'
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import { completeUpload } from '../../../../src/metadata/commands/complete-upload.ts'
import type { Context } from '../../../../src/metadata/commands/decision.ts'
import { multipartEtag } from '../../../../src/metadata/commands/multipart-digest.ts'
import { MISSING_SLOT, type Part } from '../../../../src/metadata/records.ts'
import { KeyKind } from '../../../../src/metadata/rows/keys.ts'
import {
  bucket,
  everything,
  listed,
  MIB,
  openFixture,
  START_MS,
  type Store,
  uidAt,
  WRONG,
} from '../partition-fixture.ts'

const FOREVER = Number.MAX_SAFE_INTEGER

/** An upload with parts of these sizes, numbered from 1. */
async function uploadOf(
  store: Store,
  key: string,
  sizes: number[],
): Promise<{ uploadId: Uid; parts: Omit<Part, 'modifiedMs'>[] }> {
  const uploadId = await store.create(key)
  const parts = sizes.map((bytes, index) => store.part(index + 1, bytes))
  for (const part of parts) await store.putPart(key, uploadId, part)
  return { uploadId, parts }
}

t.test(
  'parts become an object; unlisted ones and what was there before become garbage',
  async (t) => {
    const { store, partition, log, clock } = await openFixture()
    const old = store.version('old', 100)
    await store.put('k', 'old', { version: old })
    const { uploadId, parts } = await uploadOf(store, 'k', [5 * MIB, 5 * MIB, 6 * MIB, 1])
    const list = [parts[0]!, parts[2]!, parts[3]!]
    const answer = await store.complete('k', uploadId, list.map(listed))
    const digests = Buffer.concat(list.map(({ etag }) => Buffer.from(etag, 'hex')))
    const version = await store.get('k')
    t.strictSame(answer, { kind: 'done', version })
    t.match(version, {
      bytes: 11 * MIB + 1,
      etag: `${createHash('md5').update(digests).digest('hex')}-3`,
      manifest: { uid: uploadId, partCount: 3 },
      userMetadata: { colour: 'blue' },
      modifiedMs: START_MS,
    })
    t.notOk(version && typeof version === 'object' && ('checksum' in version || 'blob' in version))
    const expected = list.map((part) => ({ ...part, modifiedMs: START_MS }))
    t.strictSame(await partition.getManifest(uploadId), expected)
    const garbage = await partition.dueGarbage(FOREVER, 10)
    t.strictSame(
      garbage.map(({ blob }) => blob),
      [old.blob, parts[1]!.blob],
    )
    t.equal(await partition.getUpload(bucket, 'k', uploadId), undefined)
    t.strictSame(log.ofKind(KeyKind.Upload), [])
    t.strictSame(log.ofKind(KeyKind.Part), [])

    await store.put('k', 'new')
    const found = await partition.getManifest(uploadId)
    t.strictSame(found, expected, 'the parts are still there for who found the object before')
    t.equal((await partition.dueGarbage(FOREVER, 10)).length, 5)
    const dueMs = START_MS + 1000 + 11_001
    const last = (await partition.dueGarbage(FOREVER, 10)).slice(-3)
    t.ok(
      last.every((item) => item.dueMs === dueMs),
      'a reader of the whole object is waited for',
    )

    clock.ms += 60 * 60 * 1000
    for (let index = 0; index < 300; index += 1) await store.put('other', 'a')
    t.strictSame(await partition.getManifest(uploadId), [])
    t.strictSame(log.ofKind(KeyKind.Manifest), [])
    t.strictSame(log.ofKind(KeyKind.OldManifest), [])
  },
)

t.test('a list that is wrong', async (t) => {
  const { store } = await openFixture()
  const { uploadId, parts } = await uploadOf(store, 'k', [5 * MIB, 5 * MIB - 1, 5 * MIB, 3])
  const [one, two, three, four] = parts.map(listed) as [never, never, never, never] &
    ReturnType<typeof listed>[]
  const complete = (list: ReturnType<typeof listed>[]) => store.complete('k', uploadId, list)
  t.strictSame(await complete([three!, one!]), { kind: 'part-order' })
  t.strictSame(await complete([one!, one!]), { kind: 'part-order' })
  const unknown = { number: 5, etag: 'e'.repeat(32) }
  t.strictSame(await complete([one!, unknown]), { kind: 'invalid-part', ...unknown })
  const wrong = { number: 1, etag: 'e'.repeat(32) }
  t.strictSame(await complete([wrong, three!]), { kind: 'invalid-part', ...wrong })
  const small = { kind: 'part-too-small', bytes: 5 * MIB - 1, ...parts[1], blob: undefined }
  t.match(await complete([one!, two!, three!]), { kind: small.kind, number: 2, bytes: small.bytes })
  t.match(await complete([one!, three!, four!]), { kind: 'done' }, 'the last part may be small')
  await t.rejects(complete([]), WRONG)
})

t.test('one part of any size, even none, is an object with its boundary kept', async (t) => {
  const { store, partition } = await openFixture()
  const { uploadId, parts } = await uploadOf(store, 'k', [0])
  t.match(await store.complete('k', uploadId, parts.map(listed)), {
    version: { bytes: 0, manifest: { partCount: 1 } },
  })
  t.strictSame(await partition.getManifest(uploadId), [{ ...parts[0], modifiedMs: START_MS }])
})

t.test('Complete again with the same list answers the same for seven days', async (t) => {
  const { store, clock, log } = await openFixture()
  const { uploadId, parts } = await uploadOf(store, 'k', [5 * MIB, 1])
  const first = await store.complete('k', uploadId, parts.map(listed))
  await store.put('k', 'other')
  const again = { conditions: { ifNoneMatch: ['*'] } }
  t.strictSame(await store.complete('k', uploadId, parts.map(listed), again), first)
  t.match(await store.get('k'), { etag: 'other' })
  const shorter = [listed(parts[0]!)]
  t.strictSame(await store.complete('k', uploadId, shorter), { kind: 'no-upload' })
  t.strictSame(await store.complete('l', uploadId, parts.map(listed)), { kind: 'no-upload' })
  t.strictSame(await store.abort('k', uploadId), { kind: 'no-upload' })
  t.strictSame(await store.putPart('k', uploadId, store.part(1, 1)), { kind: 'no-upload' })

  clock.ms += 7 * 24 * 60 * 60 * 1000
  for (let index = 0; index < 300; index += 1) await store.put('k', 'a')
  t.strictSame(await store.complete('k', uploadId, parts.map(listed)), first)
  clock.ms += 1
  for (let index = 0; index < 300; index += 1) await store.put('k', 'a')
  t.strictSame(await store.complete('k', uploadId, parts.map(listed)), { kind: 'no-upload' })
  t.strictSame(log.ofKind(KeyKind.Completed), [])
})

t.test('conditions of a Complete leave the upload as it was', async (t) => {
  const { store } = await openFixture()
  const { uploadId, parts } = await uploadOf(store, 'k', [1])
  const list = parts.map(listed)
  const ifMatch = await store.complete('k', uploadId, list, { conditions: { ifMatch: ['a'] } })
  t.strictSame(ifMatch, { kind: 'missing' })
  await store.put('k', 'a')
  t.match(await store.complete('k', uploadId, list, { conditions: { ifNoneMatch: ['*'] } }), {
    kind: 'condition-failed',
    condition: 'If-None-Match',
  })
  const done = await store.complete('k', uploadId, list, { conditions: { ifMatch: ['a'] } })
  t.match(done, { kind: 'done' })
})

t.test('a part that is sent again replaces the first', async (t) => {
  const { store, partition } = await openFixture()
  const { uploadId, parts } = await uploadOf(store, 'k', [10])
  const commandId = store.uid()
  const second = { ...store.part(1, 20), etag: 'f'.repeat(32) }
  const answer = await store.putPart('k', uploadId, second, commandId)
  t.strictSame(answer, { kind: 'done', part: { ...second, modifiedMs: START_MS } })
  t.strictSame(await store.putPart('k', uploadId, second, commandId), answer)
  t.match(await store.putPart('k', uploadId, second), { kind: 'done' })
  const garbage = await partition.dueGarbage(FOREVER, 10)
  t.strictSame(
    garbage.map(({ blob }) => blob),
    [parts[0]!.blob],
    'the second is not its own garbage',
  )
  const invalid = await store.complete('k', uploadId, parts.map(listed))
  t.match(invalid, { kind: 'invalid-part' })
  t.match(await store.complete('k', uploadId, [listed(second)]), { kind: 'done' })
})

t.test('parts of unknown uploads are refused', async (t) => {
  const { store } = await openFixture()
  const uploadId = await store.create('k')
  const part = store.part(1, 1)
  t.strictSame(await store.putPart('other', uploadId, part), { kind: 'no-upload' })
  t.strictSame(await store.putPart('k', store.uid(), part), { kind: 'no-upload' })
  t.strictSame(await store.complete('other', uploadId, [listed(part)]), { kind: 'no-upload' })
  t.strictSame(await store.abort('other', uploadId), { kind: 'no-upload' })
})

t.test('Abort gives up every part, once', async (t) => {
  const { store, partition } = await openFixture()
  const uploadId = await store.create('k')
  const whole = store.part(1, 3)
  const torn = { ...store.part(2, 5), blob: store.blob(5, [1, MISSING_SLOT, 3, 4, 5, 6]) }
  await store.putPart('k', uploadId, whole)
  await store.putPart('k', uploadId, torn)
  const commandId = store.uid()
  t.strictSame(await store.abort('k', uploadId, commandId), { kind: 'done' })
  t.strictSame(await store.abort('k', uploadId, commandId), { kind: 'done' })
  t.strictSame(await store.abort('k', uploadId), { kind: 'no-upload' })
  const garbage = await partition.dueGarbage(FOREVER, 10)
  t.strictSame(garbage.map(({ blob }) => blob).sort(byBytes), [whole.blob, torn.blob])
  t.strictSame(await partition.listParts(uploadId, 0, 10), { parts: [], more: false })
})

t.test('Abort of an upload that began in that second', async (t) => {
  const { store, clock } = await openFixture()
  clock.ms += 999
  const uploadId = await store.create('k')
  const seconds = Math.floor(START_MS / 1000)
  for (const other of [seconds - 1, seconds + 1]) {
    t.strictSame(await store.abort('k', uploadId, store.uid(), other), {
      kind: 'condition-failed',
      condition: 'x-amz-if-match-initiated-time',
    })
  }
  t.strictSame(await store.abort('k', uploadId, store.uid(), seconds), { kind: 'done' })
  t.strictSame(await store.abort('k', uploadId, store.uid(), seconds), { kind: 'no-upload' })
})

t.test('what Create was told goes to the object', async (t) => {
  const { store } = await openFixture()
  const told = {
    headers: { contentType: 'image/png' },
    userMetadata: { a: 'b' },
    storageClass: 'REDUCED_REDUNDANCY',
    tags: [{ key: 'colour', value: 'blue' }],
    retention: { mode: 'GOVERNANCE' as const, untilMs: START_MS + 5 },
    legalHold: true as const,
    encryption: { kind: 'SSE-S3' as const, wrappedKey: Buffer.from('wrapped') },
  }
  const uploadId = await store.create('k', { ...told, checksumAlgorithm: 'CRC32' })
  const part = store.part(1, 5)
  await store.putPart('k', uploadId, part)
  const answer = await store.complete('k', uploadId, [listed(part)])
  const { versionId } = answer.kind === 'done' ? answer.version : { versionId: '' }
  const etag = multipartEtag([part])
  const own = { versionId, modifiedMs: START_MS, bytes: 5, etag }
  const manifest = { uid: uploadId, partCount: 1 }
  t.strictSame(await store.get('k'), { ...told, ...own, manifest })
})

t.test('uploads under way are counted, in all buckets', async (t) => {
  const { store, partition, clock } = await openFixture()
  t.strictSame(await partition.countUploads(), {
    ...{ count: 0, parts: 0, bytes: 0 },
    oldestMs: undefined,
  })
  clock.ms += 5
  const first = await store.create('z')
  clock.ms += 5
  await store.create('a')
  store.bucket = { ...store.bucket, id: 99 }
  await store.create('b')
  store.bucket = bucket
  const none = { parts: 0, bytes: 0 }
  t.strictSame(await partition.countUploads(), { count: 3, ...none, oldestMs: START_MS + 5 })
  for (const number of [1, 2, 2]) await store.putPart('z', first, store.part(number, 700))
  t.match(await partition.countUploads(), { parts: 2, bytes: 1400 })
  await store.abort('z', first)
  t.strictSame(await partition.countUploads(), { count: 2, ...none, oldestMs: START_MS + 10 })
})

t.test('of Complete and Abort at once exactly one is done', async (t) => {
  for (const isAbortFirst of [true, false]) {
    const { store, partition } = await openFixture()
    const { uploadId, parts } = await uploadOf(store, 'k', [4])
    const complete = () => store.complete('k', uploadId, parts.map(listed))
    const abort = () => store.abort('k', uploadId)
    const both = isAbortFirst ? [abort(), complete()] : [complete(), abort()]
    const kinds = (await Promise.all<{ kind: string }>(both)).map(({ kind }) => kind)
    t.strictSame(kinds, ['done', 'no-upload'])
    t.equal((await partition.dueGarbage(FOREVER, 10)).length, isAbortFirst ? 1 : 0)
    t.equal((await store.keys()).length, isAbortFirst ? 0 : 1)
  }
})

t.test('uploads and parts are listed', async (t) => {
  const { store, partition } = await openFixture()
  const ids: Uid[] = []
  for (const key of ['b', 'a', 'b', 'c/1']) ids.push(await store.create(key))
  const scan = { ...everything, afterUploadId: '', delimiter: '/', limit: 3 }
  t.match(await partition.scanUploads(scan), {
    entries: [
      { key: 'a', record: { uploadId: ids[1], initiatedMs: START_MS } },
      { key: 'b', record: { uploadId: ids[0] } },
      { key: 'b', record: { uploadId: ids[2] } },
    ],
    more: true,
  })
  t.match(await partition.scanUploads({ ...scan, after: 'b', afterUploadId: ids[0]! }), {
    entries: [{ key: 'b', record: { uploadId: ids[2] } }, { prefix: 'c/' }],
    more: false,
  })
  for (const number of [3, 1, 2]) await store.putPart('b', ids[0]!, store.part(number, number))
  const numbers = async (after: number, limit: number) => {
    const { parts, more } = await partition.listParts(ids[0]!, after, limit)
    return [...parts.map(({ number }) => number), more]
  }
  t.strictSame(await numbers(0, 3), [1, 2, 3, false])
  t.strictSame(await numbers(0, 2), [1, 2, true])
  t.strictSame(await numbers(1, 1), [2, true])
  t.strictSame(await numbers(3, 5), [false])
  t.strictSame(await numbers(2 ** 31, 5), [false])
  t.match(await partition.getUpload(bucket, 'b', ids[0]!), { userMetadata: { colour: 'blue' } })
})

t.test('ten thousand parts', async (t) => {
  const { store, partition, log } = await openFixture()
  const uploadId = await store.create('k')
  const parts = Array.from({ length: 10_000 }, (_, index) => store.part(index + 1, 5 * MIB))
  for (let start = 0; start < parts.length; start += 1000) {
    const some = parts.slice(start, start + 1000)
    await Promise.all(some.map((part) => store.putPart('k', uploadId, part)))
  }
  const answer = await store.complete('k', uploadId, parts.map(listed))
  t.match(answer, { version: { bytes: 50_000 * MIB } })
  t.equal((await partition.getManifest(uploadId)).length, 10_000)
  const chunks = log.ofKind(KeyKind.Manifest)
  t.ok(chunks.every(({ value }) => value.length <= 65_536))
  const batch = log.applied.at(-1)!
  const bytes = batch.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
  t.ok(bytes < 3 * MIB, `${bytes} bytes in one batch`)
})

function byBytes(left?: { bytes: number }, right?: { bytes: number }): number {
  return (left?.bytes ?? 0) - (right?.bytes ?? 0)
}

t.test('results of uploads are forgotten as fast as they are made', async (t) => {
  const { store, log, clock } = await openFixture()
  const WEEK_MS = 7 * 24 * 60 * 60 * 1000
  for (let count = 0; count < 1500; count += 1) {
    clock.ms += WEEK_MS / 200
    const uploadId = await store.create('k')
    const part = store.part(1, 10)
    await store.putPart('k', uploadId, part)
    await store.complete('k', uploadId, [listed(part)])
  }
  const kept = log.ofKind(KeyKind.Completed).length
  t.ok(kept >= 200 && kept < 600, `${kept} of a week of 200`)
})

t.test('where a row at hand can not be understood no other is being read', async (t) => {
  let reads = 0
  const view = {
    get: async () => {
      reads += 1
      throw new Error('nobody would hear of it')
    },
    getAtHand: () => ({ value: Buffer.of(99) }),
  }
  const uploadId = uidAt(START_MS)
  const command = {
    ...{ kind: 'complete-upload' as const, commandId: uploadId, uploadId, bucket, key: 'k' },
    ...{ parts: [{ number: 1, etag: '' }], conditions: {}, claimed: {} },
  }
  const context = { view } as unknown as Context
  await t.rejects(completeUpload.decide(command, context), { name: 'UnknownRowFormat' })
  t.equal(reads, 0)
})
