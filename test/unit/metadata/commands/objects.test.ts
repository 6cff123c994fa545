// put-object and delete-object: conditions, what becomes garbage, what is owed.
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import { MISSING_SLOT } from '../../../../src/metadata/records.ts'
import { KeyKind } from '../../../../src/metadata/rows/keys.ts'
import { decodeRepairRow } from '../../../../src/metadata/rows/repair-row.ts'
import { bucket, MIB, openFixture, START_MS } from '../partition-fixture.ts'

const LONG_AGO_OR_NOT = Number.MAX_SAFE_INTEGER

t.test('what is put is got, with all that it carries', async (t) => {
  const { store } = await openFixture()
  const version = {
    ...store.version('d41d8cd98f00b204e9800998ecf8427e', 0),
    headers: { contentType: 'a/b', expires: 'never', contentEncoding: 'gzip' },
    userMetadata: { ['__proto__']: 'kept', b: '\u{1f600}' },
    storageClass: 'GLACIER',
    checksum: { algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'AAAAAA==' } as const,
  }
  const answer = await store.put('k', '', { version })
  t.match(answer, { kind: 'done', version })
  t.strictSame(await store.get('k'), answer.kind === 'done' && answer.version)
})

t.test('conditions of a put', async (t) => {
  const { store } = await openFixture()
  const ifMatch = { kind: 'condition-failed', condition: 'If-Match' }
  const ifNoneMatch = { kind: 'condition-failed', condition: 'If-None-Match' }
  t.strictSame(await store.put('k', 'a', { conditions: { ifMatch: ['x'] } }), { kind: 'missing' })
  t.strictSame(await store.put('k', 'a', { conditions: { ifMatch: ['*'] } }), { kind: 'missing' })
  t.match(await store.put('k', 'a', { conditions: { ifNoneMatch: ['a'] } }), { kind: 'done' })
  t.strictSame(await store.put('k', 'b', { conditions: { ifNoneMatch: ['*'] } }), ifNoneMatch)
  t.strictSame(await store.put('k', 'b', { conditions: { ifNoneMatch: ['x', 'a'] } }), ifNoneMatch)
  t.strictSame(await store.put('k', 'b', { conditions: { ifMatch: ['x', 'y'] } }), ifMatch)
  t.match(await store.put('k', 'b', { conditions: { ifNoneMatch: ['x'] } }), { kind: 'done' })
  t.match(await store.put('k', 'c', { conditions: { ifMatch: ['x', 'b'] } }), { kind: 'done' })
  t.match(await store.put('k', 'd', { conditions: { ifMatch: ['*'] } }), { kind: 'done' })
  const both = { ifMatch: ['d'], ifNoneMatch: ['d'] }
  t.strictSame(await store.put('k', 'e', { conditions: both }), ifNoneMatch)
  t.match(await store.get('k'), { etag: 'd' })
})

t.test('conditions of time, length and id', async (t) => {
  const { store, clock } = await openFixture()
  const seconds = Math.floor(START_MS / 1000)
  const failed = (condition: string) => ({ kind: 'condition-failed', condition })
  const ifMatchModified = seconds
  t.strictSame(await store.put('k', 'a', { conditions: { ifMatchModified } }), { kind: 'missing' })
  t.strictSame(await store.delete('k', { ifMatchModified }), { kind: 'missing' })
  t.strictSame(await store.delete('k', { ifMatchBytes: 0 }), { kind: 'missing' })
  t.strictSame(await store.delete('k', { ifCurrent: 'v' }), failed('If-Match'))
  clock.ms += 999
  const put = await store.put('k', 'a')
  const ifCurrent = put.kind === 'done' ? put.version.versionId : ''
  const modified = 'x-amz-if-match-last-modified-time'
  t.strictSame(await store.delete('k', { ifMatchModified: seconds - 1 }), failed(modified))
  t.strictSame(await store.delete('k', { ifMatchModified: seconds + 1 }), failed(modified))
  t.strictSame(await store.delete('k', { ifMatchBytes: 999 }), failed('x-amz-if-match-size'))
  t.strictSame(await store.delete('k', { ifCurrent: 'v' }), failed('If-Match'))
  const etagFirst = { ifMatch: ['b'], ifMatchBytes: 999 }
  t.strictSame(await store.delete('k', etagFirst), failed('If-Match'))
  const all = { ifMatch: ['a'], ifMatchModified, ifMatchBytes: 1000, ifCurrent }
  t.match(await store.put('k', 'a', { conditions: all }), { kind: 'done' }, 'within the second')
  const same = { ifMatch: ['a'], ifMatchModified, ifMatchBytes: 1000, ifCurrent }
  t.strictSame(await store.delete('k', same), failed('If-Match'), 'the same bytes, written anew')
})

t.test('conditions of a delete', async (t) => {
  const { store } = await openFixture()
  t.strictSame(await store.delete('k', { ifMatch: ['*'] }), { kind: 'missing' })
  t.strictSame(await store.delete('k'), { kind: 'done' })
  const put = await store.put('k', 'a')
  const refused = { kind: 'condition-failed', condition: 'If-Match' }
  t.strictSame(await store.delete('k', { ifMatch: ['b'] }), refused)
  t.strictSame(await store.delete('k', { ifMatch: ['a'] }), {
    kind: 'done',
    removed: { versionId: put.kind === 'done' && put.version.versionId, deleteMarker: false },
  })
  t.equal(await store.get('k'), undefined)
})

t.test('what is replaced or deleted becomes garbage, due when its readers are done', async (t) => {
  const { store, partition, clock } = await openFixture()
  const [first, second] = [store.version('a', 10 * MIB), store.version('b', 0)]
  const third = store.version('c', 2 * MIB)
  await store.put('k', 'a', { version: first })
  await store.put('k', 'b', { version: second })
  await store.put('k', 'c', { version: third })
  clock.ms += 500
  await store.delete('k')
  const [c, a] = await partition.dueGarbage(LONG_AGO_OR_NOT, 10)
  t.strictSame(a, { dueMs: START_MS + 1000 + 10_000, bucketId: bucket.id, blob: first.blob })
  t.strictSame(c, { dueMs: START_MS + 500 + 1000 + 2000, bucketId: bucket.id, blob: third.blob })
  t.equal(
    (await partition.dueGarbage(LONG_AGO_OR_NOT, 10)).length,
    2,
    'an empty object has no blob',
  )
  t.equal((await partition.dueGarbage(START_MS + 3500, 10)).length, 1)
  t.equal((await partition.dueGarbage(START_MS + 3499, 10)).length, 0)
  t.equal((await partition.dueGarbage(LONG_AGO_OR_NOT, 1)).length, 1)
  const before = { dueMs: c!.dueMs - 1, uid: 'f'.repeat(32) as Uid }
  t.strictSame(await partition.garbageAfter(before, 10), [c, a])
  t.strictSame(await partition.garbageAfter(before, 1), [c])
  t.strictSame(await partition.garbageAfter({ dueMs: c!.dueMs, uid: c!.blob.uid }, 10), [a])

  const items = [{ dueMs: c!.dueMs, uid: c!.blob.uid }]
  const forget = { kind: 'forget-garbage', commandId: store.uid(), items } as const
  t.strictSame(await partition.commit(forget), { kind: 'done' })
  t.strictSame(await partition.commit(forget), { kind: 'done' })
  t.strictSame(await partition.dueGarbage(LONG_AGO_OR_NOT, 10), [a])
})

t.test('nobody is waited for longer than a day', async (t) => {
  const { store, partition } = await openFixture()
  await store.put('k', 'a', { version: store.version('a', 10 ** 12) })
  await store.delete('k')
  const [garbage] = await partition.dueGarbage(LONG_AGO_OR_NOT, 1)
  t.equal(garbage?.dueMs, START_MS + 24 * 60 * 60 * 1000)
})

t.test('a blob that is put again under a new command does not become garbage', async (t) => {
  const { store, partition } = await openFixture()
  const version = store.version('a')
  await store.put('k', 'a', { version })
  await store.put('k', 'a', { version })
  t.strictSame(await partition.dueGarbage(LONG_AGO_OR_NOT, 10), [])
})

t.test('a blob that lacks shards is owed until it is garbage', async (t) => {
  const { store, log } = await openFixture()
  const lacking = (missing: number) =>
    store.blob(
      5,
      [1, 2, 3, 4, 5, 6].map((drive) => (drive <= missing ? MISSING_SLOT : drive)),
    )
  const blobs = [lacking(1), lacking(2), lacking(0)]
  for (const [index, blob] of blobs.entries()) {
    await store.put(`k${index}`, 'a', { version: { ...store.version('a'), blob } })
  }
  const owed = log.ofKind(KeyKind.Repair).map(({ value }) => decodeRepairRow(value))
  t.strictSame(owed, [
    { bucketId: bucket.id, key: 'k1', blob: blobs[1] },
    { bucketId: bucket.id, key: 'k0', blob: blobs[0] },
  ])
  await store.put('k0', 'b')
  await store.delete('k1')
  t.strictSame(log.ofKind(KeyKind.Repair), [])
})
