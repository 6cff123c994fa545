// Edits: tags, retention and legal hold of the current version and of older ones.
import t from 'tap'
import {
  type AnyVersion,
  isDeleteMarker,
  type ObjectVersion,
} from '../../../../src/metadata/records.ts'
import { openFixture, START_MS, type Store } from '../partition-fixture.ts'

const tags = [
  { key: 'colour', value: 'blue' },
  { key: 'empty', value: '' },
]

t.test('tags are set, replaced and removed; nothing else changes', async (t) => {
  const { store, clock } = await openFixture()
  await store.put('k', 'a')
  const before = await store.get('k')
  clock.ms += 5000
  const answer = await store.edit('k', { what: 'tags', tags })
  const { editId, ...after } = await latest(store)
  t.ok(editId, 'it tells that there was an edit')
  t.strictSame(after, { ...(before as AnyVersion), tags })
  t.strictSame(await store.get('k'), answer.kind === 'done' && answer.version)
  await store.edit('k', { what: 'tags', tags: tags.slice(1) })
  t.match(await store.get('k'), { tags: tags.slice(1) })
  await store.edit('k', { what: 'tags', tags: [] })
  const { editId: lastId, ...last } = await latest(store)
  t.strictSame(last, before)
  t.not(lastId, editId)
})

async function latest(store: Store): Promise<ObjectVersion> {
  const version = await store.get('k')
  if (!version || version === 'bucket-gone' || isDeleteMarker(version)) throw new Error('no object')
  return version
}

t.test('an older version and the null version are edited where they lie', async (t) => {
  const { store } = await openFixture()
  await store.put('k', 'old')
  store.setVersioning('enabled')
  const put = await store.put('k', 'a')
  const versionId = put.kind === 'done' ? put.version.versionId : ''
  await store.put('k', 'b')
  const top = await store.get('k')
  t.match(await store.edit('k', { what: 'tags', tags }, { versionId }), { version: { etag: 'a' } })
  const hold = { what: 'legal-hold', on: true } as const
  t.match(await store.edit('k', hold, { versionId: 'null' }), { version: { etag: 'old' } })
  t.match(await store.get('k', versionId), { tags })
  t.match(await store.get('k', 'null'), { legalHold: true })
  t.strictSame(await store.get('k'), top)
  await store.edit('k', hold)
  t.match(await store.get('k', 'null'), { etag: 'old' }, 'the latest still knows of the null one')
  await store.remove('k', (top as AnyVersion).versionId)
  t.match(await store.get('k'), { etag: 'b', legalHold: true }, 'it is held')
})

t.test('what can not be edited', async (t) => {
  const { store } = await openFixture()
  const edit = { what: 'tags', tags } as const
  t.strictSame(await store.edit('k', edit), { kind: 'no-version' })
  t.strictSame(await store.edit('k', edit, { versionId: 'null' }), { kind: 'no-version' })
  store.setVersioning('enabled')
  await store.put('k', 'a')
  const deleted = await store.delete('k')
  const marker = deleted.kind === 'done' && deleted.made
  const refused = { kind: 'delete-marker', marker }
  t.strictSame(await store.edit('k', edit), refused)
  const versionId = marker ? marker.versionId : ''
  t.strictSame(await store.edit('k', edit, { versionId }), refused)
  t.strictSame(await store.edit('k', edit, { versionId: 'never' }), { kind: 'no-version' })
  await store.setBucket('frozen', 2)
  t.strictSame(await store.edit('k', edit), { kind: 'bucket-gone' })
})

t.test('a retention is not weakened', async (t) => {
  const { store } = await openFixture()
  await store.put('k', 'a')
  const retain = (mode: 'GOVERNANCE' | 'COMPLIANCE', days: number, bypass = false) => {
    const retention = { mode, untilMs: START_MS + days }
    return store.edit('k', { what: 'retention', retention, bypass })
  }
  t.match(await retain('GOVERNANCE', 10), { kind: 'done' })
  t.strictSame(await retain('GOVERNANCE', 9), { kind: 'locked' })
  t.match(await retain('GOVERNANCE', 9, true), {
    version: { retention: { untilMs: START_MS + 9 } },
  })
  t.strictSame(await retain('COMPLIANCE', 12), { kind: 'locked' }, 'another mode')
  t.match(await retain('COMPLIANCE', 12, true), { kind: 'done' })
  t.strictSame(await retain('GOVERNANCE', 20, true), { kind: 'locked' })
  const lift = { what: 'retention', retention: undefined, bypass: true } as const
  t.strictSame(await store.edit('k', lift), { kind: 'locked' })
  t.match(await store.get('k'), { retention: { mode: 'COMPLIANCE', untilMs: START_MS + 12 } })
})

t.test('a repeated edit answers the same and undoes nothing', async (t) => {
  const { store } = await openFixture()
  await store.put('k', 'a')
  const commandId = store.uid()
  const first = await store.edit('k', { what: 'tags', tags }, { commandId })
  await store.edit('k', { what: 'tags', tags: [] })
  t.strictSame(await store.edit('k', { what: 'tags', tags }, { commandId }), first)
  t.notMatch(await store.get('k'), { tags })
})
