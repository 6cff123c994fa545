// Annotations: they belong to one version, are listed by name, and go when the version goes.
import t from 'tap'
import type { ObjectVersion } from '../../../../src/metadata/records.ts'
import { type Fixture, openFixture, START_MS } from '../partition-fixture.ts'

const HOUR = 3600 * 1000

/** The version that the last write of `key` made. */
async function versionOf({ store }: Fixture, key = 'k'): Promise<ObjectVersion> {
  const found = await store.get(key)
  if (!found || found === 'bucket-gone' || 'deleteMarker' in found) throw new Error('no object')
  return found
}

async function annotate(
  fixture: Fixture,
  name: string,
  more: { versionId?: string; ifMatch?: string[]; bytes?: number } = {},
) {
  const { partition, store } = fixture
  const { bytes = 10, ifMatch } = more
  return partition.commit({
    kind: 'put-annotation',
    commandId: store.uid(),
    bucket: store.bucket,
    key: 'k',
    versionId: more.versionId ?? (await versionOf(fixture)).versionId,
    annotation: { name, bytes, etag: 'ab', blob: store.blob(bytes) },
    ...(ifMatch ? { ifMatch } : {}),
  })
}

function remove(
  { partition, store }: Fixture,
  name: string,
  more: { versionId?: string; ifMatch?: string[]; bypass?: true } = {},
) {
  return partition.commit({
    kind: 'delete-annotation',
    commandId: store.uid(),
    bucket: store.bucket,
    key: 'k',
    name,
    ...more,
  })
}

async function names({ partition }: Fixture, id: string | undefined, scan = {}): Promise<string[]> {
  const wanted = { prefix: '', after: '', limit: 5000, ...scan }
  const { annotations } = await partition.scanAnnotations(id ?? '', wanted)
  return annotations.map(({ name }) => name)
}

async function garbage({ partition }: Fixture): Promise<number> {
  return (await partition.dueGarbage(START_MS + 100 * HOUR, 10_000)).length
}

t.test('they are set, replaced, listed by name and removed', async (t) => {
  const fixture = await openFixture()
  await fixture.store.put('k', 'a')
  for (const name of ['b', 'a/2', 'a/1', 'é']) {
    t.match(await annotate(fixture, name), { kind: 'done', annotation: { name } })
  }
  const { annotationsId } = await versionOf(fixture)
  t.same(await names(fixture, annotationsId), ['a/1', 'a/2', 'b', 'é'])
  t.same(await names(fixture, annotationsId, { prefix: 'a/' }), ['a/1', 'a/2'])
  t.same(await names(fixture, annotationsId, { prefix: 'a/', after: 'a/1' }), ['a/2'])
  t.same(await names(fixture, annotationsId, { after: 'a/2', limit: 1 }), ['b'])
  await annotate(fixture, 'b', { bytes: 77 })
  t.match(await fixture.partition.getAnnotation(annotationsId!, 'b'), { bytes: 77 })
  t.equal(await garbage(fixture), 1, 'the text that it had before')
  t.match(await remove(fixture, 'b'), { kind: 'done' })
  t.match(await remove(fixture, 'b'), { kind: 'done' }, 'and again')
  t.equal(await garbage(fixture), 2)
  t.equal(await fixture.partition.getAnnotation(annotationsId!, 'b'), undefined)
})

t.test('they go with their version, and only with it', async (t) => {
  const fixture = await openFixture()
  const { store } = fixture
  store.setVersioning('enabled')
  await store.put('k', 'a')
  const first = (await versionOf(fixture)).versionId
  await annotate(fixture, 'of a')
  await store.put('k', 'b')
  t.equal((await versionOf(fixture)).annotationsId, undefined, 'a new version has none')
  await annotate(fixture, 'of b')
  await annotate(fixture, 'of a too', { versionId: first })
  t.same(await names(fixture, first), ['of a', 'of a too'])
  await store.remove('k', first)
  t.same(await names(fixture, first), [])
  t.equal(await garbage(fixture), 3, 'the version and two texts')
  t.same(await names(fixture, (await versionOf(fixture)).annotationsId), ['of b'])
  t.match(await annotate(fixture, 'late', { versionId: first }), { kind: 'no-version' })
})

t.test('an overwritten object gives its annotations up; an append keeps them', async (t) => {
  const fixture = await openFixture()
  await fixture.store.put('k', 'a')
  await annotate(fixture, 'x')
  const before = await versionOf(fixture)
  await fixture.store.append('k', before.versionId, 5)
  const { annotationsId } = await versionOf(fixture)
  t.same(await names(fixture, annotationsId), ['x'])
  t.equal(await garbage(fixture), 0)
  await fixture.store.put('k', 'b')
  t.same(await names(fixture, annotationsId), [])
})

t.test('conditions, locks and the limit', async (t) => {
  const fixture = await openFixture()
  const { store } = fixture
  await store.put('k', 'a')
  const condition = 'x-amz-object-if-match'
  t.match(await annotate(fixture, 'x', { ifMatch: ['b'] }), { condition })
  t.match(await annotate(fixture, 'x', { ifMatch: ['b', 'a'] }), { kind: 'done' })
  t.match(await remove(fixture, 'x', { ifMatch: ['b'] }), { condition })
  const retention = { mode: 'GOVERNANCE', untilMs: START_MS + HOUR } as const
  await store.edit('k', { what: 'retention', retention, bypass: false })
  t.match(await annotate(fixture, 'x'), { kind: 'locked' }, 'what is there stays')
  t.match(await annotate(fixture, 'y'), { kind: 'done' }, 'more may come')
  t.match(await remove(fixture, 'x'), { kind: 'locked' })
  t.match(await remove(fixture, 'x', { bypass: true }), { kind: 'done' })
  for (let count = 2; count <= 1000; count += 1) {
    const answer = await annotate(fixture, `n${count}`)
    if (answer.kind !== 'done') return t.fail(`${count}: ${answer.kind}`)
  }
  t.match(await annotate(fixture, 'one more'), { kind: 'too-many' })
  t.match(await annotate(fixture, 'n5'), { kind: 'locked' }, 'that is known before the limit')
})

t.test('a copy comes with annotations of its own', async (t) => {
  const fixture = await openFixture()
  const { partition, store } = fixture
  const annotations = ['a', 'b'].map((name) => ({
    name,
    bytes: 3,
    etag: 'ab',
    blob: store.blob(3),
  }))
  const command = {
    kind: 'put-object' as const,
    commandId: store.uid(),
    bucket: store.bucket,
    key: 'k',
    version: store.version('a'),
    conditions: {},
    annotations,
  }
  const answer = await partition.commit(command)
  t.strictSame(await partition.commit(command), answer, 'sent again it answers the same')
  t.strictSame(answer, { kind: 'done', version: await versionOf(fixture) })
  t.same(await names(fixture, (await versionOf(fixture)).annotationsId), ['a', 'b'])
})
