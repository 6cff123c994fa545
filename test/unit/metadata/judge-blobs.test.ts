// What is said of orphans holds for ever: after it no blob gets a row that is as old, whoever leads and whatever his clock says.
import t from 'tap'
import { bucket, openFixture, START_MS, TestClock, uidAt } from './partition-fixture.ts'

const HOUR_MS = 60 * 60_000
const AGE = { blobAgeMsMax: 12 * HOUR_MS }
const place = { bucketId: bucket.id, key: 'k' }

t.test('a blob is named, young, or unnamed for ever', async (t) => {
  const { store, partition, clock } = await openFixture(AGE)
  const version = store.version('a')
  await store.put('k', 'a', { version })
  const other = store.blob(5)
  const asked = [version.blob!, other]
  const before = await partition.judgeBlobs(place, asked)
  t.match(before, [{ kind: 'named', reference: { key: 'k' } }, { kind: 'young' }])
  clock.ms += 12 * HOUR_MS
  t.match(await partition.judgeBlobs(place, asked), [{ kind: 'named' }, { kind: 'young' }])
  clock.ms += 1
  t.match(await partition.judgeBlobs(place, asked), [{ kind: 'named' }, { kind: 'unnamed' }])
})

t.test(
  'what was said to be unnamed is refused by the next one, whose clock is behind',
  async (t) => {
    const first = await openFixture(AGE)
    const version = first.store.version('a')
    const young = first.store.version('b')
    first.clock.ms += 13 * HOUR_MS
    t.match(await first.partition.judgeBlobs(place, [version.blob!]), [{ kind: 'unnamed' }])
    const late = new TestClock()
    t.equal(late.ms, START_MS)
    const next = await openFixture(AGE, first.log, late)
    await t.rejects(next.store.put('k', 'a', { version }), { code: 'OVERLOADED' })
    await t.rejects(next.store.put('j', 'b', { version: young }), { code: 'OVERLOADED' })
    const later = { ...young.blob!, uid: uidAt(START_MS + 60_000) }
    t.match(
      await next.store.put('k', 'b', { version: { ...young, blob: later } }),
      { kind: 'done' },
      'what is younger than all that was judged is taken, however long it took',
    )
  },
)

t.test(
  'every command that brings a blob is refused when it may have been judged, and no other',
  async (t) => {
    const { store, partition, clock } = await openFixture(AGE)
    const put = await store.put('k', 'a')
    if (put.kind !== 'done') throw new Error(put.kind)
    const old = { ...store.blob(5), part: 1 }
    const moved = put.version.blob!
    const uploadId = store.uid()
    clock.ms += 13 * HOUR_MS
    t.match(await partition.judgeBlobs(place, [old]), [{ kind: 'unnamed' }])
    const commandId = () => store.uid()
    const key = { bucket, key: 'k' }
    const part = { number: 1, etag: 'e', bytes: 5, blob: old }
    const refused = { code: 'OVERLOADED' }
    await t.rejects(
      partition.commit({ kind: 'put-part', ...key, commandId: commandId(), uploadId, part }),
      refused,
    )
    const annotation = {
      name: 'n',
      bytes: 5,
      etag: 'e',
      contentType: 't',
      blob: { ...old, part: 0 },
    }
    await t.rejects(
      partition.commit({
        ...{ kind: 'put-annotation', ...key, commandId: commandId() },
        ...{ versionId: put.version.versionId, annotation: annotation as never },
      }),
      refused,
    )
    const [reference] = (await partition.scanBlobs(undefined, 10)).references
    const { rowKey } = reference!
    await t.rejects(
      partition.commit({
        ...{ kind: 'replace-blob', commandId: commandId(), rowKey, bucketId: bucket.id },
        ...{ uid: moved.uid, blob: { ...old, part: 0 } },
      }),
      refused,
    )
    const drives = moved.drives.map((driveId) => driveId + 10)
    t.same(
      await partition.commit({
        ...{ kind: 'move-blob', commandId: commandId(), rowKey, uid: moved.uid, part: 0 },
        ...{ from: moved.drives, drives },
      }),
      { kind: 'done' },
      'a row names it already',
    )
    t.match(await store.delete('k'), { kind: 'done' })
  },
)

t.test('a command that was done is answered again, whatever was judged since', async (t) => {
  const { store, partition, clock } = await openFixture(AGE)
  const version = store.version('a')
  const orphan = store.blob(5)
  clock.ms += 13 * HOUR_MS
  const commandId = store.uid()
  t.match(await store.put('k', 'a', { version, commandId }), { kind: 'done' })
  t.match(await partition.judgeBlobs(place, [orphan]), [{ kind: 'unnamed' }])
  t.match(await store.put('k', 'a', { version, commandId }), { kind: 'done' })
})

t.test('a clock that was ahead for a while refuses nobody afterwards', async (t) => {
  const first = await openFixture(AGE)
  const version = first.store.version('a')
  const orphan = first.store.blob(5)
  first.clock.ms += 365 * 24 * HOUR_MS
  t.match(await first.partition.judgeBlobs(place, [orphan]), [{ kind: 'unnamed' }])
  const next = await openFixture(AGE, first.log, new TestClock())
  await t.rejects(
    next.store.put('k', 'a', { version }),
    { code: 'OVERLOADED' },
    'of that very time',
  )
  const blob = { ...version.blob!, uid: uidAt(START_MS + 1) }
  t.match(await next.store.put('k', 'a', { version: { ...version, blob } }), { kind: 'done' })
})

t.test('what was judged first is not forgotten when something older is', async (t) => {
  const { store, partition, clock } = await openFixture(AGE)
  const older = store.blob(5)
  const version = store.version('a')
  const uid = uidAt(START_MS + 1000)
  clock.ms += 14 * HOUR_MS
  t.match(await partition.judgeBlobs(place, [{ uid, part: 0 }]), [{ kind: 'unnamed' }])
  t.match(await partition.judgeBlobs(place, [older]), [{ kind: 'unnamed' }])
  const blob = { ...version.blob!, uid }
  await t.rejects(store.put('k', 'a', { version: { ...version, blob } }), { code: 'OVERLOADED' })
})

t.test('nothing is said before it is on record', async (t) => {
  const { store, partition, log, clock } = await openFixture(AGE)
  const blob = store.blob(5)
  clock.ms += 13 * HOUR_MS
  log.hold()
  let isAnswered = false
  const asked = partition.judgeBlobs(place, [blob]).finally(() => {
    isAnswered = true
  })
  while (log.waiting === 0) await new Promise(setImmediate)
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate)
  t.notOk(isAnswered)
  log.resume()
  t.match(await asked, [{ kind: 'unnamed' }])
  log.hold()
  const lost = partition.judgeBlobs(place, [blob])
  lost.catch(() => undefined)
  while (log.waiting === 0) await new Promise(setImmediate)
  log.fail()
  await t.rejects(lost, { code: 'METADATA_UNAVAILABLE' })
})
