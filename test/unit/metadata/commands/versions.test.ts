// Buckets that keep versions, case by case: what put, delete and Complete do with what was there (pitfalls 102 to 104).
import t from 'tap'
import {
  type AnyVersion,
  isDeleteMarker,
  type ObjectVersion,
  shownVersionId,
} from '../../../../src/metadata/records.ts'
import { KeyKind } from '../../../../src/metadata/rows/keys.ts'
import { bucket, everything, type Fixture, listed, openFixture } from '../partition-fixture.ts'

const FOREVER = Number.MAX_SAFE_INTEGER

async function openVersioned(): Promise<Fixture> {
  const fixture = await openFixture()
  fixture.store.setVersioning('enabled')
  return fixture
}

/** What a put made. */
function made(answer: { kind: string; version?: ObjectVersion }): ObjectVersion {
  if (!answer.version) throw new Error(`a put answered ${answer.kind}`)
  return answer.version
}

/** Versions of the bucket as `key name`, with `!` for markers and `*` for the latest. */
async function lines({ partition, store }: Fixture): Promise<string[]> {
  const page = await partition.scanVersions({
    ...everything,
    bucket: store.bucket,
    afterVersionId: '',
  })
  if (page === 'bucket-gone') throw new Error('the bucket is gone')
  return page.entries.map((entry) => {
    if (entry.kind === 'prefix') return entry.prefix
    const { version, isLatest } = entry.record
    return `${entry.key} ${nameOf(version)}${isLatest ? '*' : ''}`
  })
}

function nameOf(version: AnyVersion): string {
  if (isDeleteMarker(version)) return version.versioned ? '!' : 'null!'
  return version.versioned ? version.etag : `null=${version.etag}`
}

t.test('enabled: every put is a version of its own, and no byte is given up', async (t) => {
  const fixture = await openVersioned()
  const { store, partition, log } = fixture
  const first = made(await store.put('k', 'a'))
  const second = made(await store.put('k', 'b'))
  t.match([first, second], [{ versioned: true }, { versioned: true }])
  t.equal(shownVersionId(first), first.versionId)
  t.strictSame(await store.get('k'), second)
  t.strictSame(await store.get('k', first.versionId), first)
  t.strictSame(await store.get('k', second.versionId), second)
  t.equal(await store.get('k', 'null'), undefined)
  t.strictSame(await lines(fixture), ['k b*', 'k a'])
  t.strictSame(await partition.dueGarbage(FOREVER, 10), [])
  t.equal(log.ofKind(KeyKind.Version).length, 1)
  t.strictSame(await store.keys(), ['k'])
})

t.test('enabled: what was there before is the null version', async (t) => {
  const { store, ...rest } = await openFixture()
  const before = made(await store.put('k', 'a'))
  t.equal(shownVersionId(before), 'null')
  store.setVersioning('enabled')
  await store.put('k', 'b')
  await store.put('k', 'c')
  t.strictSame(await store.get('k', 'null'), before)
  t.strictSame(await lines({ store, ...rest }), ['k c*', 'k b', 'k null=a'])
})

t.test('a delete puts a marker on top, even over nothing and over a marker', async (t) => {
  const fixture = await openVersioned()
  const { store, partition, clock } = fixture
  const deleted = await store.delete('none')
  t.match(deleted, { kind: 'done', made: { versioned: true, deleteMarker: true } })
  const marker = deleted.kind === 'done' && deleted.made
  t.strictSame(await store.get('none'), marker)
  clock.ms += 10
  await store.put('k', 'a')
  await store.delete('k')
  await store.delete('k')
  t.strictSame(await lines(fixture), ['k !*', 'k !', 'k a', 'none !*'])
  t.strictSame(await store.keys(), [])
  t.strictSame(await partition.dueGarbage(FOREVER, 10), [])
  await store.put('k', 'b')
  t.strictSame(await store.keys(), ['k'])
})

t.test('removing a marker brings the object back, removing all leaves nothing', async (t) => {
  const fixture = await openVersioned()
  const { store, partition, log } = fixture
  const first = made(await store.put('k', 'a'))
  const second = made(await store.put('k', 'b'))
  const deleted = await store.delete('k')
  const marker = (deleted.kind === 'done' && deleted.made) || first
  t.strictSame(await store.remove('k', marker.versionId), {
    kind: 'done',
    removed: { versionId: marker.versionId, versioned: true, deleteMarker: true },
  })
  t.strictSame(await store.get('k'), second)
  t.strictSame(await store.remove('k', marker.versionId), { kind: 'done' }, 'it is gone')
  await store.remove('k', second.versionId)
  t.strictSame(await lines(fixture), ['k a*'])
  await store.remove('k', first.versionId)
  t.strictSame(await lines(fixture), [])
  t.equal((await partition.dueGarbage(FOREVER, 10)).length, 2)
  for (const kind of [KeyKind.Current, KeyKind.Marker, KeyKind.Version]) {
    t.strictSame(log.ofKind(kind), [])
  }
})

t.test('an older version goes without touching the latest', async (t) => {
  const fixture = await openVersioned()
  const { store, log } = fixture
  const first = made(await store.put('k', 'a'))
  await store.put('k', 'b')
  await store.remove('k', first.versionId)
  t.strictSame(await lines(fixture), ['k b*'])
  const batch = log.applied.at(-1)!
  t.notOk(batch.some(({ key }) => key[0] === KeyKind.Current))
})

t.test('suspended: writes take the place of the null version, wherever it lies', async (t) => {
  const fixture = await openFixture()
  const { store, partition } = fixture
  const old = made(await store.put('k', 'old'))
  store.setVersioning('enabled')
  await store.put('k', 'kept')
  store.setVersioning('suspended')
  const next = made(await store.put('k', 'next'))
  t.equal(shownVersionId(next), 'null')
  t.strictSame(await lines(fixture), ['k null=next*', 'k kept'])
  const garbage = () =>
    partition.dueGarbage(FOREVER, 10).then((all) => all.map(({ blob }) => blob.uid).sort())
  t.strictSame(await garbage(), [old.blob?.uid], 'it lay below')
  await store.put('k', 'last')
  t.strictSame(await lines(fixture), ['k null=last*', 'k kept'])
  t.strictSame(await garbage(), [old.blob?.uid, next.blob?.uid], 'it was on top')

  const deleted = await store.delete('k')
  t.match(deleted, { kind: 'done', made: { deleteMarker: true, versioned: undefined } })
  t.strictSame(await lines(fixture), ['k null!*', 'k kept'])
  await store.delete('k')
  t.strictSame(await lines(fixture), ['k null!*', 'k kept'])
  t.equal((await garbage()).length, 3)
  t.match(await store.remove('k', 'null'), { removed: { deleteMarker: true } })
  t.strictSame(await lines(fixture), ['k kept*'])
})

t.test('the null version is found and removed below others', async (t) => {
  const fixture = await openFixture()
  const { store } = fixture
  await store.put('k', 'old')
  store.setVersioning('enabled')
  await store.put('k', 'b')
  const top = made(await store.put('k', 'c'))
  await store.remove('k', top.versionId)
  t.match(await store.get('k', 'null'), { etag: 'old' }, 'the next one knows of it too')
  t.match(await store.remove('k', 'null'), { removed: { deleteMarker: false } })
  t.equal(await store.get('k', 'null'), undefined)
  t.strictSame(await lines(fixture), ['k b*'])
  t.strictSame(await store.remove('k', 'null'), { kind: 'done' })
})

t.test('a delete marker counts as absent for conditions', async (t) => {
  const { store } = await openVersioned()
  await store.put('k', 'a')
  await store.delete('k')
  t.strictSame(await store.put('k', 'b', { conditions: { ifMatch: ['*'] } }), { kind: 'missing' })
  t.strictSame(await store.delete('k', { ifMatch: ['*'] }), { kind: 'missing' })
  const failed = (condition: string) => ({ kind: 'condition-failed', condition })
  t.strictSame(await store.delete('k', { ifMatch: ['a'] }), failed('If-Match'), 'it hides one')
  t.strictSame(await store.delete('k', { ifMatchBytes: 1000 }), failed('x-amz-if-match-size'))
  const modified = await store.delete('k', { ifMatchModified: 1 })
  t.strictSame(modified, failed('x-amz-if-match-last-modified-time'))
  t.match(await store.put('k', 'b', { conditions: { ifNoneMatch: ['*'] } }), { kind: 'done' })
})

t.test('conditions of a removal are about the current version', async (t) => {
  const { store } = await openVersioned()
  const first = made(await store.put('k', 'a'))
  await store.put('k', 'b')
  const refused = await store.remove('k', first.versionId, { conditions: { ifMatch: ['a'] } })
  t.strictSame(refused, { kind: 'condition-failed', condition: 'If-Match' })
  const done = await store.remove('k', first.versionId, { conditions: { ifMatch: ['b'] } })
  t.match(done, { kind: 'done', removed: { versionId: first.versionId } })
})

t.test('Complete makes a version like any other', async (t) => {
  const fixture = await openVersioned()
  const { store, partition } = fixture
  await store.put('k', 'a')
  const uploadId = await store.create('k')
  const part = store.part(1, 5)
  await store.putPart('k', uploadId, part)
  const answer = await store.complete('k', uploadId, [listed(part)])
  t.match(answer, { kind: 'done', version: { versioned: true, manifest: { partCount: 1 } } })
  await store.delete('k')
  const again = await store.complete('k', uploadId, [listed(part)])
  t.strictSame(again, answer, 'the answer knows the name of the version')
  t.strictSame(await lines(fixture), ['k !*', `k ${made(answer).etag}`, 'k a'])
  await store.remove('k', made(answer).versionId)
  t.strictSame(
    (await partition.dueGarbage(FOREVER, 10)).map(({ blob }) => blob),
    [part.blob],
  )
})

t.test('a command that knows of no versions is told to look again', async (t) => {
  const gone = { kind: 'bucket-gone' }
  for (const isDeleted of [false, true]) {
    const { store } = await openVersioned()
    await store.put('k', 'a')
    if (isDeleted) await store.delete('k')
    const top = (await store.get('k')) as AnyVersion
    store.setVersioning('unversioned')
    t.strictSame(await store.put('k', 'b'), gone)
    t.strictSame(await store.delete('k'), gone)
    t.strictSame(await store.append('k', top.versionId, 1), gone)
    t.match(await store.put('other', 'b'), { kind: 'done' }, 'where there are none it is right')
    store.setVersioning('suspended')
    await store.put('k', 'c')
    store.setVersioning('unversioned')
    t.strictSame(await store.delete('k'), gone, 'older versions lie below')
  }
})

t.test('a bucket with any version or marker is not empty', async (t) => {
  const { store, partition } = await openVersioned()
  const isEmpty = async (revision: number) => {
    const answer = await store.setBucket('live', revision)
    store.bucket = { ...store.bucket, revision }
    return answer.kind === 'done' && answer.empty
  }
  t.equal(await isEmpty(2), true)
  await store.delete('k')
  t.equal(await isEmpty(3), false, 'a marker')
  const marker = (await store.get('k')) as AnyVersion
  await store.put('k', 'a')
  t.equal(await isEmpty(4), false, 'an object over a marker')
  await store.remove('k', marker.versionId)
  t.equal(await isEmpty(5), false, 'an object')
  await store.remove('k', ((await store.get('k')) as AnyVersion).versionId)
  t.equal(await isEmpty(6), true)
  const old = { ...everything, afterVersionId: '', bucket }
  t.equal(await partition.scanVersions(old), 'bucket-gone', 'of an old revision')
})

t.test('repeated commands answer the same, whatever came after', async (t) => {
  const { store } = await openVersioned()
  const commandId = store.uid()
  const version = store.version('a')
  const put = await store.put('k', 'a', { version, commandId })
  const deleteId = store.uid()
  const deleted = await store.delete('k', {}, deleteId)
  const removeId = store.uid()
  const removed = await store.remove('k', made(put).versionId, { commandId: removeId })
  store.setVersioning('enabled')
  await store.put('k', 'b')
  t.strictSame(await store.put('k', 'a', { version, commandId }), put)
  t.strictSame(await store.delete('k', {}, deleteId), deleted)
  t.strictSame(await store.remove('k', made(put).versionId, { commandId: removeId }), removed)
})

t.test('of many commands at once each sees the one before', async (t) => {
  const fixture = await openVersioned()
  const { store } = fixture
  const answers = await Promise.all([
    store.put('k', 'a'),
    store.delete('k'),
    store.put('k', 'b', { conditions: { ifNoneMatch: ['*'] } }),
    store.put('k', 'c', { conditions: { ifMatch: ['b'] } }),
    store.delete('k', { ifMatch: ['c'] }),
  ])
  t.ok(answers.every(({ kind }) => kind === 'done'))
  t.strictSame(await lines(fixture), ['k !*', 'k c', 'k b', 'k !', 'k a'])
})
