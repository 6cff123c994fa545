// Blobs move to other drives: the row that names one says so, and nothing else of it changes.
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { BlobReference } from '../../../../src/metadata/contract.ts'
import { type Blob, MISSING_SLOT } from '../../../../src/metadata/records.ts'
import { currentKey, KeyKind, manifestKey } from '../../../../src/metadata/rows/keys.ts'
import { MANIFEST_CHUNK_BYTES } from '../../../../src/metadata/rows/manifest-row.ts'
import { bucket, type Fixture, listed, MIB, openFixture, WRONG } from '../partition-fixture.ts'

const HOLE = MISSING_SLOT
const DRIVES = [11, 12, 13, 14, 15, 16]

function move(
  { partition, store }: Fixture,
  rowKey: Uint8Array,
  { uid, part, drives: from }: { uid: Uid; part: number; drives: number[] },
  drives: number[] = DRIVES,
) {
  const command = { kind: 'move-blob' as const, commandId: store.uid(), rowKey, uid, part }
  return partition.commit({ ...command, from, drives })
}

async function references({ partition }: Fixture): Promise<BlobReference[]> {
  const page = await partition.scanBlobs(undefined, 10_000)
  return page.references
}

async function onlyBlob(fixture: Fixture): Promise<BlobReference> {
  const [one, ...others] = await references(fixture)
  if (!one || others.length > 0) throw new Error(`${others.length + 1} blobs`)
  return one
}

async function putBlob({ store }: Fixture, key: string, drives?: number[]): Promise<Blob> {
  const blob = store.blob(5, drives)
  await store.put(key, 'a', { version: { ...store.version('a'), blob } })
  return blob
}

/** The only object `k`, of one part. */
async function putMultipart({ store }: Fixture, drives?: number[]): Promise<Uid> {
  const uploadId = await store.create('k')
  const part = { ...store.part(1, 9), blob: { ...store.blob(9, drives), part: 1 } }
  await store.putPart('k', uploadId, part)
  await store.complete('k', uploadId, [listed(part)])
  return uploadId
}

t.test('the latest version keeps all that its row knows', async (t) => {
  const fixture = await openFixture()
  const { store, log, partition } = fixture
  await store.put('k', 'null')
  store.setVersioning('enabled')
  const blob = await putBlob(fixture, 'k')
  const before = await store.get('k')
  const rowKey = currentKey(bucket.id, Buffer.from('k'))
  t.strictSame(await move(fixture, rowKey, blob), { kind: 'done' })
  const moved = { ...blob, drives: DRIVES }
  t.strictSame(await store.get('k'), { ...(before as object), blob: moved })
  t.match(await store.get('k', 'null'), { etag: 'null' }, 'what lies below is still known')
  t.strictSame(log.ofKind(KeyKind.Repair), [])
  const found = { bucketId: bucket.id, key: 'k', rowKey, blob: moved }
  const [first] = await references(fixture)
  t.strictSame(first && { ...first, rowKey: Buffer.from(first.rowKey) }, found)
  await move(fixture, rowKey, moved, blob.drives)
  t.strictSame(await store.get('k'), before, 'they are back')
  t.strictSame(await partition.owedBlobs(10), [])
})

t.test('what is owed goes, or stays for the slots that are still missing', async (t) => {
  const fixture = await openFixture()
  const { partition, log } = fixture
  const blob = await putBlob(fixture, 'k', [1, HOLE, HOLE, 4, 5, 6])
  const [owed] = await partition.owedBlobs(10)
  t.strictSame(owed, { bucketId: bucket.id, key: 'k', blob })
  const { rowKey } = await onlyBlob(fixture)
  const commandId = fixture.store.uid()
  const drives = [1, 7, HOLE, 4, 5, 6]
  const command = {
    kind: 'move-blob' as const,
    commandId,
    rowKey,
    ...blob,
    from: blob.drives,
    drives,
  }
  t.strictSame(await partition.commit(command), { kind: 'done' })
  const half = [{ bucketId: bucket.id, key: 'k', blob: { ...blob, drives } }]
  t.strictSame(await partition.owedBlobs(10), half)
  t.strictSame(await partition.commit(command), { kind: 'done' })
  t.strictSame(await partition.owedBlobs(10), half, 'sent again it changes nothing')
  t.equal(log.ofKind(KeyKind.Repair).length, 1)
  const again = { ...blob, drives }
  t.strictSame(await move(fixture, rowKey, blob, drives), { kind: 'done' }, 'as it is already')
  t.strictSame(await move(fixture, rowKey, blob, DRIVES), { kind: 'elsewhere' }, 'it moved since')
  await move(fixture, rowKey, again, [1, 7, 8, 4, 5, 6])
  t.strictSame(await partition.owedBlobs(10), [])
  t.strictSame(log.ofKind(KeyKind.Repair), [])
})

t.test('a row that does not name the blob is left alone', async (t) => {
  const fixture = await openFixture()
  const { store, log } = fixture
  const blob = await putBlob(fixture, 'k')
  const { rowKey } = await onlyBlob(fixture)
  const elsewhere = { kind: 'elsewhere' }
  const count = log.applied.length
  const unknown = currentKey(bucket.id, Buffer.from('other'))
  t.strictSame(await move(fixture, unknown, blob), elsewhere)
  t.strictSame(await move(fixture, rowKey, { ...blob, part: 1 }), elsewhere)
  t.strictSame(await move(fixture, rowKey, { ...blob, uid: store.uid() }), elsewhere)
  t.strictSame(await move(fixture, Buffer.of(KeyKind.Clock), blob), elsewhere)
  t.equal(log.applied.length, count)
  store.setVersioning('enabled')
  await store.put('k', 'b')
  t.strictSame(await move(fixture, rowKey, blob), elsewhere, 'it lies below another')
  await t.rejects(move(fixture, (await references(fixture))[1]!.rowKey, blob, [1, 2]), WRONG)
})

t.test('a part moves while its upload goes on, and then its object', async (t) => {
  const fixture = await openFixture()
  const { store, partition } = fixture
  const uploadId = await store.create('k')
  const part = store.part(3, 9)
  await store.putPart('k', uploadId, part)
  const { rowKey, ...named } = await onlyBlob(fixture)
  t.strictSame(named, { bucketId: undefined, key: undefined, blob: part.blob })
  const holey = [1, 2, HOLE, 4, 5, 6]
  t.strictSame(await move(fixture, rowKey, part.blob!, holey), { kind: 'done' })
  const owed = { uploadId, blob: { ...part.blob, drives: holey } }
  t.strictSame(await partition.owedBlobs(10), [owed])
  t.strictSame((await partition.findBlob(owed as never))?.rowKey, rowKey)
  t.match(await store.complete('k', uploadId, [listed(part)]), { kind: 'done' })
  t.match(await partition.getManifest(uploadId), [{ blob: { drives: holey } }])
  t.strictSame(await move(fixture, rowKey, owed.blob as Blob), { kind: 'elsewhere' })
  const found = await partition.findBlob((await partition.owedBlobs(1))[0]!)
  t.strictSame(found?.blob, owed.blob)
  t.strictSame(await move(fixture, found!.rowKey, found!.blob), { kind: 'done' })
  t.match(await partition.getManifest(uploadId), [{ number: 3, blob: { drives: DRIVES } }])
  t.strictSame(await partition.owedBlobs(10), [])
})

t.test('what a manifest of no object names is garbage, and stays it', async (t) => {
  const fixture = await openFixture()
  const { store, partition, clock, log } = fixture
  const uploadId = await putMultipart(fixture, [1, HOLE, 3, 4, 5, 6])
  const [owed] = await partition.owedBlobs(1)
  const { rowKey, blob } = await onlyBlob(fixture)
  await store.delete('k')
  t.equal((await partition.getManifest(uploadId)).length, 1, 'a reader may still ask for it')
  t.strictSame(await references(fixture), [])
  t.equal(await partition.findBlob(owed!), undefined)
  t.strictSame(await move(fixture, rowKey, blob, [1, 2, 3, HOLE, 5, 6]), { kind: 'elsewhere' })
  t.strictSame(log.ofKind(KeyKind.Repair), [])
  t.equal(log.ofKind(KeyKind.ManifestEnd).length, 1)

  clock.ms += 60 * 60 * 1000
  for (let index = 0; index < 300; index += 1) await store.put('other', 'a')
  t.strictSame(log.ofKind(KeyKind.Manifest), [])
  t.strictSame(log.ofKind(KeyKind.ManifestEnd), [])
})

t.test('blobs of manifests and annotations that lose shards are found by their row', async (t) => {
  const fixture = await openFixture()
  const { store, partition } = fixture
  await putMultipart(fixture)
  const object = await store.get('k')
  if (!object || object === 'bucket-gone') throw new Error('no object')
  const { versionId } = object
  await partition.commit({
    kind: 'put-annotation',
    commandId: store.uid(),
    bucket: store.bucket,
    key: 'k',
    versionId,
    annotation: { name: 'n', bytes: 10, etag: 'ab', blob: store.blob(10) },
  })
  const all = await references(fixture)
  t.equal(all.length, 2)
  for (const [index, { rowKey, blob, key }] of all.entries()) {
    t.equal(key, undefined)
    const drives = DRIVES.map((drive, slot) => (slot <= index ? HOLE : drive))
    t.strictSame(await move(fixture, rowKey, blob, drives), { kind: 'done' })
    const [owed] = await partition.owedBlobs(1)
    t.strictSame(owed, { rowKey, blob: { ...blob, drives } }, 'most is missing of the last')
    t.strictSame(await partition.findBlob(owed!), { ...all[index], blob: { ...blob, drives } })
  }
  t.match(await partition.getAnnotation(versionId, 'n'), { blob: { drives: [HOLE, HOLE, 13] } })
  await store.delete('k')
  t.strictSame(await partition.owedBlobs(10), [], 'garbage is not owed')
})

t.test('a full chunk of a manifest grows by the drives of its parts', async (t) => {
  const fixture = await openFixture()
  const { store, partition, log } = fixture
  const uploadId = await store.create('k')
  const parts = Array.from({ length: 1000 }, (_, index) => store.part(index + 1, 5 * MIB))
  await Promise.all(parts.map((part) => store.putPart('k', uploadId, part)))
  await store.complete('k', uploadId, parts.map(listed))
  const rowKey = manifestKey(uploadId, 0)
  const { references: found } = await partition.scanBlobs(undefined, 1)
  t.ok(found.length > 400 && found.every((one) => rowKey.equals(one.rowKey)))
  const some = found.slice(-50)
  for (const { blob } of some) await move(fixture, rowKey, blob, [300, 301, 302, 303, 304, 305])
  t.ok(log.ofKind(KeyKind.Manifest)[0]!.value.length > MANIFEST_CHUNK_BYTES)
  const kept = await partition.getManifest(uploadId)
  t.strictSame(
    kept.map(({ number, etag }) => ({ number, etag })),
    parts.map(listed),
  )
  t.equal(kept.filter(({ blob }) => blob?.drives[0] === 300).length, some.length)
})
