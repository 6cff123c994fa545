// A partition that is made again while gateways go on: what they sent before is neither done nor refused, and what may lie on drives that
// nobody asked keeps its row.
import t from 'tap'
import { MISSING_SLOT } from '../../../../src/metadata/records.ts'
import { START_MS, uidAt } from '../partition-fixture.ts'
import { Writer } from './rebuild-fixture.ts'

const UNKNOWN = { code: 'METADATA_UNAVAILABLE' }

t.test('what was sent before is never refused, for its blob may have been named', async (t) => {
  const writer = await Writer.open()
  const { store, clock } = writer.fixture
  const before = await writer.put('k')
  const made = await writer.rebuild(undefined, { hasWriters: true })
  const late = made.fixture.store
  made.fixture.clock.ms = clock.ms + 2000
  const known = [...writer.blobs.values()][0]!.blob
  const version = { ...store.version('', 1000), blob: known }
  // Its gateway still tries: with the id that it had, or stored long ago and sent only now.
  await t.rejects(late.put('k', '', { version, commandId: uidAt(clock.ms) }), UNKNOWN)
  await t.rejects(late.put('k', '', { version }), UNKNOWN)
  const conditions = { ifNoneMatch: ['*'] } as object
  await t.rejects(late.put('k', '', { version, conditions, commandId: uidAt(clock.ms) }), UNKNOWN)
  const found = await made.fixture.partition.getObject(store.bucket, 'k')
  t.match(found, { blob: { uid: before }, unconfirmed: true })
  const next = { ...store.version('', 1000), blob: { ...known, uid: uidAt(clock.ms + 2001) } }
  t.match(await late.put('k', '', { version: next }), { kind: 'done' }, 'what begins now is taken')
  t.match(await late.put('k', ''), { kind: 'done' })
})

t.test('what was found counts, but not a clock that is far ahead', async (t) => {
  const writer = await Writer.open()
  await writer.put('k')
  const one = [...writer.blobs.values()][0]!
  const ahead = writer.fixture.clock.ms + 60_000
  const minutes = { ...one, key: 'j', blob: { ...one.blob, uid: uidAt(ahead) } }
  writer.blobs.set('minutes', minutes)
  let made = await writer.rebuild(undefined, { hasWriters: true })
  made.fixture.clock.ms = ahead - 1
  await t.rejects(made.fixture.store.put('a', ''), UNKNOWN)
  made.fixture.clock.ms = ahead + 1
  t.match(await made.fixture.store.put('a', ''), { kind: 'done' })
  const years = { ...one, key: 'i', blob: { ...one.blob, uid: uidAt(START_MS * 2) } }
  writer.blobs.set('years', years)
  made = await writer.rebuild(undefined, { hasWriters: true })
  made.fixture.clock.ms = ahead + 10 * 60_000
  t.match(await made.fixture.store.put('a', ''), { kind: 'done' })
})

t.test('without writers nothing is kept from anybody', async (t) => {
  const writer = await Writer.open()
  await writer.put('k')
  const made = await writer.rebuild()
  made.fixture.clock.ms = START_MS
  t.match(await made.fixture.store.put('k', ''), { kind: 'done' })
})

t.test('a row stays whose shards may be on drives that nobody asked', async (t) => {
  const writer = await Writer.open()
  await writer.put('k')
  const upload = await writer.multipart('parts', [1, 2])
  const dump = await writer.dump()
  const { drives, code } = [...writer.blobs.values()][0]!.blob
  writer.blobs.clear()
  const few = new Set(drives.slice(0, code.dataCount - 1))
  const without = await writer.rebuild(dump, { absent: few })
  t.equal(await without.fixture.partition.getObject(writer.fixture.store.bucket, 'k'), undefined)
  t.match(without.report, { gone: [{ key: 'k' }, { key: 'parts' }], damaged: [] })
  const enough = new Set(drives.slice(0, code.dataCount))
  const kept = await writer.rebuild(dump, { absent: enough })
  t.ok(await kept.fixture.partition.getObject(writer.fixture.store.bucket, 'k'))
  t.match(await kept.fixture.partition.getObject(writer.fixture.store.bucket, 'parts'), {
    manifest: { uid: upload },
  })
  t.same(kept.report.gone, [])
  t.match(kept.report.damaged[0], { key: 'k' })
})

t.test('a shard that may be on a drive that nobody asked is not owed', async (t) => {
  const writer = await Writer.open()
  const uid = await writer.put('k')
  const dump = await writer.dump()
  const { drives, code } = [...writer.blobs.values()][0]!.blob
  writer.keepShards(uid, code.dataCount)
  const last = new Set([drives.at(-1)!])
  const made = await writer.rebuild(dump, { absent: last })
  const found = await made.fixture.partition.getObject(writer.fixture.store.bucket, 'k')
  const missing = drives.map((drive, slot) => {
    return slot < code.dataCount || last.has(drive) ? drive : MISSING_SLOT
  })
  t.match(found, { blob: { drives: missing } })
})
