// Rows made again of a dump and of labels: what comes back, what does not, and what is said of it.
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import { isDeleteMarker, type ObjectVersion } from '../../../../src/metadata/records.ts'
import { decodeGarbageRow } from '../../../../src/metadata/rows/garbage-row.ts'
import { KeyKind } from '../../../../src/metadata/rows/keys.ts'
import { bucket, listed, MIB } from '../partition-fixture.ts'
import { etagOf, type Rebuilt, rebuild, versionsOf, Writer } from './rebuild-fixture.ts'

const DAY_MS = 24 * 60 * 60 * 1000

async function find(
  { fixture }: Pick<Rebuilt, 'fixture'>,
  key: string,
): Promise<ObjectVersion | undefined> {
  const found = await fixture.partition.getObject({ ...bucket, versioning: 'enabled' }, key)
  return found && found !== 'bucket-gone' && !isDeleteMarker(found) ? found : undefined
}

/** The uid of what a reader of the key gets. */
async function currentOf(rebuilt: Pick<Rebuilt, 'fixture'>, key: string): Promise<Uid | undefined> {
  const version = await find(rebuilt, key)
  return version?.blob?.uid ?? version?.manifest?.uid
}

t.test('an object of shards alone', async (t) => {
  const writer = await Writer.open()
  const uid = await writer.put('k')
  const made = await writer.rebuild()
  t.match(await find(made, 'k'), {
    ...{ bytes: 1000, etag: etagOf(uid), blob: { uid }, unconfirmed: true },
    headers: { contentType: 'text/plain' },
  })
  t.match(made.report, { dumpedRows: 0, unconfirmed: 1, gone: [], damaged: [], unplaced: [] })
})

t.test('an object of the dump is confirmed, and keeps its version id', async (t) => {
  const writer = await Writer.open()
  await writer.put('k')
  const made = await writer.rebuild(await writer.dump())
  const version = await find(made, 'k')
  t.equal(version?.unconfirmed, undefined)
  t.equal(version?.versionId, (await find(writer, 'k'))?.versionId)
  t.match(made.report, { unconfirmed: 0, gone: [] })
})

t.test('the last write of a key wins, in whatever order shards are found', async (t) => {
  const writer = await Writer.open()
  await writer.put('k')
  await writer.put('k')
  const last = await writer.put('k')
  const blobs = [...writer.blobs.values()]
  for (const found of [blobs, [...blobs].reverse()]) {
    const remains = { buckets: new Map([[bucket.id, { versioned: false }]]), nowMs: 0 }
    const made = await rebuild({ ...remains, blobs: found })
    t.equal(await currentOf(made, 'k'), last)
    t.equal((await versionsOf(made.fixture)).length, 1)
  }
})

t.test('overwritten since the dump, the old bytes collected or not', async (t) => {
  const writer = await Writer.open()
  await writer.put('k')
  const dump = await writer.dump()
  const last = await writer.put('k')
  t.equal(await currentOf(await writer.rebuild(dump), 'k'), last)
  await writer.collect()
  const made = await writer.rebuild(dump)
  t.equal(await currentOf(made, 'k'), last)
  t.same(await versionsOf(made.fixture), [{ key: 'k', blob: last }])
})

t.test('deleted since the dump: gone once collected, there again before', async (t) => {
  const writer = await Writer.open()
  const uid = await writer.put('k')
  const dump = await writer.dump()
  await writer.fixture.store.delete('k')
  t.equal(await currentOf(await writer.rebuild(dump), 'k'), uid)
  await writer.collect()
  const made = await writer.rebuild(dump)
  t.equal(await currentOf(made, 'k'), undefined)
  t.match(made.report.gone, [{ key: 'k', uid }])
})

t.test('deleted before the dump, and not collected yet: stays deleted', async (t) => {
  const writer = await Writer.open()
  await writer.put('k')
  await writer.fixture.store.delete('k')
  const made = await writer.rebuild(await writer.dump())
  t.same(await versionsOf(made.fixture), [])
  const kept = made.rows.filter(({ key }) => key[0] === KeyKind.Garbage)
  t.equal(kept.length, 1, 'its garbage row stays')
})

t.test('a key that is used again after a deletion', async (t) => {
  const writer = await Writer.open()
  await writer.put('k')
  const dump = await writer.dump()
  await writer.fixture.store.delete('k')
  await writer.collect()
  const again = await writer.put('k')
  for (const known of [undefined, dump])
    t.same(await versionsOf((await writer.rebuild(known)).fixture), [{ key: 'k', blob: again }])
})

t.test('a label from long before the dump that no row names was garbage', async (t) => {
  const writer = await Writer.open()
  const old = writer.fixture.store.blob(10)
  writer.leave('old', { blob: old, role: { kind: 'object', versioned: false } })
  writer.tick(DAY_MS + 1000)
  const dump = await writer.dump()
  const made = await writer.rebuild(dump)
  t.same(await versionsOf(made.fixture), [])
  t.same(await currentOf(await writer.rebuild(), 'old'), old.uid, 'without a dump nobody knows')
})

t.test('nothing was garbage for a dump whose clock was ahead: it may be newer', async (t) => {
  const writer = await Writer.open()
  const dump = await writer.dump()
  const newer = await writer.put('newer')
  const made = await writer.rebuild({ ...dump, takenMs: dump.takenMs + 365 * DAY_MS })
  t.same(await versionsOf(made.fixture), [{ key: 'newer', blob: newer }])
})

t.test(
  'a write under way at the dump: a new key is made, an old one keeps what the dump knows',
  async (t) => {
    const writer = await Writer.open()
    const { store } = writer.fixture
    const [fresh, late] = [store.blob(10), store.blob(10)]
    const role = { kind: 'object', versioned: false } as const
    writer.leave('new', { blob: fresh, role })
    writer.leave('k', { blob: late, role })
    const uid = await writer.put('k')
    const made = await writer.rebuild(await writer.dump())
    t.equal(await currentOf(made, 'new'), fresh.uid)
    t.equal(await currentOf(made, 'k'), uid)
    t.match(made.report.unplaced, [{ key: 'k', uid: late.uid }], 'it is named')
  },
)

t.test('versions: all come back, newest first', async (t) => {
  const writer = await Writer.open()
  writer.fixture.store.setVersioning('enabled')
  const uids = [await writer.put('k'), await writer.put('k')]
  const dump = await writer.dump()
  uids.push(await writer.put('k'))
  const wanted = uids.toReversed().map((blob) => ({ key: 'k', blob }))
  t.same(await versionsOf((await writer.rebuild()).fixture), wanted)
  const made = await writer.rebuild(dump)
  t.same(await versionsOf(made.fixture), wanted)
  t.equal(made.report.unconfirmed, 1)
})

t.test('versions that were removed since the dump, the latest among them', async (t) => {
  const writer = await Writer.open()
  const { store } = writer.fixture
  store.setVersioning('enabled')
  const uids: Uid[] = []
  for (let count = 0; count < 4; count += 1) uids.push(await writer.put('k'))
  const dump = await writer.dump()
  for (const gone of [uids[3]!, uids[2]!]) {
    const latest = await find(writer, 'k')
    t.equal(latest?.blob?.uid, gone)
    await store.remove('k', latest!.versionId)
  }
  await writer.collect()
  // What comes up has moved meanwhile.
  writer.keepShards(uids[1]!, 5)
  const made = await writer.rebuild(dump)
  t.same(await versionsOf(made.fixture), [
    { key: 'k', blob: uids[1] },
    { key: 'k', blob: uids[0] },
  ])
  t.equal(made.report.unconfirmed, 0, 'none is made a second time')
  t.equal((await find(made, 'k'))?.blob?.drives[5], 0xffff, 'drives are as they are now')
  t.equal(made.report.gone.length, 2)
})

t.test('delete markers are those of the dump', async (t) => {
  const writer = await Writer.open()
  const { store } = writer.fixture
  store.setVersioning('enabled')
  const uid = await writer.put('k')
  await store.delete('k')
  const dump = await writer.dump()
  const other = await writer.put('other')
  await store.delete('other')
  const { fixture } = await writer.rebuild(dump)
  t.same(await versionsOf(fixture), [
    { key: 'k', marker: true },
    { key: 'k', blob: uid },
    { key: 'other', blob: other },
  ])
})

t.test('what has no bytes is in the dump alone', async (t) => {
  const writer = await Writer.open()
  const { store } = writer.fixture
  await store.put('empty', '', { version: store.version('d41d8cd98f00b204e9800998ecf8427e', 0) })
  t.ok(await find(await writer.rebuild(await writer.dump()), 'empty'))
  t.notOk(await find(await writer.rebuild(), 'empty'))
})

t.test('a multipart object since the dump is assumed, and said to be', async (t) => {
  const writer = await Writer.open()
  const uploadId = await writer.multipart('k', [1, 2, 3])
  const made = await writer.rebuild()
  const version = await find(made, 'k')
  t.match(version, { bytes: 15 * MIB, manifest: { uid: uploadId, partCount: 3 } })
  t.equal(version?.etag, (await find(writer, 'k'))?.etag)
  t.match(version, { userMetadata: { colour: 'blue' } })
  t.match(made.report.uploads, [
    { key: 'k', uid: uploadId, assumed: 'completed', because: 'all-parts' },
  ])
})

t.test('a multipart object of the dump is what it was', async (t) => {
  const writer = await Writer.open()
  const uploadId = await writer.multipart('k', [1, 3])
  const made = await writer.rebuild(await writer.dump())
  t.match(await find(made, 'k'), { manifest: { uid: uploadId, partCount: 2 } })
  t.same(made.report.uploads, [])
})

t.test(
  'a multipart object of which no shard is left was deleted; one that lacks a part is damaged',
  async (t) => {
    const writer = await Writer.open()
    const uploadId = await writer.multipart('k', [1, 2])
    const dump = await writer.dump()
    const [first, second] = [...writer.blobs.keys()]
    const kept = writer.blobs.get(first!)!
    writer.blobs.delete(second!)
    const damaged = await writer.rebuild(dump)
    t.equal(await currentOf(damaged, 'k'), uploadId)
    t.equal(damaged.report.damaged.length, 1)
    writer.blobs.delete(nameOfBlob(kept.blob))
    const gone = await writer.rebuild(dump)
    t.equal(await currentOf(gone, 'k'), undefined)
    t.match(gone.report, { gone: [{ key: 'k' }], damaged: [] })
  },
)

function nameOfBlob({ uid, part }: { uid: Uid; part: number }): string {
  return `${uid}.${part}`
}

t.test('an upload with a hole is under way again and can be completed', async (t) => {
  const writer = await Writer.open()
  const { uploadId, parts } = await writer.upload('k', [1, 2, 4])
  const made = await writer.rebuild()
  t.equal(await currentOf(made, 'k'), undefined)
  t.match(made.report.uploads, [{ uid: uploadId, assumed: 'under-way', because: 'not-whole' }])
  made.fixture.clock.ms = writer.fixture.clock.ms + 10_000
  const done = await made.fixture.store.complete('k', uploadId, parts.map(listed))
  t.match(done, { kind: 'done' })
  t.equal(await currentOf(made, 'k'), uploadId)
})

t.test('an upload to a key that has an object does not take its place', async (t) => {
  const writer = await Writer.open()
  const uid = await writer.put('k')
  const { uploadId } = await writer.upload('k', [1, 2])
  const made = await writer.rebuild()
  t.equal(await currentOf(made, 'k'), uid)
  t.match(made.report.uploads, [{ uid: uploadId, assumed: 'under-way', because: 'key-taken' }])
  writer.fixture.store.setVersioning('enabled')
  const versioned = await writer.rebuild()
  t.match(versioned.report.uploads, [{ assumed: 'completed' }], 'where versions are kept both are')
  t.equal((await versionsOf(versioned.fixture)).length, 2)
})

t.test('an upload of the dump: still under way, unless parts came since', async (t) => {
  const writer = await Writer.open()
  const { uploadId, parts } = await writer.upload('k', [1, 2])
  const dump = await writer.dump()
  const still = await writer.rebuild(dump)
  t.match(still.report.uploads, [
    { key: 'k', uid: uploadId, assumed: 'under-way', because: 'dump' },
  ])
  t.equal(await currentOf(still, 'k'), undefined)
  parts.push(await writer.putPart('k', uploadId, 3))
  const since = await writer.rebuild(dump)
  t.match(since.report.uploads, [{ assumed: 'completed', because: 'all-parts' }])
  t.match(await find(since, 'k'), { manifest: { partCount: 3 } })
  const { rows } = since
  t.notOk(rows.some(({ key }) => key[0] === KeyKind.Part || key[0] === KeyKind.Upload))
})

t.test('a part that was uploaded twice counts once, the later', async (t) => {
  const writer = await Writer.open()
  const { uploadId } = await writer.upload('k', [1, 2])
  const again = await writer.putPart('k', uploadId, 1)
  const made = await writer.rebuild()
  const parts = await made.fixture.partition.listParts(uploadId, 0, 10)
  t.same(parts.parts, [], 'it is an object')
  const version = await find(made, 'k')
  t.match(version, { bytes: 10 * MIB, manifest: { partCount: 2 } })
  await writer.fixture.store.complete('k', uploadId, [
    listed(again),
    { number: 2, etag: etagOf([...writer.blobs.values()][1]!.blob.uid) },
  ])
  t.equal(version?.etag, (await find(writer, 'k'))?.etag)
})

t.test('an aborted upload: gone when collected; before the dump it stays gone', async (t) => {
  const writer = await Writer.open()
  const { uploadId } = await writer.upload('k', [1, 2])
  const before = await writer.dump()
  await writer.fixture.store.abort('k', uploadId)
  const after = await writer.rebuild(await writer.dump())
  t.equal(await currentOf(after, 'k'), undefined)
  t.same(after.report.uploads, [])
  await writer.collect()
  const made = await writer.rebuild(before)
  t.equal(await currentOf(made, 'k'), undefined)
  t.equal(made.report.gone.length, 2, 'its parts')
})

t.test('an upload that the dump knows to be completed takes no more parts', async (t) => {
  const writer = await Writer.open()
  const { uploadId, parts } = await writer.upload('k', [1, 2, 3])
  await writer.fixture.store.complete('k', uploadId, parts.slice(0, 2).map(listed))
  const dump = await writer.dump()
  const late = { ...writer.fixture.store.part(4, 10).blob!, part: 4 }
  writer.leave('k', { blob: late, role: { kind: 'part', uploadId } })
  const made = await writer.rebuild(dump)
  t.match(await find(made, 'k'), { manifest: { uid: uploadId, partCount: 2 } })
  t.equal(made.report.unconfirmed, 0)
})

t.test('encrypted bytes keep their keys, and their length is that of the plain ones', async (t) => {
  const writer = await Writer.open()
  const encryption = { kind: 'SSE-S3', wrappedKey: Buffer.from('wrapped') } as const
  await writer.put('k', { encryption })
  const [found] = [...writer.blobs.values()]
  writer.blobs.set('k', { ...found!, plainBytes: 984 })
  writer.blobs.delete([...writer.blobs.keys()][0]!)
  const version = await find(await writer.rebuild(), 'k')
  t.match(version, { bytes: 984, blob: { bytes: 1000 }, encryption: { kind: 'SSE-S3' } })
  t.same(Buffer.from(version!.encryption!.wrappedKey), encryption.wrappedKey)
})

t.test('a write that broke off is no object', async (t) => {
  const writer = await Writer.open()
  const { store } = writer.fixture
  const role = { kind: 'object', versioned: false } as const
  const unfinished = store.blob(10)
  writer.leave('unfinished', { blob: unfinished, role, sealed: false })
  const few = await writer.put('few')
  writer.keepShards(few, 3)
  const enough = await writer.put('enough')
  writer.keepShards(enough, 4)
  const made = await writer.rebuild()
  t.same(await versionsOf(made.fixture), [{ key: 'enough', blob: enough }])
  t.match(made.report.unplaced, [{ key: 'unfinished' }])
  t.match(made.report.damaged, [{ key: 'few', uid: few }])
  const owed = made.rows.filter(({ key }) => key[0] === KeyKind.Repair)
  t.equal(owed.length, 1, 'what it lacks is owed')
})

t.test('of the dump an object with too few shards stays, and is said to be damaged', async (t) => {
  const writer = await Writer.open()
  const uid = await writer.put('k')
  const dump = await writer.dump()
  writer.keepShards(uid, 2)
  const made = await writer.rebuild(dump)
  t.equal(await currentOf(made, 'k'), uid, 'a drive may come back')
  t.match(made.report.damaged, [{ key: 'k', uid }])
})

t.test('a copy is an object of its own, and one onto itself keeps the bytes', async (t) => {
  const writer = await Writer.open()
  const uid = await writer.put('k')
  const dump = await writer.dump()
  const { store } = writer.fixture
  const version = (await find(writer, 'k'))!
  const { versionId: _, modifiedMs: _modified, ...same } = version
  writer.tick()
  await store.put('k', '', { version: { ...same, userMetadata: { changed: 'yes' } } })
  await writer.collect()
  for (const known of [dump, undefined]) {
    const made = await writer.rebuild(known)
    t.same(await versionsOf(made.fixture), [{ key: 'k', blob: uid }])
    t.same((await find(made, 'k'))?.userMetadata, {}, 'as when the bytes were written')
  }
  const made = await writer.rebuild(await writer.dump())
  t.match(await find(made, 'k'), { userMetadata: { changed: 'yes' } })
})

t.test(
  'shards of a bucket that is no more, of appends, annotations and without a label',
  async (t) => {
    const writer = await Writer.open()
    const { store } = writer.fixture
    const uid = await writer.put('k')
    const [append, annotation, bare] = [store.blob(10), store.blob(10), store.blob(10)]
    writer.leave('k', { blob: append, role: { kind: 'append', offset: 1000, after: etagOf(uid) } })
    writer.leave('k', { blob: annotation, role: { kind: 'annotation', name: 'n', of: uid } })
    writer.leave('k', { blob: bare, role: { kind: 'object', versioned: false } })
    const name = nameOfBlob(bare)
    writer.blobs.set(name, { ...writer.blobs.get(name)!, label: Buffer.alloc(0) })
    const made = await writer.rebuild()
    t.same(await versionsOf(made.fixture), [{ key: 'k', blob: uid }])
    t.equal(made.report.unplaced.length, 3)
    const strange = await rebuild({
      blobs: [...writer.blobs.values()],
      buckets: new Map(),
      nowMs: 0,
    })
    t.equal(strange.report.strangers, 4)
    t.same(await versionsOf(strange.fixture), [])
  },
)

t.test('nothing becomes garbage by it', async (t) => {
  const writer = await Writer.open()
  for (let count = 0; count < 3; count += 1) await writer.put('k')
  await writer.multipart('other', [1, 2])
  await writer.put('other')
  const made = await writer.rebuild()
  const garbage = made.rows.filter(({ key }) => key[0] === KeyKind.Garbage)
  t.same(
    garbage.map(({ value }) => decodeGarbageRow(value, 0)),
    [],
  )
})
