// Blobs are written anew: the row that names one names the other, what was before is garbage, nothing else changes.
import t from 'tap'
import type { BlobReference } from '../../../../src/metadata/contract.ts'
import { type Blob, MISSING_SLOT, type Part } from '../../../../src/metadata/records.ts'
import { KeyKind } from '../../../../src/metadata/rows/keys.ts'
import { bucket, type Fixture, listed, openFixture, WRONG } from '../partition-fixture.ts'

const HOLE = MISSING_SLOT
const DRIVES = [11, 12, 13, 14, 15]

async function references({ partition }: Fixture): Promise<BlobReference[]> {
  return (await partition.scanBlobs(undefined, 10_000)).references
}

/** The same bytes on five drives. */
function anew({ store }: Fixture, { uid, origin, ...blob }: Blob): Blob {
  const code = { ...blob.code, dataCount: blob.code.dataCount - 1 }
  return { ...blob, uid: store.uid(), origin: origin ?? uid, code, drives: DRIVES }
}

function replace(
  { partition, store }: Fixture,
  rowKey: Uint8Array,
  { uid }: Pick<Blob, 'uid'>,
  blob: Blob,
) {
  const command = { kind: 'replace-blob' as const, commandId: store.uid(), rowKey, uid, blob }
  return partition.commit({ ...command, bucketId: bucket.id })
}

async function garbageOf({ partition }: Fixture): Promise<Blob[]> {
  return (await partition.dueGarbage(1e15, 100)).map(({ blob }) => blob)
}

t.test(
  'the latest version and one below: the row names the other, and is else as it was',
  async (t) => {
    const fixture = await openFixture()
    const { store, partition } = fixture
    store.setVersioning('enabled')
    await store.put('k', 'a')
    await store.put('k', 'b')
    const before = await Promise.all([
      store.get('k'),
      partition.scanVersions(versions(store.bucket)),
    ])
    const named = await references(fixture)
    t.equal(named.length, 2)
    for (const { rowKey, blob } of named)
      t.strictSame(await replace(fixture, rowKey, blob, anew(fixture, blob)), { kind: 'done' })
    const after = await references(fixture)
    for (const [at, { blob, ...where }] of after.entries()) {
      const { blob: old, ...whereBefore } = named[at]!
      t.strictSame(where, whereBefore)
      t.match(blob, { origin: old.uid, drives: DRIVES, bytes: old.bytes, part: old.part })
    }
    const now = await Promise.all([store.get('k'), partition.scanVersions(versions(store.bucket))])
    t.strictSame(withoutBlobs(now), withoutBlobs(before), 'nothing else of it')
    t.strictSame(new Set(await garbageOf(fixture)), new Set(named.map(({ blob }) => blob)))
  },
)

t.test('a row that does not name the blob any more stays as it is', async (t) => {
  const fixture = await openFixture()
  const { store, log } = fixture
  await store.put('k', 'a')
  const [{ rowKey, blob }] = (await references(fixture)) as [BlobReference]
  await store.put('k', 'b')
  const garbage = await garbageOf(fixture)
  const count = log.applied.length
  const elsewhere = { kind: 'elsewhere' }
  t.strictSame(await replace(fixture, rowKey, blob, anew(fixture, blob)), elsewhere)
  await store.delete('k')
  t.strictSame(await replace(fixture, rowKey, blob, anew(fixture, blob)), elsewhere)
  t.strictSame((await garbageOf(fixture)).length, garbage.length + 1, 'only what was deleted')
  t.equal(log.applied.length, count + 1)
})

t.test('twice is once, and of two only one', async (t) => {
  const fixture = await openFixture()
  const { store } = fixture
  await store.put('k', 'a')
  const [{ rowKey, blob }] = (await references(fixture)) as [BlobReference]
  const [first, second] = [anew(fixture, blob), anew(fixture, blob)]
  t.strictSame(await replace(fixture, rowKey, blob, first), { kind: 'done' })
  t.strictSame(await replace(fixture, rowKey, blob, first), { kind: 'done' })
  t.strictSame(await replace(fixture, rowKey, blob, second), { kind: 'elsewhere' })
  t.strictSame(
    (await references(fixture)).map((one) => one.blob),
    [first],
  )
  t.strictSame(await garbageOf(fixture), [blob])
  const third = anew(fixture, first)
  t.strictSame(await replace(fixture, rowKey, first, third), { kind: 'done' })
  t.equal(third.origin, blob.uid, 'the first uid stays')
  await t.rejects(replace(fixture, rowKey, third, { ...anew(fixture, third), bytes: 1 }), WRONG)
})

t.test('what was owed is not any more', async (t) => {
  const fixture = await openFixture()
  const { store, partition, log } = fixture
  const blob = store.blob(5, [1, HOLE, 3, 4, 5, 6])
  await store.put('k', 'a', { version: { ...store.version('a'), blob } })
  const [{ rowKey }] = (await references(fixture)) as [BlobReference]
  t.equal((await partition.owedBlobs(10)).length, 1)
  await replace(fixture, rowKey, blob, anew(fixture, blob))
  t.strictSame(await partition.owedBlobs(10), [])
  t.strictSame(log.ofKind(KeyKind.Repair), [])
})

t.test('parts: of an upload, and of an object that is made of them', async (t) => {
  const fixture = await openFixture()
  const { store, partition } = fixture
  const uploadId = await store.create('k')
  const parts = [store.part(1, 6_000_000), store.part(2, 9)]
  for (const part of parts) await store.putPart('k', uploadId, part)
  const [{ rowKey, blob }] = (await references(fixture)) as [BlobReference]
  const first = anew(fixture, blob)
  t.strictSame(await replace(fixture, rowKey, blob, first), { kind: 'done' })
  t.match(await store.complete('k', uploadId, parts.map(listed)), { kind: 'done' })
  t.strictSame(await replace(fixture, rowKey, first, anew(fixture, first)), { kind: 'elsewhere' })
  const named = await references(fixture)
  for (const one of named)
    t.strictSame(await replace(fixture, one.rowKey, one.blob, anew(fixture, one.blob)), {
      kind: 'done',
    })
  const manifest = await partition.getManifest(uploadId)
  t.match(manifest, [
    { number: 1, blob: { origin: blob.uid, part: 1 } },
    { number: 2, blob: { drives: DRIVES, part: 2 } },
  ])
  t.strictSame(
    manifest.map(withoutBlob),
    parts.map((part, at) => {
      return withoutBlob({ ...part, modifiedMs: manifest[at]!.modifiedMs })
    }),
  )
  await store.delete('k')
  t.equal((await references(fixture)).length, 0)
  const [last] = manifest
  const dead = replace(fixture, named[0]!.rowKey, last!.blob!, anew(fixture, last!.blob!))
  t.strictSame(await dead, { kind: 'elsewhere' }, 'a manifest of no object is garbage')
  const uids = (await garbageOf(fixture)).map(({ uid }) => uid)
  t.equal(new Set(uids).size, uids.length)
  t.equal(uids.length, 5)
})

function versions(of: Fixture['store']['bucket']) {
  const from = { prefix: '', after: '', afterPrefix: false, delimiter: '', limit: 100 }
  return { bucket: of, ...from, afterVersionId: '' }
}

function withoutBlob({ blob: _, ...part }: Part): Omit<Part, 'blob'> {
  return part
}

function withoutBlobs(found: unknown): unknown {
  return JSON.parse(JSON.stringify(found, (name, value) => (name === 'blob' ? undefined : value)))
}
