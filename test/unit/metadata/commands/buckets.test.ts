// The life of a bucket as a partition sees it: frozen, thawed, dropped, and never written to again.
import t from 'tap'
import { KeyKind } from '../../../../src/metadata/rows/keys.ts'
import { bucket, everything, listed, MIB, openFixture, WRONG } from '../partition-fixture.ts'

const GONE = { kind: 'bucket-gone' }

t.test('a frozen bucket refuses commands and still answers queries', async (t) => {
  const { store, partition } = await openFixture()
  await store.put('k', 'a')
  const uploadId = await store.create('u')
  await store.putPart('u', uploadId, store.part(1, 5))
  t.strictSame(await store.setBucket('frozen', 2), { kind: 'done', empty: false })
  t.strictSame(await store.put('k', 'b'), GONE)
  t.strictSame(await store.delete('k'), GONE)
  t.strictSame(await store.putPart('u', uploadId, store.part(2, 5)), GONE)
  t.strictSame(await store.complete('u', uploadId, [listed(store.part(1, 5))]), GONE)
  t.strictSame(await store.abort('u', uploadId), GONE)
  const current = { ...bucket, revision: 2 }
  t.match(await partition.getObject(current, 'k'), { etag: 'a' })
  t.match(await partition.scanObjects({ ...everything, bucket: current }), { more: false })
})

t.test('a lower revision is refused, a thawed bucket goes on', async (t) => {
  const { store, partition } = await openFixture()
  await store.setBucket('frozen', 2)
  t.strictSame(await store.setBucket('live', 1), GONE)
  t.strictSame(await store.setBucket('live', 3), { kind: 'done', empty: true })
  t.strictSame(await store.setBucket('live', 3), { kind: 'done', empty: true })
  t.strictSame(await store.put('k', 'a'), GONE, 'revision 1 is old')
  t.strictSame(await partition.getObject(bucket, 'k'), 'bucket-gone')
  t.strictSame(await partition.scanObjects(everything), 'bucket-gone')
  const uploads = { ...everything, afterUploadId: '' }
  t.strictSame(await partition.scanUploads(uploads), 'bucket-gone')
  const version = store.version('a')
  const put = await partition.commit({
    kind: 'put-object',
    commandId: store.uid(),
    bucket: { ...bucket, revision: 3 },
    key: 'k',
    version,
    conditions: {},
  })
  t.match(put, { kind: 'done' })
})

t.test('freezing sees the write that was decided just before it', async (t) => {
  const { store } = await openFixture()
  const [put, frozen, late] = await Promise.all([
    store.put('k', 'a'),
    store.setBucket('frozen', 1),
    store.put('l', 'b'),
  ])
  t.match(put, { kind: 'done' })
  t.strictSame(frozen, { kind: 'done', empty: false })
  t.strictSame(late, GONE)
})

t.test('freezing sees the delete that was decided just before it', async (t) => {
  const { store } = await openFixture()
  await store.put('k', 'a')
  const [, frozen] = await Promise.all([store.delete('k'), store.setBucket('frozen', 1)])
  t.strictSame(frozen, { kind: 'done', empty: true })
})

t.test('uploads do not count for emptiness and are garbage with the bucket', async (t) => {
  const { store, partition, log } = await openFixture()
  const wide = await store.create('wide')
  await Promise.all(
    Array.from({ length: 2000 }, (_, index) =>
      store.putPart('wide', wide, store.part(index + 1, 6 * MIB)),
    ),
  )
  for (let index = 0; index < 450; index += 1) await store.create(`many${index}`)
  t.strictSame(await store.setBucket('frozen', 2), { kind: 'done', empty: true })
  const before = log.applied.length
  t.strictSame(await store.dropBucket(2), { kind: 'done' })
  t.strictSame(await store.dropBucket(2), { kind: 'done' })
  const batches = log.applied.slice(before)
  t.ok(batches.length >= 3, 'in steps')
  t.ok(
    batches.every((batch) => batch.length < 3000),
    'each of them bounded',
  )
  t.strictSame(log.ofKind(KeyKind.Upload), [])
  t.strictSame(log.ofKind(KeyKind.Part), [])
  t.equal((await partition.dueGarbage(Number.MAX_SAFE_INTEGER, 5000)).length, 2000)
})

t.test('a dropped bucket never comes back', async (t) => {
  const { store, partition } = await openFixture()
  await store.setBucket('frozen', 2)
  await store.dropBucket(2)
  t.strictSame(await store.setBucket('live', 3), GONE)
  const again = await store.setBucket('frozen', 4)
  t.strictSame(again, { kind: 'done', empty: true }, 'a deletion that was cut short can go on')
  t.strictSame(await store.dropBucket(4), { kind: 'done' })
  const late = { ...bucket, revision: 9 }
  t.strictSame(await partition.getObject(late, 'k'), 'bucket-gone')
  const commandId = store.uid()
  const command = {
    kind: 'delete-object',
    bucket: late,
    key: 'k',
    conditions: {},
    commandId,
  } as const
  t.strictSame(await partition.commit(command), GONE)
})

t.test('only a frozen and empty bucket can be dropped', async (t) => {
  const { store } = await openFixture()
  await t.rejects(store.dropBucket(1), WRONG)
  await store.put('k', 'a')
  await store.setBucket('frozen', 1)
  await t.rejects(store.dropBucket(1), WRONG)
  t.match(await store.get('k'), { etag: 'a' })
})
