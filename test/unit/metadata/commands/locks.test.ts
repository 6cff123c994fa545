// Object Lock: what retention and legal hold keep, and who may weaken them (pitfall 118).
import t from 'tap'
import { mayRetain } from '../../../../src/metadata/commands/locks.ts'
import type { ObjectVersion, Retention } from '../../../../src/metadata/records.ts'
import { listed, openFixture, START_MS, type Store } from '../partition-fixture.ts'

const LOCKED = { kind: 'locked' }
const DAY_MS = 24 * 60 * 60 * 1000

async function putLocked(
  store: Store,
  key: string,
  lock: Pick<ObjectVersion, 'retention' | 'legalHold'>,
): Promise<ObjectVersion> {
  const answer = await store.put(key, '', { version: { ...store.version('a'), ...lock } })
  if (answer.kind !== 'done') throw new Error(`a put answered ${answer.kind}`)
  return answer.version
}

t.test('retention keeps a version until it is over', async (t) => {
  const { store, clock } = await openFixture()
  store.setVersioning('enabled')
  const governed: Retention = { mode: 'GOVERNANCE', untilMs: START_MS + DAY_MS }
  const complying: Retention = { mode: 'COMPLIANCE', untilMs: START_MS + DAY_MS }
  const soft = await putLocked(store, 'soft', { retention: governed })
  const hard = await putLocked(store, 'hard', { retention: complying })
  t.strictSame(await store.get('soft'), soft)
  t.strictSame(await store.remove('soft', soft.versionId), LOCKED)
  t.strictSame(await store.remove('hard', hard.versionId), LOCKED)
  t.strictSame(await store.remove('hard', hard.versionId, { bypass: true }), LOCKED)
  t.match(await store.delete('hard'), { kind: 'done', made: {} }, 'a marker hides, it removes not')
  t.strictSame(await store.remove('hard', hard.versionId), LOCKED, 'also below a marker')
  t.match(await store.remove('soft', soft.versionId, { bypass: true }), { removed: {} })
  clock.ms += DAY_MS - 1
  t.strictSame(await store.remove('hard', hard.versionId), LOCKED)
  clock.ms += 1
  t.match(await store.remove('hard', hard.versionId), { removed: {} })
})

t.test('a legal hold keeps a version until it is lifted', async (t) => {
  const { store } = await openFixture()
  store.setVersioning('enabled')
  const held = await putLocked(store, 'k', { legalHold: true })
  t.strictSame(await store.remove('k', held.versionId, { bypass: true }), LOCKED)
  t.match(await store.edit('k', { what: 'legal-hold', on: false }), { kind: 'done' })
  t.match(await store.remove('k', held.versionId), { removed: {} })
})

t.test('a locked null version does not give way', async (t) => {
  const { store } = await openFixture()
  const held = await putLocked(store, 'k', { legalHold: true })
  t.strictSame(await store.delete('k'), LOCKED)
  t.strictSame(await store.put('k', 'b'), LOCKED)
  t.strictSame(await store.append('k', held.versionId, 1), LOCKED)
  const uploadId = await store.create('k')
  const part = store.part(1, 5)
  await store.putPart('k', uploadId, part)
  t.strictSame(await store.complete('k', uploadId, [listed(part)]), LOCKED)
  store.setVersioning('enabled')
  t.match(await store.put('k', 'c'), { kind: 'done' })
  store.setVersioning('suspended')
  t.strictSame(await store.put('k', 'd'), LOCKED, 'it lies below')
  t.strictSame(await store.delete('k'), LOCKED)
  t.strictSame(await store.remove('k', 'null'), LOCKED)
  t.strictSame(await store.get('k', 'null'), held)
  await store.edit('k', { what: 'legal-hold', on: false }, { versionId: 'null' })
  t.match(await store.complete('k', uploadId, [listed(part)]), { kind: 'done' })
})

t.test('what may stand where a retention stands', async (t) => {
  const nowMs = 1000
  const at = (mode: Retention['mode'], untilMs: number): Retention => ({ mode, untilMs })
  const G = (untilMs: number) => at('GOVERNANCE', untilMs)
  const C = (untilMs: number) => at('COMPLIANCE', untilMs)
  const cases: [Retention | undefined, Retention | undefined, boolean, boolean][] = [
    // known, next, without and with bypass
    [undefined, C(2000), true, true],
    [undefined, undefined, true, true],
    [C(1000), undefined, true, true],
    [C(1000), G(1500), true, true],
    [C(2000), C(3000), true, true],
    [C(2000), C(2000), true, true],
    [C(2000), C(1999), false, false],
    [C(2000), G(3000), false, false],
    [C(2000), undefined, false, false],
    [G(2000), G(3000), true, true],
    [G(2000), G(1999), false, true],
    [G(2000), undefined, false, true],
    [G(2000), C(2000), false, true],
    [G(2000), C(1999), false, true],
    [G(900), undefined, true, true],
  ]
  for (const [known, next, plain, bypassing] of cases) {
    const name = `${JSON.stringify(known)} to ${JSON.stringify(next)}`
    t.equal(mayRetain(known, next, { nowMs, bypass: false }), plain, name)
    t.equal(mayRetain(known, next, { nowMs, bypass: true }), bypassing, `${name}, bypassing`)
  }
})

t.test('retention of an upload is its own, or else the one of the bucket', async (t) => {
  const { store } = await openFixture()
  store.setVersioning('enabled')
  const own: Retention = { mode: 'COMPLIANCE', untilMs: START_MS + 5 }
  const defaultRetention: Retention = { mode: 'GOVERNANCE', untilMs: START_MS + 9 }
  for (const [key, upload, wanted] of [
    ['own', { retention: own }, own],
    ['bucket', {}, defaultRetention],
  ] as const) {
    const uploadId = await store.create(key, upload)
    const part = store.part(1, 5)
    await store.putPart(key, uploadId, part)
    const answer = await store.complete(key, uploadId, [listed(part)], { defaultRetention })
    t.match(answer, { kind: 'done', version: { retention: wanted } })
    t.match(await store.get(key), { retention: wanted })
  }
})
