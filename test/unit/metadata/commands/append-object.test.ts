// Appends: an object grows part by part, readers of what it was go on, and all of it is garbage in the end.
import t from 'tap'
import { MISSING_SLOT, type ObjectVersion } from '../../../../src/metadata/records.ts'
import { KeyKind } from '../../../../src/metadata/rows/keys.ts'
import { listed, MIB, openFixture, START_MS } from '../partition-fixture.ts'

const FOREVER = Number.MAX_SAFE_INTEGER

function made(answer: { kind: string; version?: ObjectVersion }): ObjectVersion {
  if (!answer.version) throw new Error(`answered ${answer.kind}`)
  return answer.version
}

t.test('the bytes that were there become the first part', async (t) => {
  const { store, partition, clock } = await openFixture()
  const version = { ...store.version('a', 10), userMetadata: { colour: 'blue' } }
  const first = made(await store.put('k', 'a', { version }))
  clock.ms += 2000
  const checksum = { algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'AAAAAA==' } as const
  const grown = made(await store.append('k', first.versionId, 5, { etag: 'b-2', checksum }))
  t.match(grown, { bytes: 15, etag: 'b-2', checksum, userMetadata: { colour: 'blue' } })
  t.match(grown, { modifiedMs: START_MS + 2000, manifest: { partCount: 2 }, blob: undefined })
  t.not(grown.versionId, first.versionId)
  t.strictSame(await store.get('k'), grown)
  const parts = await partition.getManifest(grown.manifest!.uid)
  t.match(parts, [
    { number: 1, bytes: 10, etag: 'a', modifiedMs: START_MS, blob: version.blob },
    { number: 2, bytes: 5, modifiedMs: START_MS + 2000 },
  ])
  t.strictSame(await partition.dueGarbage(FOREVER, 10), [])

  const again = made(await store.append('k', grown.versionId, 1, { etag: 'c-3' }))
  t.match(again, { bytes: 16, manifest: { uid: grown.manifest?.uid, partCount: 3 } })
  t.notOk('checksum' in again)
  const more = await partition.getManifest(grown.manifest!.uid)
  t.strictSame(more.slice(0, 2), parts, 'who found the object before reads on')
  t.equal(more[2]?.number, 3)
  await store.delete('k')
  t.equal((await partition.dueGarbage(FOREVER, 10)).length, 3)
})

t.test('an empty object grows too, and by nothing', async (t) => {
  const { store, partition } = await openFixture()
  const empty = made(await store.put('k', 'a', { version: store.version('a', 0) }))
  const one = made(await store.append('k', empty.versionId, 4))
  t.match(one, { bytes: 4, manifest: { partCount: 1 } })
  const two = made(await store.append('k', one.versionId, 0))
  t.match(two, { bytes: 4, manifest: { partCount: 2 } })
  const parts = await partition.getManifest(two.manifest!.uid)
  t.match(parts, [
    { number: 1, bytes: 4 },
    { number: 2, bytes: 0 },
  ])
})

t.test('a multipart object goes on after its last part, whatever its number', async (t) => {
  const { store, partition } = await openFixture()
  const uploadId = await store.create('k')
  const parts = [2, 5, 9].map((number) => store.part(number, 5 * MIB))
  for (const part of parts) await store.putPart('k', uploadId, part)
  let version = made(await store.complete('k', uploadId, parts.map(listed)))
  for (let count = 0; count < 3; count += 1) {
    version = made(await store.append('k', version.versionId, 1))
  }
  t.strictSame(version.manifest, { uid: uploadId, partCount: 6 })
  const numbers = (await partition.getManifest(uploadId)).map(({ number }) => number)
  t.strictSame(numbers, [2, 5, 9, 10, 11, 12])
})

t.test('an object of many parts grows by one small row', async (t) => {
  const { store, partition, log, clock } = await openFixture()
  const uploadId = await store.create('k')
  const parts = Array.from({ length: 1000 }, (_, index) => store.part(index + 1, 5 * MIB))
  await Promise.all(parts.map((part) => store.putPart('k', uploadId, part)))
  let version = made(await store.complete('k', uploadId, parts.map(listed)))
  for (let count = 0; count < 3; count += 1) {
    version = made(await store.append('k', version.versionId, 1))
    const rows = log.applied.at(-1)!.filter(({ key }) => key[0] === KeyKind.Manifest)
    t.equal(rows.length, 1)
    t.ok(rows[0]!.value!.length < 1000)
  }
  const all = await partition.getManifest(uploadId)
  t.strictSame(
    all.map(({ number }) => number),
    Array.from({ length: 1003 }, (_, at) => at + 1),
  )
  await store.delete('k')
  t.equal((await partition.dueGarbage(FOREVER, 5000)).length, 1003)
  t.equal((await partition.getManifest(uploadId)).length, 1003, 'readers are still at it')
  clock.ms += 60 * 60 * 1000
  for (let index = 0; index < 300; index += 1) await store.put('other', 'a')
  t.strictSame(log.ofKind(KeyKind.Manifest), [], 'rows with gaps in their numbers go as well')
})

t.test('what came in between, and what is not there', async (t) => {
  const { store } = await openFixture()
  const changed = { kind: 'changed' }
  t.strictSame(await store.append('k', '7v9jhho0000000004hj5aarc8k', 1), changed)
  const first = made(await store.put('k', 'a'))
  const refused = { kind: 'condition-failed', condition: 'If-Match' }
  const conditions = { ifMatch: ['b'] }
  t.strictSame(await store.append('k', first.versionId, 1, { conditions }), refused)
  await store.put('k', 'b')
  t.strictSame(await store.append('k', first.versionId, 1), changed)
  const [left, right] = await Promise.all(
    [1, 2].map(async (bytes) => {
      const current = (await store.get('k')) as ObjectVersion
      return await store.append('k', current.versionId, bytes)
    }),
  )
  t.strictSame([left?.kind, right?.kind].sort(), ['changed', 'done'], 'of two at once one is done')
  store.setVersioning('enabled')
  const { versionId } = (await store.get('k')) as ObjectVersion
  t.strictSame(await store.append('k', versionId, 1), changed, 'kept versions share no bytes')
})

t.test('a repeated append answers the same and adds nothing', async (t) => {
  const { store, partition } = await openFixture()
  const first = made(await store.put('k', 'a'))
  const more = { commandId: store.uid() }
  const grown = await store.append('k', first.versionId, 5, more)
  await store.append('k', made(grown).versionId, 5)
  t.strictSame(await store.append('k', first.versionId, 5, more), grown)
  t.equal((await partition.getManifest(made(grown).manifest!.uid)).length, 3)
})

t.test('appended bytes that lack shards are owed', async (t) => {
  const { store, log } = await openFixture()
  const first = made(await store.put('k', 'a'))
  const blob = store.blob(5, [1, 2, 3, 4, 5, MISSING_SLOT])
  await store.append('k', first.versionId, 5, { blob })
  t.equal(log.ofKind(KeyKind.Repair).length, 1)
  await store.delete('k')
  t.equal(log.ofKind(KeyKind.Repair).length, 0)
})
